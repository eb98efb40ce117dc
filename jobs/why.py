"""Answers with the reasons that their job asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from core import errors
from inference.explain.wanted import ALL, Wanted
from inference.interrupt import Interrupt
from inference.model import Model
from inference.output import Said, reasons

Answer = Said | errors.CoatcheckError


def explained(
    model: Model,
    rows: Sequence[Mapping[str, Any]],
    said: Sequence[Answer],
    interrupt: Interrupt,
    wanted: Wanted = ALL,
) -> list[Answer]:
    """What was said to these rows with how much each feature moved it, where it is no error; raises ModelInterrupted,
    ModelError."""
    found = [(row, one) for row, one in zip(rows, said, strict=True) if not isinstance(one, errors.CoatcheckError)]
    if not found:
        return [*said]
    why = iter(model.explained([row for row, _ in found], [one for _, one in found], interrupt, wanted))
    return [one if isinstance(one, errors.CoatcheckError) else next(why) for one in said]


def within(said: Answer, tolerance: float) -> Answer:
    """It, or ToleranceNotMet where its reasons are known, but not within the tolerance."""
    why = reasons(said)
    off = 2 * max((why and why.std_errors) or [0.0])
    if why is None or off <= tolerance:
        return said
    how = (
        "there was no time to ask more. POST /api/jobs with a larger timeout_s, or with less at once"
        if why.cut_short
        else "the model's evaluations allow no more questions. Say a larger explain_tolerance"
    )
    return errors.ToleranceNotMet(f"The reasons are known within {off:.3g} and not within {tolerance:g}: {how}")
