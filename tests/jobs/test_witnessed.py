"""What the end of an attempt says of a version on trial, and of the one that is compared with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import exc

from core import errors
from jobs import rescue
from jobs.drain import Drainer
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.result import Fault, Several
from registry.judging import judge
from registry.judging.witness import Sight
from tests.conftest import Platform
from tests.hands import SAID, lose, took

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
