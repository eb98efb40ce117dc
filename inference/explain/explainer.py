"""Who explains a model's answers: its graph, or the answers themselves."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from core import errors
from inference.explain.asked import Asked
from inference.explain.exact import Exact
from inference.explain.wanted import Wanted
from inference.output import Explanation, Label, Numbers, Said

if TYPE_CHECKING:
    from inference.interrupt import Interrupt
    from inference.model import Model


class Explainer:
    """Made once for an opened model whose manifest says how, used by many threads; raises BundleInvalid."""

    def __init__(self, model: Model) -> None:
        from inference.model import GraphModel

        manifest = model.bundle.manifest
        says = manifest.explain
        if says is None:
            raise errors.BundleInvalid(f"{model.bundle.folder}: model.yaml does not say how its answers are explained")
        outputs = manifest.labels or [number.name for number in manifest.numbers]
        if says.method == "sampled":
            self._by: Exact | Asked = Asked(model, says, outputs)
        elif isinstance(model, GraphModel):
            self._by = Exact(model, says, outputs)
        else:
            raise errors.BundleInvalid(f"{model.bundle.folder}: explain.method exact is for graphs; say sampled")

    def explained(
        self,
        rows: Sequence[Mapping[str, Any]],
        said: Sequence[Said],
        interrupt: Interrupt | None,
        wanted: Wanted,
    ) -> list[Said]:
        """What was said to these rows, each with why: of labels for the likeliest one."""
        answers = np.array([_numbers(one) for one in said])
        found = self._by.explain(rows, answers, interrupt, wanted)
        return [_with(one, why) for one, why in zip(said, found, strict=True)]


def _with(said: Said, why: Explanation) -> Said:
    return dataclasses.replace(said, explained=why) if isinstance(said, Label | Numbers) else said


def _numbers(said: Said) -> list[float]:
    """Raises ModelError for what has no number."""
    if isinstance(said, Label):
        return [*said.scores.values()]
    if isinstance(said, Numbers):
        return [*said.values.values()]
    raise errors.ModelError(f"A {type(said).__name__.lower()} has no explanation")
