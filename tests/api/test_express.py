"""The express lane: what it answers is the API's answer, and of what it hands over nothing is left with it."""

from __future__ import annotations

import asyncio
import dataclasses
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import flask
import flask.testing
import pytest
import structlog

from access import keys, ledger
from access.bounds import UNBOUND, Bounds
from access.conduct import Conduct
from access.credit import Credit
from access.ladder import Ladder
from api.express import LIMITS, lane, paces
from api.express.lane import Lane
from api.express.line import MOST, Line
from core import audit, errors, tally
from inference import bundle
from jobs import presence
from registry import lifecycle, routing
from serving import predict
from tests import callers, graphs
from tests.api import lanes
from tests.api.lanes import GOOD, JSON, PATH, Client, Said
from tests.callers import Key
from tests.conftest import Platform, until
from wiring.door import Door

JOBS = "/api/v1/jobs"
#: In which two answers to the same differ, or may by which limit is nearer, and what a server adds.
OWN = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset", "ratelimit", "content-length", "date")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes.unhurried(monkeypatch)


@pytest.fixture(scope="module")
def made(platform: Platform) -> Iterator[Lane]:
    with lanes.opened(platform.settings) as lane:
        yield lane


@pytest.fixture(scope="module")
def door(made: Lane) -> Door:
    return made._door


@pytest.fixture
def client(platform: Platform, made: Lane) -> Client:
    found = Client(made, callers.key(platform))
    found.warm()
    return found


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (GOOD, ()),
        ({**GOOD, "model_version": "1.0.0"}, ()),
        ({**GOOD, "model_version": "1"}, (("x-model-version", "1"),)),
        (GOOD, (("x-model-version", "v1.0.0"), ("x-route-key", "me"), ("accept", "text/html"))),
        ({**GOOD, "options": {}}, (("traceparent", "00-1-2-01"), ("cookie", "a=b"), ("x-forwarded-for", "10.9.8.7"))),
        ({**GOOD, "options": {"cache": False}}, ()),
        ({"model": "sentiment", "inputs": {"text": "é " * 400, "confidence_threshold": 1}}, ()),
    ],
)
def test_what_it_answers_is_word_for_word_what_the_api_answers(
    client: Client, app: flask.Flask, body: Mapping[str, Any], more: tuple[tuple[str, str], ...]
) -> None:
    named = (("x-request-id", "mine"), *more)
    ours = client.answered(body, *named)
    theirs = app.test_client().post(PATH, json=body, headers=[*client.key.headers.items(), *named])
    assert theirs.status_code == 200
    assert ours.body == theirs.get_json()
    assert ours.body["request_id"] == "mine"
    others = {name.lower(): value for name, value in theirs.headers.items()}
    assert ours.headers.keys() == others.keys()
    assert {name: value for name, value in ours.headers.items() if name not in OWN} == {
        name: value for name, value in others.items() if name not in OWN
    }


def test_a_kept_answer_is_told_as_one(platform: Platform) -> None:
    settings = dataclasses.replace(platform.settings, cache=dataclasses.replace(platform.settings.cache, cache_mb=1))
    with lanes.opened(settings) as own:
        client = Client(own, callers.key(platform))
        client.warm()
        asked = {**GOOD, "options": {"cache": True}}
        assert [client.answered(asked).headers["x-cache"] for _ in range(2)] == ["miss", "hit"]


@pytest.fixture
def own_model(platform: Platform, tmp_path: Path) -> Iterator[str]:
    """A model of x and y in two versions, of which the first is the stable one; it is gone afterwards."""
    name = callers.name("model")
    for version in ("1.0.0", "2.0.0"):
        platform.catalog.publish(bundle.load(graphs.bundle(tmp_path / version, name=name, version=version)))
    yield name
    platform.execute("DELETE FROM model_versions WHERE model = :name", name=name)
    platform.execute("DELETE FROM models WHERE name = :name", name=name)


