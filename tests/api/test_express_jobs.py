"""Jobs by the express lane: a ticket of it is the API's ticket, of a job that is stored and paid for once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import flask
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import exc

from access import keys
from api.express.intake import ROOM, ROOM_OF_ONE, Intake, NotTried
from api.express.lane import Lane
from core import broker, errors
from jobs.submit import MOST, NewJob
from tests import callers
from tests.api import lanes
from tests.api.lanes import GOOD, JSON, Client, Said
from tests.callers import Key
from tests.conftest import Platform, until
from wiring.door import Door

PATH = "/api/v1/jobs"
#: In which two tickets for the same differ, and what a server adds.
OWN = (
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
    "ratelimit",
    "content-length",
    "date",
    "location",
)
HINT = f"{broker.KEY_PREFIX}hint:cpu"
#: In which two rows do.
OF_A_ROW = ("id", "request_id", "fair_at", "not_before", "expires_at", "created_at")


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    lanes.unhurried(monkeypatch)


@pytest.fixture
def lane(platform: Platform) -> Iterator[Lane]:
    with lanes.opened(platform.settings) as made:
        yield made


@pytest.fixture
def door(lane: Lane) -> Door:
    return lane._door


@pytest.fixture
def client(platform: Platform, lane: Lane, quiet: None) -> Client:
    """Of whom the lane knows all."""
    found = Client(lane, callers.key(platform))
    found.warm()
    return found


def stored(platform: Platform) -> int:
    found = platform.one("SELECT count(*) FROM jobs")[0]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize(
    ("body", "more"),
    [
        (GOOD, ()),
        ({"model": "sentiment", "model_version": "1.0.0", "inputs": {"text": "é \u0000 " * 90}}, ()),
        ({**GOOD, "options": {}}, (("x-model-version", "2"), ("x-route-key", "me"))),
    ],
)
def test_its_ticket_is_word_for_word_the_apis_and_so_is_what_is_stored(
    platform: Platform, client: Client, app: flask.Flask, body: Mapping[str, Any], more: tuple[tuple[str, str], ...]
) -> None:
    ours = client.answered(body, *more, path=PATH)
    theirs = app.test_client().post(PATH, json=body, headers=[*client.key.headers.items(), *more])
    assert (ours.status, theirs.status_code) == (202, 202)
    told, told_there = ours.body, theirs.get_json()
    assert ours.headers["location"] == told["links"]["self"] == f"{PATH}/{told['job_id']}"
    assert told["request_id"] == ours.headers["x-request-id"]
    for name in ("job_id", "request_id"):
        mine, there = told.pop(name), told_there.pop(name)
        told["links"] = {at: link.replace(mine, "") for at, link in told["links"].items()}
        told_there["links"] = {at: link.replace(there, "") for at, link in told_there["links"].items()}
    assert told == told_there
    others = {name.lower(): value for name, value in theirs.headers.items()}
    assert ours.headers.keys() == others.keys()
    same = [name for name in others if name not in (*OWN, "x-request-id")]
    assert {name: ours.headers[name] for name in same} == {name: others[name] for name in same}
    mine, there = platform.rows("SELECT row_to_json(jobs) FROM jobs ORDER BY id")
    assert {name for name in mine[0] if mine[0][name] != there[0][name]} <= {*OF_A_ROW}


def test_jobs_that_come_at_once_are_all_stored_each_once_and_waked_for(
    platform: Platform, client: Client, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answered(path=PATH)
    monkeypatch.setattr("registry.catalog.LOOK_S", 60.0)  # nobody has to look meanwhile
    told: list[str] = []

    async def together() -> list[Said]:
        return await asyncio.gather(*(client.asked(path=PATH) for _ in range(100)))

    def most_of_them() -> bool:
        platform.line.redis.delete(HINT)
        found = [said.body["job_id"] for said in asyncio.run(together()) if said.status == 202]
        told.extend(found)
        return len(found) > 90

    until(most_of_them)
    assert len(set(told)) == len(told)
    assert stored(platform) == len(told) + 1
    assert platform.line.redis.exists(HINT)


UNUSUAL: Mapping[str, Callable[[Client], Said]] = {
    "a list of inputs": lambda c: c.ask({**GOOD, "inputs": [GOOD["inputs"]]}, path=PATH),
    "a file": lambda c: c.ask({"model": "sentiment", "upload_id": "up_x"}, path=PATH),
    "metadata": lambda c: c.ask({**GOOD, "metadata": {}}, path=PATH),
    "an option": lambda c: c.ask({**GOOD, "options": {"cache": True}}, path=PATH),
    "a key for once": lambda c: c.ask(GOOD, ("idempotency-key", "k"), path=PATH),
    "a method": lambda c: c.ask(GOOD, path=PATH, method="GET"),
    "a query": lambda c: c.ask(GOOD, path=PATH, query="a=b"),
    "a path behind it": lambda c: c.ask(GOOD, path=f"{PATH}/x"),
    "inputs that do not fit": lambda c: c.ask({**GOOD, "inputs": {"txt": "x"}}, path=PATH),
    "a model that is not there": lambda c: c.ask({**GOOD, "model": "nope"}, path=PATH),
    "a key that opens nothing": lambda c: c.ask(headers={**JSON, "authorization": "Bearer cck_x"}, path=PATH),
}  # fmt: skip


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_what_is_unusual_or_wrong_is_handed_over_and_nothing_of_it_is_left(
    platform: Platform, client: Client, door: Door, unusual: str
) -> None:
    client.answered(path=PATH)
    caller = door.callers.verify(client.key.token, "")
    leases = [door.gate._rates._leases[(name, caller.party)] for name in ("requests", "units")]
    before, jobs = [lease.tokens for lease in leases], stored(platform)
    assert UNUSUAL[unusual](client).handed_over
    assert ([lease.tokens for lease in leases], stored(platform)) == (before, jobs)


def test_a_key_that_may_hand_in_no_jobs_is_handed_over(platform: Platform, client: Client) -> None:
    token = keys.create(platform.engine, tenant=client.key.tenant, name="t", scopes={"predict"})
    only = Client(client.lane, Key(client.key.tenant, token))
    only.warm()
    assert only.ask(path=PATH).handed_over
    assert stored(platform) == 0


def test_a_tenant_with_as_many_waiting_as_it_may_is_handed_over_and_pays_nothing(
    platform: Platform, lane: Lane, door: Door
) -> None:
    client = Client(lane, callers.key(platform, tier=callers.tier(platform, max_pending=2)))
    client.warm()
    tickets = [client.answered(path=PATH) for _ in range(2)]
    assert [said.status for said in tickets] == [202, 202]
    caller = door.callers.verify(client.key.token, "")
    leases = [door.gate._rates._leases[(name, caller.party)] for name in ("requests", "units")]
    before = [lease.tokens for lease in leases]
    assert client.ask(path=PATH).handed_over
    assert [lease.tokens for lease in leases] == before
    assert platform.one("SELECT count(*) FROM jobs WHERE tenant_id = :id", id=caller.tenant_id) == (2,)


@pytest.mark.parametrize("fault", [exc.OperationalError("", {}, Exception("gone")), TypeError("a bug")])
def test_a_job_of_which_nobody_knows_whether_it_is_stored_is_asked_of_nobody_else(
    client: Client, door: Door, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    client.answered(path=PATH)
    caller = door.callers.verify(client.key.token, "")
    units = door.gate._rates._leases[("units", caller.party)]
    before = units.tokens

    def lost(several: list[NewJob]) -> None:
        raise fault

    monkeypatch.setattr(door.serving.submitter, "_store", lost)
    said = client.answered(GOOD, ("x-request-id", "mine"), path=PATH)
    assert (said.status, said.body["error"]["code"]) == (503, "UNAVAILABLE")
    assert said.body["error"]["request_id"] == "mine" == said.headers["x-request-id"]
    assert int(said.headers["retry-after"]) >= 1
    assert units.tokens == before
    monkeypatch.undo()
    assert client.answered(path=PATH).status == 202


def test_where_there_was_no_room_on_the_disk_the_api_is_asked_from_then_on(
    client: Client, door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answered(path=PATH)

    class DiskFull(Exception):
        sqlstate = "53100"

    def full(several: list[NewJob]) -> None:
        raise exc.OperationalError("", {}, DiskFull())

    monkeypatch.setattr(door.serving.submitter, "_store", full)
    assert client.answered(path=PATH).status == 503
    assert client.ask(path=PATH).handed_over
    monkeypatch.undo()
    door.serving.submitter._no_room_at = None
    assert client.answered(path=PATH).status == 202


def test_what_cannot_be_stored_is_handed_over(client: Client, door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    client.answered(path=PATH)

    def refused(several: list[NewJob]) -> None:
        raise exc.IntegrityError("", {}, Exception("no such tenant"))

    monkeypatch.setattr(door.serving.submitter, "_store", refused)
    assert client.ask(path=PATH).handed_over


def test_who_went_away_leaves_the_others_their_tickets(
    platform: Platform, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.answered(path=PATH)
    monkeypatch.setattr("registry.catalog.LOOK_S", 60.0)  # nobody has to look meanwhile

    async def some_go() -> list[Any]:
        asked = [asyncio.ensure_future(client.asked(path=PATH)) for _ in range(6)]
        await asyncio.sleep(0)
        while stored(platform) == 1 and not any(one.done() for one in asked):
            asked[3].cancel()
            await asyncio.sleep(0.001)
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(some_go())
    tickets = [said for said in found if isinstance(said, Said)]
    assert {said.status for said in tickets} == {202}
    assert len(tickets) >= 5
    assert client.answered(path=PATH).status == 202


def test_what_is_handed_in_counts_as_the_routes_own(platform: Platform, client: Client) -> None:
    def counted() -> float:
        labels = {"route": PATH, "method": "POST", "status": "202"}
        return REGISTRY.get_sample_value("http_requests_total", labels) or 0

    before = counted()
    client.answered(path=PATH)
    assert counted() == before + 1


class Slow:
    """Stores what it is given when it may; `faults` is what comes of the first group."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.groups: list[int] = []
        self.fault: Exception | None = None

    def submit_all(self, several: list[NewJob]) -> list[Exception | None]:
        self.groups.append(len(several))
        assert self.may.wait(20)
        return [self.fault] * len(several)


