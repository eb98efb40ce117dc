"""Words that leave a run before its end: in order, bounded, fenced, and told again to who comes back."""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import flask.testing
import pytest
import sqlalchemy
from sqlalchemy import text

from core import errors, ids
from inference.output import Record
from jobs import events, pieces, queries, settle
from jobs.drain import Drainer
from jobs.follower import Follower
from jobs.lease import Held
from jobs.outcome import Outcome
from jobs.pieces import MOST_BYTES, Pieces
from tests.conftest import Platform, until
from tests.hands import lose, took, without_threads

pytestmark = pytest.mark.usefixtures("quiet")
NewJob = Callable[..., UUID]


@pytest.fixture
def held(drainer: Drainer, platform: Platform, new_job: NewJob) -> Iterator[Held]:
    """One that nobody beats for but the test."""
    new_job()
    drainer.leases.close()
    drainer.leases.join()
    (found,) = drainer.leases.hold(took(platform))
    yield found
    drainer.leases.release([found])


def waiting(held: Held) -> dict[tuple[UUID, int], Pieces]:
    assert held.pieces is not None
    return {(held.job.id, held.job.attempt): held.pieces}


def told(platform: Platform, job_id: UUID) -> list[tuple[str, int, object]]:
    sql = "SELECT type, attempt, output FROM job_events WHERE job_id = :id ORDER BY id"
    return [(row.type, row.attempt, row.output) for row in platform.rows(sql, id=job_id)]


def test_what_comes_in_one_moment_is_one_event_and_in_order(platform: Platform, drainer: Drainer, held: Held) -> None:
    for number in range(3):
        held.emit({"number": number})
    drainer.leases.tell([held])
    drainer.leases.tell([held])
    held.emit("and a text")
    drainer.leases.tell([held])
    assert told(platform, held.job.id)[1:] == [
        ("output", 1, {"first": 0, "pieces": [{"number": 0}, {"number": 1}, {"number": 2}]}),
        ("output", 1, {"first": 3, "pieces": ["and a text"]}),
    ]


def test_all_of_them_are_told_before_the_job_ends(platform: Platform, drainer: Drainer, held: Held) -> None:
    held.emit({"last": True})
    drainer.finisher.finish([held], [Outcome(held, Record({"all": 1}))])
    assert [kind for kind, _, _ in told(platform, held.job.id)] == ["processing", "output", "completed"]


def test_an_attempt_that_lost_its_job_tells_nothing_more(platform: Platform, drainer: Drainer, held: Held) -> None:
    lose(platform)
    held.emit({"by": "a zombie"})
    drainer.leases.tell([held])
    (successor,) = map(Held, took(platform))
    held.emit({"by": "a zombie"})
    successor.emit({"by": "its successor"})
    drainer.leases.tell([held])
    drainer.leases.tell([successor])
    outputs = [item for item in told(platform, held.job.id) if item[0] == "output"]
    assert outputs == [("output", 2, {"first": 0, "pieces": [{"by": "its successor"}]})]


def test_what_the_database_refuses_to_store_costs_neither_the_result_nor_the_lease(
    platform: Platform, drainer: Drainer, held: Held
) -> None:
    platform.execute("ALTER TABLE job_events ADD CONSTRAINT poison CHECK (type <> 'output')")
    try:
        held.emit({"number": 1})
        drainer.leases.tell([held])
        assert drainer.finisher.finish([held], [Outcome(held, Record({"all": 1}))]) == 1
    finally:
        platform.execute("ALTER TABLE job_events DROP CONSTRAINT poison")
    assert [kind for kind, _, _ in told(platform, held.job.id)] == ["processing", "completed"]


def test_after_its_end_nothing_is_told(platform: Platform, drainer: Drainer, held: Held) -> None:
    settle.fail(platform.engine, held.job, errors.ModelError())
    held.emit("too late")
    drainer.leases.tell([held])
    assert [kind for kind, _, _ in told(platform, held.job.id)] == ["processing", "failed"]


def test_no_piece_comes_behind_the_end_of_its_job_that_somebody_is_just_writing(
    platform: Platform, drainer: Drainer, held: Held
) -> None:
    held.emit("too late")
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO job_events%'"
    ended = text("UPDATE jobs SET status = 'failed', error = '{}' WHERE id = :id")
    with ThreadPoolExecutor(1) as pool:
        with platform.admin.begin() as elsewhere:
            elsewhere.execute(ended, {"id": held.job.id})
            telling = pool.submit(drainer.leases.tell, [held])
            until(lambda: telling.done() or platform.rows(waits))
        telling.result(60)
    assert [kind for kind, _, _ in told(platform, held.job.id)] == ["processing", "failed"]


