"""What each server of others is given to say."""

from __future__ import annotations

from pathlib import Path

from inference import bundle, model


class Sentiment:
    def __init__(self) -> None:
        folder = Path(__file__).resolve().parents[2] / "bundles" / "sentiment-1"
        self._model = model.open_model(bundle.load(folder), threads=1)

    def predict(self, text: str) -> dict[str, object]:
        found = self._model.predict([{"text": text, "confidence_threshold": 0.0}])[0]
        return {"prediction": found.label, "confidence": found.confidence}
