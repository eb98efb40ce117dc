"""FastAPI: in a thread for each request, as its documentation has it for what blocks, and in the event loop, which is
quicker while a model takes a tenth of a millisecond, and stands still while it takes longer."""

from __future__ import annotations

import fastapi
import pydantic

from benchmarks.servers.model import Sentiment

app = fastapi.FastAPI()
sentiment = Sentiment()


class Inputs(pydantic.BaseModel):
    text: str


class Body(pydantic.BaseModel):
    inputs: Inputs


@app.post("/threads")
def in_a_thread(body: Body) -> dict[str, object]:
    return sentiment.predict(body.inputs.text)


@app.post("/loop")
async def in_the_loop(body: Body) -> dict[str, object]:
    return sentiment.predict(body.inputs.text)