def test_of_two_who_tell_at_once_each_tells_what_the_other_has_not_told(
    platform: Platform, drainer: Drainer, held: Held
) -> None:
    held.emit({"number": 1})
    waits = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO job_events%'"
    hold = text("SELECT FROM jobs WHERE id = :id FOR UPDATE")
    with ThreadPoolExecutor(2) as pool:
        with platform.admin.begin() as elsewhere:
            elsewhere.execute(hold, {"id": held.job.id})
            telling = [pool.submit(drainer.leases.tell, [held])]
            until(lambda: platform.rows(waits))
            telling.append(pool.submit(drainer.leases.tell, [held]))
            # Whoever does not wait for the first one waits for the row, with the same piece.
            with contextlib.suppress(AssertionError):
                until(lambda: len(platform.rows(waits)) == 2, 0.3)
        for one in telling:
            one.result(60)
    assert told(platform, held.job.id)[1:] == [("output", 1, {"first": 0, "pieces": [{"number": 1}]})]


def test_an_outage_costs_no_piece(platform: Platform, drainer: Drainer, held: Held, nowhere: sqlalchemy.Engine) -> None:
    held.emit({"number": 1})
    with pytest.raises(sqlalchemy.exc.OperationalError):
        pieces.tell(nowhere, waiting(held))
    held.emit({"number": 2})
    drainer.leases.tell([held])
    assert told(platform, held.job.id)[1:] == [("output", 1, {"first": 0, "pieces": [{"number": 1}, {"number": 2}]})]


