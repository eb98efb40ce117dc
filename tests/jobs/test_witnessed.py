"""What the end of an attempt says of a version on trial, and of the one that is compared with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import exc

from core import errors, metrics
from jobs import queries, rescue, settle
from jobs.drain import Drainer
from jobs.lease import Held, Leases
from jobs.outcome import Outcome
from jobs.result import Fault, Several
from registry.judging import judge
from registry.judging.witness import Sight
from tests.conftest import Platform
from tests.hands import SAID, lose, status_of, took, with_tools

pytestmark = pytest.mark.usefixtures("quiet")
FAILED, REFUSED = Fault({"code": "MODEL_ERROR", "message": ""}), Fault({"code": "INVALID_INPUT", "message": ""})
#: How the attempt ended, what its worker knew by then, and the code that is seen; "" where nothing is.
ENDS: Mapping[str, tuple[dict[str, Any], dict[str, Any], str | None]] = {
    "answered": ({"result": SAID}, {}, None),
    "answered, but for one of its inputs": ({"result": Several([SAID, FAILED])}, {}, "MODEL_ERROR"),
    "answered, but for what is no input": ({"result": Several([REFUSED, SAID])}, {}, "INVALID_INPUT"),
    "answered, but for what is no input and what failed": ({"result": Several([REFUSED, FAILED])}, {}, "MODEL_ERROR"),
    "failed": ({"error": errors.ModelError()}, {}, "MODEL_ERROR"),
    "its time was over": ({"error": errors.TimedOut()}, {}, "TIMED_OUT"),
    "refused for its inputs": ({"error": errors.InvalidInput()}, {}, ""),
    "put off": ({"error": errors.Unavailable()}, {}, ""),
    "given back": ({}, {"given_back": True}, ""),
    "canceled": ({"result": SAID}, {"canceled": True}, ""),
    "lost": ({"result": SAID}, {"lost": True}, ""),
}


@pytest.mark.parametrize("end", ENDS)
def test_a_version_is_held_responsible_for_what_it_said_and_for_nothing_else(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID], end: str
) -> None:
    came_to, knew, code = ENDS[end]
    mine = new_job(route="canary next", request_id="req_mine")
    [job] = took(platform)
    seen: list[Sight] = []
    witness: Any = SimpleNamespace(watches=lambda model, route: (model, route) == ("sentiment", "canary next"))
    witness.add = seen.append
    finisher = dataclasses.replace(drainer.finisher, witness=witness)
    finisher.finish([held := Held(job, **knew)], [Outcome(held, **came_to)])
    asked = [(item.model, item.route, item.unit.request, item.asked, item.run_s, item.code) for item in seen]
    (created_at,) = platform.one("SELECT created_at FROM jobs WHERE id = :id", id=mine)
    assert asked == ([] if code == "" else [("sentiment", "canary next", "req_mine", created_at, None, code)])


def test_of_what_came_too_late_and_of_what_nobody_led_there_nothing_is_said(
    platform: Platform, drainer: Drainer, new_job: Callable[..., UUID]
) -> None:
    seen: list[Sight] = []
    witness: Any = SimpleNamespace(watches=lambda *_: True, add=seen.append)
    finisher = dataclasses.replace(drainer.finisher, witness=witness)
    new_job(route="canary next")
    late = [Held(job) for job in took(platform)]
    lose(platform)
    finisher.finish(late, [Outcome(item, SAID) for item in late])
    platform.execute("UPDATE jobs SET status = 'canceled'")
    new_job()
    unled = [Held(job) for job in took(platform)]
    assert finisher.finish(unled, [Outcome(item, SAID) for item in unled]) == 1
    assert seen == []


#: How an attempt ends by each statement, in the words of metrics and of its row.
WRITES: Mapping[str, tuple[dict[str, Any], tuple[str, str]]] = {
    "complete": ({"result": SAID}, ("completed", "completed")),
    "fail": ({"error": errors.ModelError()}, ("MODEL_ERROR", "failed")),
}


@pytest.mark.parametrize("canceled", [False, True], ids=["ended", "canceled too late"])
@pytest.mark.parametrize("write", WRITES)
def test_a_heartbeat_beside_the_end_of_an_attempt_takes_nothing_from_what_is_said_of_it(
    platform: Platform,
    drainer: Drainer,
    new_job: Callable[..., UUID],
    monkeypatch: pytest.MonkeyPatch,
    write: str,
    canceled: bool,
) -> None:
    came_to, (word, status) = WRITES[write]
    mine = new_job(route="stable")
    leases = Leases(platform.engine, lease_s=60, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: False)
    [held] = leases.hold(took(platform))
    written = getattr(settle, write)

    def and_a_heartbeat(*given: Any) -> Any:
        if canceled:
            queries.cancel(platform.engine, held.job.tenant_id, mine)
            leases.beat()
        ended = written(*given)
        if not canceled:
            leases.beat()
        return ended

    monkeypatch.setattr(settle, write, and_a_heartbeat)
    seen: list[Sight] = []
    witness: Any = SimpleNamespace(watches=lambda *_: True, add=seen.append)
    offered: list[object] = []
    shadows = SimpleNamespace(offer=lambda *given: offered.append(given[-1]))
    attempts = with_tools(drainer.attempts, shadows=shadows)
    finisher = dataclasses.replace(drainer.finisher, leases=leases, witness=witness, attempts=attempts)
    counted, fenced = metrics.ATTEMPTS.labels("sentiment", word)._value, metrics.FENCED._value
    before = counted.get(), fenced.get()
    assert finisher.finish([held], [Outcome(held, **came_to)]) == 1
    assert (held.canceled, held.lost) == (canceled, not canceled)
    assert (counted.get(), fenced.get()) == (before[0] + 1, before[1])
    assert (len(seen), len(offered), status_of(platform, mine)) == (1, 1, status)


@pytest.mark.parametrize(("max_losses", "ends"), [(1, True), (9, False)])
def test_a_lost_job_is_held_against_its_version_where_that_ended_it_and_no_outage_breaks_the_rescue_off(
    platform: Platform, new_job: Callable[..., UUID], monkeypatch: pytest.MonkeyPatch, max_losses: int, ends: bool
) -> None:
    told: list[str] = []

    def away(_: object, model: str, __: object) -> None:
        told.append(model)
        raise exc.OperationalError("", {}, Exception("away"))

    monkeypatch.setattr(judge, "add", away)
    for _ in range(2):
        new_job(route="canary next")
    took(platform)
    platform.execute("UPDATE jobs SET lease_expires_at = now() - interval '1 s'")
    assert rescue.lease_over(platform.engine, max_losses=max_losses) == 2
    assert told == ["sentiment"] * (2 if ends else 0)
