"""BentoML, with one worker, and without a line of log for each request."""

from __future__ import annotations

import bentoml

from benchmarks.servers.model import Sentiment


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Service:
    def __init__(self) -> None:
        self.sentiment = Sentiment()

    @bentoml.api
    def predict(self, model: str, inputs: dict[str, str]) -> dict[str, object]:
        return self.sentiment.predict(inputs["text"])
