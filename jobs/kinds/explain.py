"""Inputs whose model has to be asked many times over for the reasons of one answer."""

from __future__ import annotations

from collections.abc import Sequence

from core import broker
from inference.manifest import Manifest
from jobs.kinds import predict
from jobs.kinds.kind import Tools, inference
from jobs.kinds.predict import Predict
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.remembered import Remembered


class Explain(Predict):
    """The payload is that of a prediction. Its jobs run one at a time, on workers of their own: nobody's prediction
    waits for them or shares a batch with them. What only a GPU's worker can open, that one explains, a little behind
    the predictions of the same moment."""

    name = "explain"
    batches = False
    offset_s = 1.0
    leaves_files = True

    def pool(self, manifest: Manifest) -> str:
        return broker.EXPLAIN if manifest.pool == "cpu" else manifest.pool

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        [mine] = held
        model = tools.shelf.predictor(tools.version(mine.job))
        with inference(held):
            return [predict.run_alone(model, mine, Remembered(tools.store, self.folder(mine.job.id), mine.job.attempt))]
