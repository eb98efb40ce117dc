from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from prometheus_client import REGISTRY
from sqlalchemy import exc, text

from access.keys import Caller
from core import broker, database, errors, ids
from core.seal import Seal
from jobs import queries, settle, submit
from jobs.fairness import Fairness
from jobs.job import PRIORITY_OFFSET_S, Priority
from tests.conftest import Platform
from tests.hands import take, took

pytestmark = pytest.mark.usefixtures("quiet")


def test_a_hint_goes_out_only_when_the_job_can_be_seen(platform: Platform) -> None:
    seen: list[int] = []

    class Looking(broker.Hints):
        def send(self, pool: str) -> bool:
            with platform.engine.connect() as connection:
                seen.append(connection.execute(text("SELECT count(*) FROM jobs")).scalar_one())
            return super().send(pool)

    line = broker.Line(platform.settings.queue.redis_url)
    submitter = submit.Submitter(
        platform.engine, line, Looking(platform.settings.queue.redis_url, line), Seal(platform.settings.sealing)
    )
    caller, _ = platform.new_tenant()
    submitter.submit(submit.NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 60, 60, max_attempts=1))
    assert seen == [1]


def test_what_is_accepted_is_counted_by_its_model(platform: Platform) -> None:
    caller, _ = platform.new_tenant()
    before = REGISTRY.get_sample_value("infer_jobs_accepted_total", {"model": "sentiment"}) or 0
    for _ in range(2):
        platform.submitter.submit(
            submit.NewJob(caller, "cpu", "sentiment", "1.0.0", {}, {}, {}, "req", 60, 60, max_attempts=1)
        )
    assert REGISTRY.get_sample_value("infer_jobs_accepted_total", {"model": "sentiment"}) == before + 2


def test_what_must_survive_a_crash_is_on_disk_before_it_is_promised(platform: Platform) -> None:
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert platform.one(f"SHOW {setting}") == ("on",)


def new(caller: Caller, **more: Any) -> submit.NewJob:
    given: dict[str, Any] = {"pool": "cpu", "model": "sentiment", "version": "1.0.0", "inputs": {}, "options": {}}
    given |= {"metadata": {}, "request_id": "req", "ttl_s": 60, "timeout_s": 60, "max_attempts": 1, **more}
    return submit.NewJob(caller, **given)


def stored(platform: Platform) -> list[UUID]:
    return [row[0] for row in platform.rows("SELECT id FROM jobs ORDER BY fair_at, id")]


def test_of_several_jobs_each_has_the_place_and_the_columns_that_it_would_have_alone(platform: Platform) -> None:
    caller, _ = platform.new_tenant()
    caller = dataclasses.replace(caller, tier=dataclasses.replace(caller.tier, pace=0.1))
    other, _ = platform.new_tenant()
    mine = [new(caller, units=2, priority=Priority.HIGH), new(caller, units=2, inputs=[{"text": "\0"}]), new(other)]
    assert platform.submitter.submit_all(mine) == [None, None, None]
    alone = new(caller)
    platform.submitter.submit(alone)
    rows = platform.rows("SELECT id, tenant_id, priority, cost, inputs, extract(epoch FROM fair_at) AS at FROM jobs")
    found = {row.id: row for row in rows}
    assert [found[job.id].tenant_id for job in mine] == [caller.tenant_id, caller.tenant_id, other.tenant_id]
    assert [(found[job.id].priority, found[job.id].cost) for job in mine] == [("high", 2), ("normal", 2), ("normal", 1)]
    assert found[mine[1].id].inputs == [{"text": "\0"}]
    # Twenty seconds for each of two units at that pace, but for the priority of the first; the other waits for nobody.
    first, second, third, fourth = (float(found[job.id].at) for job in (*mine, alone))
    assert second - first == pytest.approx(20 - PRIORITY_OFFSET_S[Priority.HIGH], abs=0.01)
    assert fourth - second == pytest.approx(20, abs=5)
    assert third < second


def test_of_several_jobs_those_that_may_be_are_stored_and_of_the_others_it_is_said_why(platform: Platform) -> None:
    full, _ = platform.new_tenant()
    full = dataclasses.replace(full, tier=dataclasses.replace(full.tier, max_pending=1))
    free, _ = platform.new_tenant()
    several = [new(full), new(full), new(free)]
    platform.line.redis.delete(f"{broker.KEY_PREFIX}hint:cpu")
    before = REGISTRY.get_sample_value("infer_jobs_accepted_total", {"model": "sentiment"}) or 0
    said = platform.submitter.submit_all(several)
    assert [type(fault) for fault in said] == [type(None), errors.BacklogFull, type(None)]
    assert {*stored(platform)} == {several[0].id, several[2].id}
    after = REGISTRY.get_sample_value("infer_jobs_accepted_total", {"model": "sentiment"})
    assert after == before + 2
    assert platform.line.redis.exists(f"{broker.KEY_PREFIX}hint:cpu")


def test_one_that_cannot_be_stored_keeps_no_other_from_it(platform: Platform) -> None:
    caller, _ = platform.new_tenant()
    stranger = dataclasses.replace(caller, tenant_id=uuid4())
    several = [new(caller), new(stranger), new(caller)]
    said = platform.submitter.submit_all(several)
    assert [type(fault) for fault in said] == [type(None), exc.IntegrityError, type(None)]
    assert {*stored(platform)} == {several[0].id, several[2].id}


