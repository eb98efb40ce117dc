"""What the shipped models say of each input alone, computed without the platform: a job's answer must be the same to
the last digit, whoever was in the batch with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from inference import bundle
from inference.model import Model, open_model
from tests import graphs

ROOT = Path(__file__).resolve().parent.parent.parent
TEXTS = ("I love it", "It broke after a day", "not bad at all " * 40, "Terrible. Never again.", "Works perfectly well")

Inputs = dict[str, Any]


@dataclass(frozen=True)
class Shipped:
    """A bundle that jobs are for; what its `golden` asks is asked of it, and `texts`."""

    folder: Path
    texts: Sequence[str] = ()


SHIPPED = (
    Shipped(ROOT / "bundles" / "sentiment-1", TEXTS),
    Shipped(ROOT / "bundles" / "sentiment-2", TEXTS),
    Shipped(ROOT / "bundles" / "tumor"),
)


class Truth:
    """By model version: what may be asked, and what the answer is."""

    def __init__(self) -> None:
        self.inputs: dict[str, list[Inputs]] = {}
        self._answers: dict[tuple[str, str], dict[str, Any]] = {}
        for shipped in SHIPPED:
            self._ask(shipped)

    def _ask(self, shipped: Shipped) -> None:
        loaded = bundle.load(shipped.folder)
        version = f"{loaded.manifest.name}/{loaded.manifest.version}"
        defaults = {field.name: field.default for field in loaded.manifest.fields if not field.required}
        golden = [dict(example.inputs) for example in loaded.manifest.golden]
        inputs = [{"text": text} for text in shipped.texts] or golden
        model = open_model(loaded)
        assert isinstance(model, Model)
        self.inputs[version] = inputs
        for one in inputs:
            [said] = graphs.labels(model, [defaults | one])
            answer = {"prediction": said.label, "confidence": said.confidence, "scores": said.scores}
            self._answers[version, json.dumps(one)] = answer

    def agrees(self, version: str, inputs: Sequence[Inputs], answers: Sequence[Mapping[str, Any]]) -> bool:
        """Whether these answers are the model's, in order; what an answer does not tell is not compared."""
        return len(inputs) == len(answers) and all(
            self._agrees(version, one, answer) for one, answer in zip(inputs, answers, strict=True)
        )

    def _agrees(self, version: str, one: Inputs, answer: Mapping[str, Any]) -> bool:
        names = ("prediction", "confidence", "scores")
        known = self._answers[version, json.dumps(one)]
        return "prediction" in answer and all(answer[name] == known[name] for name in names if name in answer)
