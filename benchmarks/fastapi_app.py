"""The other side of `inline`: the same model behind nothing but FastAPI."""

from __future__ import annotations

from pathlib import Path

import fastapi
import pydantic

from inference import bundle, model

app = fastapi.FastAPI()
opened = model.open_model(bundle.load(Path(__file__).resolve().parent.parent / "bundles" / "sentiment-1"), threads=1)


class Inputs(pydantic.BaseModel):
    text: str


class Body(pydantic.BaseModel):
    inputs: Inputs


@app.post("/predict")
def predict(body: Body) -> dict[str, object]:
    found = opened.predict([{"text": body.inputs.text, "confidence_threshold": 0.0}])[0]
    return {"prediction": found.label, "confidence": found.confidence}
