"""What an attempt comes to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy

from core import errors
from jobs.lease import Held
from jobs.result import Result


@dataclass(frozen=True)
class Outcome:
    """A result, an error, or neither if the job was left where it was.

    `units` is what it costs, `run_s` the time in the model; `hand_over` is how it ends when it goes on in other jobs.
    """

    held: Held
    result: Result | None = None
    error: errors.CoatcheckError | None = None
    units: int = 0
    run_s: float = 0.0
    hand_over: Callable[[sqlalchemy.Engine], bool] | None = None


def stopped(held: Held, run_s: float = 0.0, advice: str = "") -> Outcome:
    """Of an attempt that nobody wants to go on with: an error only if its time ran out, with what may be done."""
    said = f"The run took longer than timeout_s={held.job.timeout_s}{advice}"
    return Outcome(held, error=errors.TimedOut(said) if held.timed_out else None, run_s=run_s)
