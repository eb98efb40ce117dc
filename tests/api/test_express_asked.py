"""Who asks the express lane, and how: in parts, from where, held back, and what is counted and kept of it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator

import orjson
import pytest
import structlog
from prometheus_client import REGISTRY

import models
from access import keys
from access.bounds import Bounds
from api.express import paces as quick
from api.express.aside import Aside
from api.express.lane import Lane
from api.express.paces import Paces
from core import errors
from serving import predict
from tests import callers, factories
from tests.api import lanes
from tests.api.lanes import GOOD, PATH, Client
from tests.callers import Key
from tests.changed import changed
from tests.conftest import Platform, until
from wiring.door import Door


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes.unhurried(monkeypatch)


@pytest.fixture(scope="module")
def lane(platform: Platform) -> Iterator[Lane]:
    with lanes.opened(platform.settings) as made:
        yield made


@pytest.fixture(scope="module")
def door(lane: Lane) -> Door:
    return lane._door


@pytest.fixture
def client(platform: Platform, lane: Lane) -> Client:
    found = Client(lane, callers.key(platform))
    found.warm()
    return found


def test_who_is_held_back_is_told_so_and_who_is_blocked_is_handed_over(
    platform: Platform,
) -> None:
    with lanes.opened(changed(platform.settings, max_errors=5)) as own:
        client, conduct = Client(own, callers.key(platform)), own._conduct
        subject = f"key:{client.key.id}"
        assert "x-conduct" not in client.answered().headers
        factories.add(platform, models.Block, subject=subject, level=1)
        until(lambda: client.answered() and conduct.standing(subject))
        assert client.answered().headers["x-conduct"].startswith("warned; until=")
        platform.execute("UPDATE blocks SET level = 3 WHERE subject = :subject", subject=subject)
        until(lambda: client.ask() and conduct.refusal(subject))
        assert all(client.ask().handed_over for _ in range(5))


def test_a_body_may_come_in_parts_that_are_empty_and_one_that_does_not_come_is_not_answered(client: Client) -> None:
    data = orjson.dumps(GOOD)
    parts = [
        {"type": "http.request", "more_body": True},
        {"type": "http.request", "body": data, "more_body": True},
        {"type": "http.request"},
    ]
    until(lambda: not client.ask(parts=parts).handed_over)
    gone = [parts[0], parts[1], {"type": "http.disconnect"}]
    assert all(client.ask(parts=gone).handed_over for _ in range(5))


def test_who_is_connected_is_the_client_and_speaks_for_nobody(platform: Platform, lane: Lane, client: Client) -> None:
    bounds = Bounds.read(models=None, networks=["10.0.0.0/8"], expires_at=None)
    tenant = client.key.tenant
    near = Client(
        lane, Key(tenant, keys.create(platform.engine, tenant=tenant, name="t", scopes={"predict"}, bounds=bounds))
    )
    until(lambda: not near.ask(client=("10.1.2.3", 1)).handed_over)
    said = ("x-forwarded-for", "10.1.2.3")
    assert all(near.ask(GOOD, said, client=("192.0.2.1", 1)).handed_over for _ in range(5))


def test_a_version_that_is_not_answered_at_once_is_handed_over_however_quick_it_is(door: Door, client: Client) -> None:
    heavy = door.catalog.resolve("sentiment", "2.1.0")
    assert not heavy.manifest.inline
    paces = client.lane._paces
    paces.is_quick(heavy)
    until(lambda: heavy.digest in paces._paces)
    paces._paces[heavy.digest].run_s = 0.0
    assert paces.is_quick(heavy)
    for _ in range(5):
        # After which the registry is known well enough.
        client.answered()
        assert client.ask({**GOOD, "model_version": "2.1.0"}).handed_over


def test_a_month_is_looked_at_anew_before_anybody_has_to_be_handed_over_for_it(platform: Platform, lane: Lane) -> None:
    client = Client(lane, callers.key(platform, tier=callers.tier(platform, monthly_units=1000)))
    client.warm()
    caller, gate = lane._callers.verify(client.key.token, ""), lane._gate
    until(lambda: gate.is_due(caller) and (gate.knows(caller) or not client.answered()))
    client.ask()
    # Nobody asks again.
    until(lambda: not gate.is_due(caller))


def test_what_became_of_requests_is_counted_and_how_long_they_took(client: Client) -> None:
    def counted() -> list[float]:
        names = [("http_express_requests_total", {"result": result}) for result in ("answered", "handed_over")]
        names += [(f"http_request_duration_seconds_{what}", {"route": PATH}) for what in ("count", "sum")]
        return [REGISTRY.get_sample_value(name, labels) or 0.0 for name, labels in names]

    client.answered()
    before = counted()
    said = [client.ask() for _ in range(3)]
    client.ask(method="GET")
    answered = sum(not one.handed_over for one in said)
    *counts, seconds = (after - was for after, was in zip(counted(), before, strict=True))
    assert counts == [answered, 4 - answered, answered]
    assert 0 <= seconds < 60


def test_log_lines_name_the_request_that_they_are_about(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    bound = []

    def at_once(*_: object) -> None:
        bound.append(structlog.contextvars.get_contextvars()["request_id"])
        raise errors.ModelError

    monkeypatch.setattr(predict, "at_once", at_once)
    until(lambda: client.ask(GOOD, ("x-request-id", "mine")).handed_over and bound)
    assert bound[0] == "mine"


def test_a_pace_follows_what_runs_took_of_late(door: Door) -> None:
    resolved = door.catalog.resolve("sentiment", "1.0.0")
    paces = Paces(door.shelf)
    until(lambda: paces.is_quick(resolved))
    pace = paces._paces[resolved.digest]
    assert 0 < pace.run_s <= quick.QUICK_S
    pace.run_s = 0.0
    paces.took(resolved, 16 * quick.QUICK_S)
    assert pace.run_s == pytest.approx(quick.QUICK_S)
    paces.took(resolved, 0.0)
    assert pace.run_s == pytest.approx(quick.QUICK_S * 15 / 16)
    assert paces.is_quick(resolved)
    paces.took(resolved, 16 * quick.QUICK_S)
    assert not paces.is_quick(resolved)


def test_each_question_is_asked_once_at_a_time_and_only_so_many_wait() -> None:
    may, asked = threading.Event(), list[int]()
    aside = Aside()

    def question(number: int) -> None:
        asked.append(number)
        assert may.wait(60)
        if number % 2:
            raise errors.Unavailable

    for number in range(257):
        for _ in range(2):
            aside.ask(number, functools.partial(question, number))
    may.set()
    until(lambda: len(asked) == 256)
    assert sorted(asked) == list(range(256))

    def again(number: int) -> bool:
        aside.ask(number, functools.partial(question, number))
        return asked.count(number) > 1

    # What has been answered, or could not be, may be asked again.
    until(lambda: again(0) and again(1))