def jobs_of(platform: Platform, *counts: int) -> list[NewJob]:
    """So many of each of some tenants."""
    made: list[NewJob] = []
    for count in counts:
        caller, _ = platform.new_tenant()
        made += [NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 60, 60, 1) for _ in range(count)]
    return made


def taken_in(slow: Slow, several: list[NewJob], later: Sequence[NewJob] = ()) -> list[Exception | None]:
    """What becomes of jobs of which the first is being stored when the others come, and of those that come behind."""

    async def all_of_them() -> list[Exception | None]:
        intake = Intake(slow)  # type: ignore[arg-type]
        asked = [asyncio.ensure_future(intake.store(new)) for new in several]
        await asyncio.sleep(0)  # in which each of them begins
        slow.may.set()
        return [*await asyncio.gather(*asked), *[await intake.store(new) for new in later]]

    return asyncio.run(all_of_them())


def test_so_many_wait_to_be_stored_and_fewer_of_one_tenant_and_nobody_tries_the_others(platform: Platform) -> None:
    slow = Slow()
    alone = taken_in(slow, jobs_of(platform, 1 + ROOM_OF_ONE + 3))
    assert [type(fault) for fault in alone] == [type(None)] * (1 + ROOM_OF_ONE) + [NotTried] * 3
    assert slow.groups == [1, *[MOST] * (ROOM_OF_ONE // MOST)]
    several = jobs_of(platform, 1 + ROOM_OF_ONE, ROOM - ROOM_OF_ONE + 2)
    found = taken_in(Slow(), several, jobs_of(platform, 1))
    # Who has been stored takes no room any more.
    assert [type(fault) for fault in found] == [type(None)] * (1 + ROOM) + [NotTried] * 2 + [type(None)]


def test_who_waits_behind_an_outage_is_not_tried(platform: Platform) -> None:
    slow = Slow()
    slow.fault = errors.Unavailable("gone")
    found = taken_in(slow, jobs_of(platform, 1 + MOST + 5))
    assert [type(fault) for fault in found] == [errors.Unavailable] + [NotTried] * (MOST + 5)
    assert slow.groups == [1]


def test_where_there_is_no_thread_nobody_waits_for_ever(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    async def two() -> list[Exception | None]:
        intake = Intake(platform.submitter)
        loop = asyncio.get_running_loop()

        def none(*_: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(intake._thread, "submit", none)
        first = await intake.store(new)
        monkeypatch.undo()
        assert loop.is_running()
        return [first, await intake.store(new)]

    [new] = jobs_of(platform, 1)
    first, second = asyncio.run(two())
    assert (type(first), second) == (NotTried, None)


def test_a_lane_that_does_not_know_the_time_has_it_looked_up_aside(door: Door, client: Client) -> None:
    door.serving.clock._looked = None
    assert client.ask(path=PATH).handed_over
    until(lambda: door.serving.clock.knows_for() > 0)
    assert client.answered(path=PATH).status == 202