UNUSUAL: Mapping[str, Callable[[Client], Said]] = {
    "a method": lambda c: c.ask(method="GET"),
    "a path": lambda c: c.ask(path=f"{PATH}/batch"),
    "another version": lambda c: c.ask(path="/api/v2/predict"),
    "a query": lambda c: c.ask(query="explain=true"),
    "no type": lambda c: c.ask(headers={"content-type": ""}),
    "another type": lambda c: c.ask(headers={"content-type": "text/plain"}),
    "a type with a charset": lambda c: c.ask(headers={"content-type": "application/json; charset=utf-8"}),
    "no host": lambda c: c.ask(headers={**JSON, "host": ""}),
    "two hosts": lambda c: c.ask(headers={**JSON, "host": "a,b"}),
    "a header twice": lambda c: c.ask(GOOD, ("x-model-version", "1"), ("x-model-version", "2")),
    "an encoding": lambda c: c.ask(GOOD, ("content-encoding", "gzip")),
    "a key for once": lambda c: c.ask(GOOD, ("idempotency-key", "k")),
    "a preference": lambda c: c.ask(GOOD, ("prefer", "respond-async")),
    "no key": lambda c: c.ask(headers={**JSON, "authorization": ""}),
    "another scheme": lambda c: c.ask(headers={**JSON, "authorization": "Basic YTpi"}),
    "two keys": lambda c: c.ask(GOOD, ("x-api-key", c.key.token)),
    "a key that opens nothing": lambda c: c.ask(headers={**JSON, "authorization": "Bearer cck_x"}),
    "no body": lambda c: c.ask(b""),
    "no JSON": lambda c: c.ask(b"{bad"),
    "NaN": lambda c: c.ask(b'{"model": "sentiment", "inputs": {"text": "x", "confidence_threshold": NaN}}'),
    "a huge number": lambda c: c.ask(b'{"model": "sentiment", "inputs": {"text": 99999999999999999999999999}}'),
    "a list": lambda c: c.ask([GOOD]),
    "no inputs": lambda c: c.ask({"model": "sentiment"}),
    "an unknown field": lambda c: c.ask({**GOOD, "input": 1}),
    "a model that is no name": lambda c: c.ask({**GOOD, "model": 5}),
    "a model that is null": lambda c: c.ask({**GOOD, "model": None}),
    "an empty model": lambda c: c.ask({**GOOD, "model": ""}),
    "a long model": lambda c: c.ask({**GOOD, "model": "m" * 65}),
    "a version that is no name": lambda c: c.ask({**GOOD, "model_version": 1}),
    "options that are none": lambda c: c.ask({**GOOD, "options": []}),
    "reasons": lambda c: c.ask({**GOOD, "options": {"explain": True}}),
    "a cache that is no yes or no": lambda c: c.ask({**GOOD, "options": {"cache": 1}}),
    "a cache that is null": lambda c: c.ask({**GOOD, "options": {"cache": None}}),
    "a model that is not there": lambda c: c.ask({**GOOD, "model": "nope"}),
    "a version that is not there": lambda c: c.ask({**GOOD, "model_version": "9.9.9"}),
    "versions that disagree": lambda c: c.ask({**GOOD, "model_version": "1.0.0"}, ("x-model-version", "2")),
    "an empty version": lambda c: c.ask(GOOD, ("x-model-version", "")),
    "a route key of no characters": lambda c: c.ask(GOOD, ("x-route-key", "é")),
    "inputs that do not fit": lambda c: c.ask({**GOOD, "inputs": {"txt": "x"}}),
    "inputs that are no object": lambda c: c.ask({**GOOD, "inputs": 7}),
    "a blank text": lambda c: c.ask({**GOOD, "inputs": {"text": " "}}),
}  # fmt: skip


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_what_is_unusual_or_wrong_is_handed_over_and_nothing_of_it_is_left(
    client: Client, door: Door, unusual: str
) -> None:
    caller = door.callers.verify(client.key.token, "")
    leases = [door.gate._rates._leases[(name, caller.party)] for name in ("requests", "units")]
    before = [lease.tokens for lease in leases]
    assert UNUSUAL[unusual](client).handed_over
    assert [lease.tokens for lease in leases] == before
    assert caller.subject not in door.conduct._errors
    client.answered()
    assert [lease.tokens for lease in leases] == [tokens - 1 for tokens in before]


