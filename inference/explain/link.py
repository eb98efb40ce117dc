"""From the sums of a graph's node to what the model answers, and what of it is explained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.explain.trees import NotAdditive

Array = np.ndarray[Any, Any]

LOG_ODDS, PROBABILITY, SCORE, NUMBER = "log-odds", "probability", "score", "number"
#: How scores are found; the first three are exact.
ALGORITHMS = ("trees", "linear", "enumeration", "permutation", "leverage")
SCALES = (LOG_ODDS, PROBABILITY, SCORE, NUMBER)


@dataclass(frozen=True)
class Link:
    """What follows the sums, named as ONNX does, and how many sums and answers there are of a row."""

    post: str
    sums: int
    answers: int
    labels: bool

    def __post_init__(self) -> None:
        if self.post not in ("NONE", "LOGISTIC", "SOFTMAX"):
            raise NotAdditive(f"{self.post} follows its sums")
        if self.sums != self.answers and not (self.labels and self.sums == 1 and self.answers == 2):
            raise NotAdditive(f"it has {self.sums} sums, but the model gives {self.answers} numbers")

    @property
    def scale(self) -> str:
        """What the scores of an explanation are."""
        plain = PROBABILITY if self.labels else NUMBER
        return {"LOGISTIC": LOG_ODDS, "SOFTMAX": SCORE, "NONE": plain}[self.post]

    def sum_for(self, answer: int) -> tuple[int, float, float]:
        """Which sum stands for an answer, with the factor and the summand that make it that: of two labels with one
        sum, the first has what the second has not."""
        if self.sums == self.answers:
            return answer, 1.0, 0.0
        if answer == 1:
            return 0, 1.0, 0.0
        return 0, -1.0, 1.0 if self.post == "NONE" else 0.0

    def answered(self, sums: Array) -> Array:
        """What the model answers, [rows, answers], of sums [rows, sums]."""
        if self.post == "SOFTMAX":
            raised = np.exp(sums - sums.max(axis=1, keepdims=True))
            found: Array = raised / raised.sum(axis=1, keepdims=True)
            return found
        found = 1 / (1 + np.exp(-np.clip(sums, -500, 500))) if self.post == "LOGISTIC" else sums
        return np.concatenate([1 - found, found], axis=1) if self.sums < self.answers else found