def test_where_the_database_is_away_it_is_said_of_each_and_nobody_is_woken(
    platform: Platform, nowhere: sqlalchemy.Engine
) -> None:
    away = submit.Submitter(nowhere, platform.line, platform.hints, Seal(platform.settings.sealing))
    platform.line.redis.delete(f"{broker.KEY_PREFIX}hint:cpu")
    caller, _ = platform.new_tenant()
    assert [type(fault) for fault in away.submit_all([new(caller), new(caller)])] == [errors.Unavailable] * 2
    assert not platform.line.redis.exists(f"{broker.KEY_PREFIX}hint:cpu")


def test_jobs_that_are_handed_in_at_the_same_moment_are_all_stored(platform: Platform) -> None:
    caller, _ = platform.new_tenant()
    jobs = [new(caller) for _ in range(60)]
    with ThreadPoolExecutor(12) as others:
        assert [*others.map(platform.submitter.submit, jobs)] == [None] * 60
    assert {*stored(platform)} == {job.id for job in jobs}


@pytest.mark.parametrize(("characters", "waits"), [(submit.MOST_CHARACTERS, True), (submit.MOST_CHARACTERS + 1, False)])
def test_a_job_of_many_characters_is_stored_alone(platform: Platform, characters: int, waits: bool) -> None:
    caller, _ = platform.new_tenant()
    large = new(caller, inputs={"text": "x" * (characters - len('{"text":""}'))})
    with ThreadPoolExecutor(1) as other, platform.submitter._together._turn:
        done = other.submit(platform.submitter.submit, large)
        if waits:
            with pytest.raises(TimeoutError):
                done.result(0.5)
        else:
            assert done.result(20) is None
            assert stored(platform) == [large.id]
        platform.submitter._together._turn.release()
        assert done.result(20) is None
        platform.submitter._together._turn.acquire()
    assert stored(platform) == [large.id]


@pytest.mark.parametrize("known", [True, False], ids=["by Redis", "without Redis"])
def test_jobs_of_one_tenant_that_come_together_stand_one_behind_the_other(platform: Platform, known: bool) -> None:
    caller, _ = platform.new_tenant()
    caller = dataclasses.replace(caller, tier=dataclasses.replace(caller.tier, pace=0.5))
    line = platform.line if known else broker.Line("redis://127.0.0.1:1")
    places = [new(caller, units=units).place for units in (1, 2, 3)]
    first, second, third = Fairness(platform.engine, line).offsets_s(places)
    assert second - first == pytest.approx(2, abs=0.01)
    assert third - second == pytest.approx(4, abs=0.01)


class DiskFull(Exception):
    sqlstate = "53100"


def test_a_database_without_room_is_remembered_for_a_while_or_until_it_stores_something(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    away: list[Exception] = []

    def store(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if away and "INSERT INTO jobs" in statement:
            raise exc.OperationalError("", {}, away[0])

    engine = database.create_engine(platform.settings.database_url)
    sqlalchemy.event.listen(engine, "before_cursor_execute", store)
    mine = submit.Submitter(engine, platform.line, platform.hints, Seal(platform.settings.sealing))
    caller, _ = platform.new_tenant()

    def alone() -> None:
        if away:
            with pytest.raises(errors.Unavailable):
                mine.submit(new(caller))
        else:
            mine.submit(new(caller))

    def together() -> None:
        assert [type(fault) for fault in mine.submit_all([new(caller)])] == [errors.Unavailable if away else type(None)]

    found = [mine.accepts]
    for hand_in in (alone, together):
        for error in (Exception("away"), DiskFull(), None):
            away[:] = [error] if error else []
            hand_in()
            found.append(mine.accepts)
    assert found == [True, *[True, False, True] * 2]
    away[:] = [DiskFull()]
    alone()
    monkeypatch.setattr(submit, "NO_ROOM_S", -1.0)
    assert mine.accepts
    engine.dispose()


ROOM = 2**20 - len(database.dumps({"text": ""}))


@pytest.mark.parametrize(
    ("inputs", "shares"),
    [([{}] * 256, True), ([{}] * 257, False), ({"text": "x" * ROOM}, True), ({"text": "x" * (ROOM + 1)}, False)],
    ids=["as many inputs", "one more", "as many characters", "one more of those"],
)
def test_jobs_of_much_are_claimed_one_by_one_also_when_they_are_handed_in_again(
    platform: Platform, inputs: object, shares: bool
) -> None:
    caller, _ = platform.new_tenant()
    for given in (inputs, {}, inputs):
        platform.submitter.submit(new(caller, inputs=given))
    claims = [took(platform) for _ in range(1 if shares else 3)]
    assert [len(jobs) for jobs in claims] == ([3] if shares else [1, 1, 1])
    assert take(platform) is None
    first = claims[0][0]
    settle.fail(platform.engine, first, errors.InvalidInput("no"))
    old, again = queries.get(platform.engine, caller.tenant_id, first.id), ids.uuid7()
    platform.submitter.again(old, again, caller=caller, request_id="req", timeout_s=77, max_attempts=1)
    lanes = "SELECT DISTINCT batches, lane FROM jobs WHERE id IN (:old, :new)"
    assert platform.rows(lanes, old=first.id, new=again) == [
        (shares, "cpu/predict/sentiment/1.0.0" if shares else "cpu/predict/sentiment/1.0.0/alone")
    ]