@pytest.mark.parametrize("over", [0, 1])
def test_an_attempt_tells_up_to_its_limit_and_then_says_once_that_there_is_more(
    platform: Platform, drainer: Drainer, held: Held, over: int
) -> None:
    held.emit("x" * (MOST_BYTES // 2 - 2))
    held.emit("y" * (MOST_BYTES - MOST_BYTES // 2 - 2 + over))
    held.emit("") if over else None
    drainer.leases.tell([held])
    held.emit("more")
    drainer.leases.tell([held])
    outputs = [output for kind, _, output in told(platform, held.job.id) if kind == "output"]
    assert [len(output["pieces"]) for output in outputs] == ([1] if over else [2, 0])  # type: ignore[index]
    assert [output.get("truncated") for output in outputs] == ([True] if over else [None, True])  # type: ignore[attr-defined]


def test_a_piece_that_is_no_json_is_refused_where_it_is_said(held: Held) -> None:
    with pytest.raises(TypeError):
        held.emit({"odd": object()})
    assert [found.waiting() for found in waiting(held).values()] == [[]]


def test_they_are_in_the_event_stream_which_is_taken_up_where_it_was_left(
    client: flask.testing.FlaskClient, platform: Platform, drainer: Drainer
) -> None:
    job_id = client.post("/api/v1/jobs", json={"inputs": {"text": "Lovely"}}).get_json()["job_id"]
    (held,) = drainer.leases.hold(took(platform))
    held.emit({"word": "alpha"})
    drainer.leases.tell([held])
    held.emit({"word": "second"})
    drainer.finisher.finish([held], [Outcome(held, Record({"all": 1}))])
    stream = client.get(f"/api/v1/jobs/{job_id}/events").text
    assert stream.index('"pieces":[{"word":"alpha"}]') < stream.index('"pieces":[{"word":"second"}]')
    assert stream.count("event: output\n") == 2
    rest = client.get(f"/api/v1/jobs/{job_id}/events", headers={"Last-Event-ID": stream_id(stream, "alpha")}).text
    assert ('"alpha"' in rest, '"second"' in rest) == (False, True)
    timeline = client.get(f"/api/v1/jobs/{job_id}").get_json()["timeline"]
    assert [item["event"] for item in timeline] == ["pending", "processing", "completed"]


def stream_id(stream: str, word: str) -> str:
    event = next(event for event in stream.split("\n\n") if word in event)
    return event.split("id: ")[1].partition("\n")[0]


def test_many_who_follow_cost_one_thread_and_each_hears_all_from_where_it_stood(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    job_ids = [new_job(), new_job()]
    follower = Follower(platform.engine)
    tenant_id = UUID(str(platform.one("SELECT DISTINCT tenant_id FROM jobs")[0]))
    jobs = [queries.get(platform.engine, tenant_id, job_id) for job_id in job_ids]
    before = [thread.name for thread in threading.enumerate()].count("follower")
    followed = [follower.follow(job) for job in jobs for _ in range(5)]
    # What comes second is silence: they wait.
    begun = [[event and event.type for event in itertools.islice(item, 2)] for item in followed]
    assert begun == [["pending", None]] * 10
    held = drainer.leases.hold(took(platform))
    assert [thread.name for thread in threading.enumerate()].count("follower") == before + 1
    for item in held:
        item.emit({"of": ids.job_id(item.job.id)})
    drainer.finisher.finish(held, [Outcome(item, Record({})) for item in held])
    heard = [[event for event in item if event] for item in followed]
    assert all([event.type for event in mine] == ["processing", "output", "completed"] for mine in heard)
    for job, mine in zip([job for job in jobs for _ in range(5)], heard, strict=True):
        assert mine[1].output == {"first": 0, "pieces": [{"of": ids.job_id(job.id)}]}


def test_who_follows_while_postgres_is_away_is_told_so(
    platform: Platform, nowhere: sqlalchemy.Engine, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job()
    tenant_id = UUID(str(platform.one("SELECT DISTINCT tenant_id FROM jobs")[0]))
    follower = Follower(platform.engine)
    following = follower.follow(queries.get(platform.engine, tenant_id, job_id))
    assert next(following) is not None
    monkeypatch.setattr(follower, "_engine", nowhere)
    with pytest.raises(errors.Unavailable):
        list(following)


def test_who_follows_while_there_is_no_thread_is_told_so_and_leaves_nothing_behind(
    platform: Platform, drainer: Drainer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job()
    tenant_id = UUID(str(platform.one("SELECT DISTINCT tenant_id FROM jobs")[0]))
    follower, job = Follower(platform.engine), queries.get(platform.engine, tenant_id, job_id)
    with without_threads(monkeypatch), pytest.raises(errors.Busy):
        list(follower.follow(job))
    assert follower._readers == set()
    held = drainer.leases.hold(took(platform))
    drainer.finisher.finish(held, [Outcome(item, Record({})) for item in held])
    assert [event.type for event in follower.follow(job) if event] == ["pending", "processing", "completed"]


def test_a_follower_that_broke_leaves_nobody_waiting_and_another_takes_its_place(
    platform: Platform, drainer: Drainer, new_job: NewJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = new_job()
    tenant_id = UUID(str(platform.one("SELECT DISTINCT tenant_id FROM jobs")[0]))
    follower, job = Follower(platform.engine), queries.get(platform.engine, tenant_id, job_id)
    with monkeypatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)
        patch.setattr(events, "new", lambda *_: 1 / 0)
        with pytest.raises(errors.Unavailable):
            list(follower.follow(job))
        until(lambda: not follower._looking.is_alive())
    held = drainer.leases.hold(took(platform))
    drainer.finisher.finish(held, [Outcome(item, Record({})) for item in held])
    assert [event.type for event in follower.follow(job) if event] == ["pending", "processing", "completed"]


@pytest.mark.parametrize(("piece", "fits"), [("a" * 8, True), ("a" * 9, False), ("äöüß", True), ("äöüßa", False)])
def test_what_an_attempt_may_tell_is_counted_in_bytes_and_not_in_characters(
    monkeypatch: pytest.MonkeyPatch, piece: str, fits: bool
) -> None:
    monkeypatch.setattr(pieces, "MOST_BYTES", 10)  # with the two that quote it
    told = Pieces()
    told.add(piece)
    assert told.waiting() == [f'"{piece}"' if fits else ""]


def test_each_of_several_who_follow_a_job_hears_every_event_once_however_slowly_the_others_read(
    platform: Platform, drainer: Drainer, new_job: NewJob
) -> None:
    job_id = new_job()
    tenant_id = UUID(str(platform.one("SELECT DISTINCT tenant_id FROM jobs")[0]))
    follower, job = Follower(platform.engine), queries.get(platform.engine, tenant_id, job_id)
    # One who has heard of its beginning and takes nothing for now, one who takes all, and one who goes away.
    slow, quick, gone = (follower.follow(job) for _ in range(3))
    for following in (slow, quick, gone):
        assert [event and event.type for event in itertools.islice(following, 2)] == ["pending", None]
    gone.close()  # type: ignore[attr-defined]
    [held] = drainer.leases.hold(took(platform))

    def told(number: int) -> object:
        held.emit({"number": number})
        found = next(event for event in quick if event and event.type == "output")
        return found.output and found.output["pieces"]

    assert [told(number) for number in range(3)] == [[{"number": number}] for number in range(3)]
    late = follower.follow(job)
    # Now it takes what came meanwhile, while the quick one has it long since.
    taken = [item.type for item in itertools.islice(filter(None, slow), 4)]
    assert taken == ["processing", "output", "output", "output"]
    assert told(3) == [{"number": 3}]
    drainer.finisher.finish([held], [Outcome(held, Record({}))])
    for following, there in ((quick, 0), (slow, 1), (late, 4)):
        rest = [item.type for item in following if item]
        assert rest[-there - 1 :] == ["output"] * there + ["completed"]
        assert rest.count("output") == there
    until(lambda: not follower._readers)