def test_what_is_answered_is_in_the_ledger(platform: Platform, client: Client, door: Door) -> None:
    tenant_id = door.callers.verify(client.key.token, "").tenant_id
    for _ in range(3):
        client.answered()

    def used() -> Any:
        return platform.one("SELECT sum(calls), sum(units) FROM usage WHERE tenant_id = :id", id=tenant_id)

    until(lambda: tuple(used()) == (4, 4))  # and what warmed it up


def test_what_it_answered_in_its_last_moment_is_charged_and_counted_when_it_ends(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Not how long it waits between two times: who begins to wait in this test would wait long after it.
    monkeypatch.setattr(ledger.Ledger, "_try", lambda _: None)
    monkeypatch.setattr(presence, "always", lambda _: None)
    made = Lane(Door(platform.settings, application="express-test", limits=LIMITS))
    asked_to_end = threading.Event()
    lives = threading.Thread(target=lambda: asyncio.run(lived(made, asked_to_end)), daemon=True)
    lives.start()
    client = Client(made, callers.key(platform))
    client.warm()
    charged = "SELECT coalesce(sum(calls), 0) FROM usage WHERE key_id = :id"
    before = counted(platform)
    assert platform.one(charged, id=client.key.id) == (0,)
    asked_to_end.set()
    lives.join(60)
    assert platform.one(charged, id=client.key.id) == (1,)
    assert counted(platform) > before


async def lived(made: Lane, asked_to_end: threading.Event) -> None:
    """As a server has an app live."""
    said = iter([lambda: True, asked_to_end.wait])

    async def receive() -> dict[str, Any]:
        await asyncio.to_thread(next(said))
        return {"type": "lifespan"}

    async def send(_: dict[str, Any]) -> None: ...

    await made({"type": "lifespan"}, receive, send)


def counted(platform: Platform) -> float:
    """What all lanes have told that they answered."""
    samples = tally.told(platform.engine).get("http_express_requests", ())
    return sum(item.value for item in samples if item.labels.get("result") == "answered")


def test_a_key_that_may_not_do_this_is_handed_over(platform: Platform, made: Lane, client: Client) -> None:
    def of(scopes: set[str], bounds: Bounds) -> Client:
        token = keys.create(platform.engine, tenant=client.key.tenant, name="t", scopes=scopes, bounds=bounds)
        found = Client(made, Key(client.key.tenant, token))
        assert found.ask().handed_over
        until(lambda: made._callers.knows(token))
        return found

    near = Bounds(None, (ipaddress.ip_network("10.0.0.0/8"),))
    assert of({"jobs"}, UNBOUND).ask().handed_over
    assert of({"predict"}, Bounds(frozenset({"tumor"}))).ask().handed_over
    there = of({"predict"}, near)
    assert there.ask().handed_over
    there.answered(GOOD, ("x-forwarded-for", "192.0.2.1, 10.1.2.3"))
    assert there.ask(GOOD, ("x-forwarded-for", "10.1.2.3, 192.0.2.1")).handed_over


def test_the_registry_is_looked_at_before_anybody_has_to_be_handed_over_for_it(made: Lane, client: Client) -> None:
    client.answered()
    catalog = made._door.catalog
    until(lambda: catalog.is_due)
    known = catalog._known
    client.ask()
    # Nobody asks again.
    until(lambda: catalog._known is not known)


def test_a_revoked_key_is_known_for_seconds_only(platform: Platform, client: Client) -> None:
    keys.revoke(platform.engine, client.key.id)
    until(lambda: client.ask().handed_over, 30)
    time.sleep(0.1)
    assert client.ask().handed_over


def test_a_key_that_is_known_is_asked_about_aside_before_anybody_has_to_be_handed_over_for_it(
    platform: Platform, made: Lane, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("CACHE_S", "AHEAD_S"):
        monkeypatch.setattr(keys, name, 600.0)
    client = Client(made, callers.key(platform))
    client.warm()
    keys.revoke(platform.engine, client.key.id)
    client.ask()
    until(lambda: not made._callers.knows(client.key.token))


def test_a_month_is_looked_up_aside_and_who_is_over_it_is_handed_over(platform: Platform, made: Lane) -> None:
    tier = callers.tier(platform, monthly_units=3, allowance_percent=0, past_allowance="refuse")
    client = Client(made, callers.key(platform, tier=tier))
    answered = 0

    def spent() -> bool:
        nonlocal answered
        answered += not client.ask().handed_over
        return answered == 3

    until(spent)
    assert client.ask().handed_over
    until(lambda: made._gate.knows(made._callers.verify(client.key.token, "")))
    assert client.ask().handed_over


def test_a_model_that_fails_is_handed_over_and_costs_nothing(client: Client, door: Door, failing: str) -> None:
    good, bad = ({"model": failing, "inputs": {"x": x, "y": 1}} for x in (2, -1))
    client.warm(good)
    caller = door.callers.verify(client.key.token, "")
    leases = [door.gate._rates._leases[(name, caller.party)] for name in ("requests", "units")]
    before = [lease.tokens for lease in leases]
    assert client.ask(bad).handed_over
    assert [lease.tokens for lease in leases] == before
    client.answered(good)


def test_a_run_that_takes_long_is_ended_and_handed_over_and_costs_nothing(
    client: Client, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = door.callers.verify(client.key.token, "")
    leases = [door.gate._rates._leases[(name, caller.party)] for name in ("requests", "units")]
    before = [lease.tokens for lease in leases]
    monkeypatch.setattr(lane, "RUN_S", -1.0)
    assert client.ask().handed_over
    assert [lease.tokens for lease in leases] == before


def test_a_model_that_became_slow_is_left_to_the_api_for_a_while(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [time.monotonic()]
    monkeypatch.setattr(paces, "QUICK_S", 0.0)
    assert client.ask().handed_over
    monkeypatch.setattr(paces, "QUICK_S", 60.0)
    client.answered()
    [pace] = [pace for pace in client.lane._paces._paces.values() if pace.run_s < 60.0][:1]
    pace.run_s, pace.at = 61.0, clock[0]
    assert client.ask().handed_over
    assert pace.run_s == 61.0
    pace.at -= paces.LEFT_S
    client.warm()


def test_a_model_that_cannot_be_opened_is_left_to_the_api(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = []

    def broken(_: object) -> None:
        tried.append(1)
        raise errors.ModelUnavailable("no")

    with lanes.opened(platform.settings) as own:
        monkeypatch.setattr(own._door.shelf, "predictor", broken)
        client = Client(own, callers.key(platform))
        until(lambda: client.ask().handed_over and bool(own._paces._paces))
        assert all(client.ask().handed_over for _ in range(3))
    assert tried == [1]


def test_what_goes_well_here_makes_up_for_errors_at_the_api(platform: Platform, client: Client) -> None:
    subject, full = f"key:{client.key.id}", 50
    conduct = Conduct(platform.engine, Ladder(errors=full, refill_s=1e9), Credit(platform.line))

    def left_after_an_error() -> float:
        conduct.failed(subject, None, 1.0)
        return conduct._errors[subject].left

    client.lane._tell()
    first = [left_after_an_error() for _ in range(9)]
    assert first[-1] == pytest.approx(full - 9, abs=0.3)
    for path in (PATH, JOBS) * 4:
        client.answered(path=path)
    client.lane._tell()
    assert left_after_an_error() == pytest.approx(full - 8, abs=0.3)
    assert left_after_an_error() == pytest.approx(full - 9, abs=0.3)
    conduct.close()


def test_who_has_waited_so_long_that_the_proxy_asks_elsewhere_is_not_answered_as_well(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "LATE_S", 0.0)
    assert client.ask().handed_over


def test_a_database_that_stands_still_is_not_waited_for(
    client: Client, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stands_still() -> None:
        assert threading.current_thread() is not threading.main_thread()
        time.sleep(0.3)

    monkeypatch.setattr(door.catalog, "_query", stands_still)
    ends_at = time.monotonic() + 3
    while time.monotonic() < ends_at:
        client.ask()


def test_a_bug_is_handed_over_and_told_and_costs_nothing(
    client: Client, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    def bug(*_: object) -> None:
        raise ZeroDivisionError

    caller = door.callers.verify(client.key.token, "")
    lease = door.gate._rates._leases[("requests", caller.party)]
    before = lease.tokens
    monkeypatch.setattr(predict, "at_once", bug)
    with structlog.testing.capture_logs() as logs:
        until(lambda: client.ask(GOOD, ("x-request-id", "mine")).handed_over and bool(logs))
    assert [(line["event"], line["error"]) for line in logs] == [("bug", "ZeroDivisionError")]
    assert lease.tokens == before


def test_versions_on_trial_or_on_their_way_out_and_those_with_shadows_are_left_to_the_api(
    platform: Platform, client: Client, own_model: str
) -> None:
    asked = {"model": own_model, "inputs": {"x": 2, "y": 1}}
    client.warm(asked)

    def change(**parts: object) -> None:
        with platform.engine.begin() as connection:
            routing.change(connection, own_model, parts, audit.operator())

    change(shadows=[{"name": "s", "version": "2.0.0", "percent": 100}])
    until(lambda: client.ask(asked).handed_over)
    change(shadows=[])
    client.warm(asked)
    change(canaries=[{"name": "c", "version": "2.0.0", "percent": 1}])
    until(lambda: client.ask(asked).handed_over)
    change(canaries=[])
    client.warm(asked)
    client.warm({**asked, "model_version": "2.0.0"})
    lifecycle.deprecate(platform.engine, own_model, "2.0.0", audit.operator(), message=None, sunset_at=None)
    until(lambda: client.ask({**asked, "model_version": "2.0.0"}).handed_over)
    client.warm(asked)


def test_a_version_of_the_api_that_ends_is_left_to_it(platform: Platform) -> None:
    at = platform.one("SELECT now() AS at").at
    versions = dataclasses.replace(platform.settings.versions, v1_deprecated_at=at)
    with lanes.opened(dataclasses.replace(platform.settings, versions=versions)) as own:
        client = Client(own, callers.key(platform))
        for _ in range(3):
            assert client.ask().handed_over
        assert not own._callers.knows(client.key.token)


def test_it_says_that_it_lives(client: Client) -> None:
    said = client.ask(method="GET", path="/healthz", headers={"authorization": ""})
    assert (said.headers, said.body) == ({"content-length": "0"}, None)


def test_nobody_waits_for_more_than_one_turn_of_each_other() -> None:
    told: list[str] = []

    async def one(line: Line, who: str) -> None:
        assert await line.turn(who)
        told.append(who)

    async def all_of_them() -> None:
        line = Line()
        crowd = [asyncio.ensure_future(one(line, "crowd")) for _ in range(50)]
        while len(told) < 10:
            await asyncio.sleep(0)
        await asyncio.gather(*crowd, one(line, "a"), one(line, "b"), one(line, "a"))

    asyncio.run(all_of_them())
    later = told[10:]
    assert later.index("a") <= 3
    assert later.index("b") <= 4
    assert [place for place, who in enumerate(later) if who == "a"][1] <= 7
    assert len(told) == 53


def test_turns_are_of_keys_and_of_those_without_one_of_whom_the_proxy_speaks_for(
    made: Lane, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []

    async def turn(who: str) -> bool:
        found.append(who)
        return True

    monkeypatch.setattr(made._line, "turn", turn)
    for address in ("192.0.2.1", "192.0.2.2"):
        for token in ("", f"Bearer {client.key.token}"):
            client.ask(GOOD, ("x-forwarded-for", address), headers={**JSON, "authorization": token})
    assert found == ["192.0.2.1", client.key.token, "192.0.2.2", client.key.token]


def test_who_has_gone_is_not_waited_for() -> None:
    async def some() -> list[str]:
        line, told = Line(), []

        async def one(who: str) -> None:
            await line.turn(who)
            told.append(who)

        tasks = [asyncio.ensure_future(one(who)) for who in "abc"]
        await asyncio.sleep(0)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await one("d")
        return told

    assert asyncio.run(some()) == ["a", "c", "d"]


def test_only_so_many_stand_in_line() -> None:
    async def some() -> list[bool]:
        line = Line()
        found = await asyncio.gather(*(line.turn("a") for _ in range(MOST + 2)), line.turn("b"))
        # Whose turn it was stands there no more.
        return [*found, await line.turn("b")]

    assert asyncio.run(some()) == [True] * MOST + [False] * 3 + [True]
