"""What each server of others is given to say."""

from __future__ import annotations

from pathlib import Path

from inference import bundle, model


class Sentiment:
    def __init__(self, name: str = "sentiment-1") -> None:
        folder = Path(__file__).resolve().parents[2] / "bundles" / name
        self._model = model.open_model(bundle.load(folder), threads=1)

    def predict(self, text: str) -> dict[str, object]:
        return self.predict_all([text])[0]

    def predict_all(self, texts: list[str]) -> list[dict[str, object]]:
        found = self._model.predict([{"text": text, "confidence_threshold": 0.0} for text in texts])
        return [{"prediction": one.label, "confidence": one.confidence} for one in found]
