"""What was seen of a model is added to the trials of its canaries, and what that comes to is done at once: one that is
worse is rolled back, and one that proves itself grows."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy
import structlog

from core import errors, metrics
from core.audit import Actor
from registry import routing
from registry.judging import trials
from registry.judging.trial import Seen, Trial
from registry.routes import Canary, Then

log = structlog.get_logger()

JUDGE = Actor("canary judge")


def add(engine: sqlalchemy.Engine, model: str, seen: Sequence[Seen]) -> None:
    """Raises ModelNotFound, and an outage. What is added twice counts once where it was bad."""
    with engine.begin() as connection:
        plan = routing.held(connection, model)
        found = trials.follow(connection, model, plan.stable, plan.routes)
        canaries = {canary.name: canary for canary in plan.routes.canaries}
        judged = [_added(connection, trial, seen) for trial in found]
        ended: list[tuple[Trial, str | None]] = []
        for trial in judged:
            ended.append((trial, _tried(connection, trial, canaries[trial.name])))
            if ended[-1][1] == trials.PROMOTED:
                break  # the others are compared with another version from now on, and begin anew
    for trial, result in ended:
        if result:
            log.warning("canary_judged", model=model, canary=trial.name, result=result, evidence=trial.told())
            metrics.CANARIES.labels(model, result).inc()


def _added(connection: sqlalchemy.Connection, trial: Trial, seen: Sequence[Seen]) -> Trial:
    counting = trial.counting(seen)
    if not counting:
        return trial
    after = trial.after(counting, trials.once(connection, trial, trial.bad(counting)))
    trials.save(connection, after)
    return after


def _tried(connection: sqlalchemy.Connection, trial: Trial, canary: Canary) -> str | None:
    """How it has ended by that, if it has. What cannot end so as things are goes on, and is in no other's way."""
    try:
        with connection.begin_nested():
            return _act(connection, trial, canary)
    except (errors.VersionConflict, errors.InvalidInput) as error:
        log.warning("canary_not_ended", model=trial.model, canary=trial.name, error=str(error), details=error.details)
        return None


def _act(connection: sqlalchemy.Connection, trial: Trial, canary: Canary) -> str | None:
    """Raises VersionConflict, InvalidInput where it cannot end so."""
    if not canary.judge.acts:
        return None
    if trial.worse:
        routing.end(connection, trial.model, trial.name, JUDGE, promoted=False)
        return trials.ROLLED_BACK
    ramp = canary.ramp
    # What has all of the traffic is compared with nothing.
    if ramp is None or trial.share >= 1 or trial.sums.step < ramp.requests or trial.leans_worse:
        return None
    before = routing.held(connection, trial.model)
    if (percent := ramp.after(canary.percent)) is not None:
        routing.grow(connection, trial.model, before, canary, percent, JUDGE)
    elif ramp.then is Then.PROMOTE:
        routing.end(connection, trial.model, trial.name, JUDGE, promoted=True)
        return trials.PROMOTED
    return None
