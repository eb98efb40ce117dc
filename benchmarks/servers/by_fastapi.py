"""FastAPI: in a thread for each request, as its documentation has it for what blocks, and in the event loop, which is
quicker while a model takes a tenth of a millisecond, and stands still while it takes longer."""

from __future__ import annotations

import fastapi
import pydantic

from benchmarks.servers.model import Sentiment

app = fastapi.FastAPI()
sentiment, transformer = Sentiment(), Sentiment("sentiment-2")


class Inputs(pydantic.BaseModel):
    text: str


class Body(pydantic.BaseModel):
    inputs: Inputs


class Bodies(pydantic.BaseModel):
    inputs: list[Inputs]


@app.post("/threads")
def in_a_thread(body: Body) -> dict[str, object]:
    return sentiment.predict(body.inputs.text)


@app.post("/loop")
async def in_the_loop(body: Body) -> dict[str, object]:
    return sentiment.predict(body.inputs.text)


@app.post("/threads/batch")
def batch_in_a_thread(body: Bodies) -> list[dict[str, object]]:
    return sentiment.predict_all([one.text for one in body.inputs])


@app.post("/loop/batch")
async def batch_in_the_loop(body: Bodies) -> list[dict[str, object]]:
    return sentiment.predict_all([one.text for one in body.inputs])


@app.post("/threads/transformer")
def transformer_in_a_thread(body: Body) -> dict[str, object]:
    return transformer.predict(body.inputs.text)


@app.post("/loop/transformer")
async def transformer_in_the_loop(body: Body) -> dict[str, object]:
    return transformer.predict(body.inputs.text)
