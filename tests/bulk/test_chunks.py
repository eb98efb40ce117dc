"""What becomes of the chunks of a file: each is answered once, charged once, and from the file that was cut."""

from __future__ import annotations

import dataclasses
import datetime as dt
import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import IO, Any
from uuid import UUID

import flask.testing
import pytest

from core import errors
from inference import threads
from inference.interrupt import Interrupt
from inference.output import Label
from jobs import kinds, rescue
from jobs.bulk import answering, merge, places, progress
from jobs.bulk.plan import Plan, Span
from jobs.bulk.progress import Chunk
from jobs.bulk.rows import Row
from jobs.drain import Drainer
from jobs.job import Claimed, Status
from jobs.lease import Held
from jobs.payloads import Chunk as Payload
from jobs.result import Part, Rows
from storage.fetch import Fetcher
from tests.bulk.conftest import Run, Send
from tests.bulk.test_life import ROWS, lines, output, show, step, submit
from tests.changed import changed
from tests.conftest import Platform, until
from tests.hands import clean_up, lose, took, with_tools

Client = flask.testing.FlaskClient


def test_a_chunk_whose_copied_file_was_replaced_ends_as_input_changed_and_answers_nothing_from_it(
    client: Client, upload: Send, work: Run, drainer: Drainer, platform: Platform
) -> None:
    job_id = submit(client, upload(lines(ROWS[:10])))
    step(drainer)
    (chunk,) = platform.rows("SELECT inputs FROM jobs WHERE kind = 'chunk'")
    platform.store.put(chunk[0]["key"], lines([{**row, "text": "Hateful"} for row in ROWS[:10]]))
    work()
    assert platform.rows("SELECT status, error ->> 'code' FROM jobs WHERE kind = 'chunk'") == [
        ("failed", "INPUT_CHANGED")
    ]
    job = show(client, job_id)
    assert (job["status"], job["error"]["code"]) == ("failed", "INPUT_CHANGED")
    assert platform.one("SELECT count(*) FROM usage") == (0,)


def test_rows_that_have_an_error_cost_nothing(client: Client, upload: Send, work: Run, platform: Platform) -> None:
    good, bad = ROWS[:7], [{"text": ""}, {"nothing": 1}, "no object"]
    submit(client, upload(lines([*good, *bad])))
    work()
    assert platform.one("SELECT sum(units) FROM usage WHERE kind <> 'inline'") == (7,)


def test_the_rows_of_a_chunk_that_ended_without_a_part_have_an_error_each(
    client: Client, upload: Send, work: Run, drainer: Drainer, platform: Platform
) -> None:
    job_id = submit(client, upload(lines(ROWS[:9000])))
    for _ in ("plan", "the first chunk"):
        step(drainer)
    for _ in range(3):
        took(platform)
        assert rescue.child_died(platform.engine, "wake-1", max_losses=3) == 1
        platform.execute("UPDATE jobs SET not_before = now() WHERE status = 'pending'")
    clean_up(platform)
    work()
    job = show(client, job_id)
    assert (job["status"], job["rows"]) == ("completed", {"total": 9000, "done": 9000, "failed": 808})
    found = output(job)
    assert [(row["line"], row["id"]) for row in found] == [(line, row["id"]) for line, row in enumerate(ROWS[:9000], 1)]
    assert [row["error"]["code"] for row in found if "error" in row] == ["WORKER_LOST"] * 808
    assert output(job, "errors") == found[8192:]


def plan(parts: int) -> Plan:
    return Plan("key", "etag", None, [Span(part, part + 1, part + 1, 1) for part in range(parts)])


@pytest.fixture
def bulk(platform: Platform, new_job: Callable[..., UUID], quiet: None) -> Claimed:
    """A job from a file in somebody's hands."""
    new_job(kind="bulk", inputs={"key": "uploads/1"}, options={"return_errors": "lines"})
    (found,) = took(platform)
    return found


def test_a_zombie_cutter_parks_nothing_twice(platform: Platform, bulk: Claimed) -> None:
    lose(platform)
    (successor,) = took(platform)
    assert not progress.park(platform.engine, bulk, plan(2), units=1)
    assert progress.park(platform.engine, successor, plan(2), units=1)
    assert not progress.park(platform.engine, bulk, plan(2), units=1)
    assert len(progress.chunks(platform.engine, bulk.id)) == 2


def test_a_cutter_that_does_not_know_whether_it_has_parked_may_do_it_again(platform: Platform, bulk: Claimed) -> None:
    found = [progress.park(platform.engine, bulk, plan(3), units=1) for _ in range(3)]
    assert (found, len(progress.chunks(platform.engine, bulk.id))) == ([True, False, False], 3)


def test_a_chunk_tells_its_progress_and_how_long_it_took(
    client: Client, upload: Send, drainer: Drainer, platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(client, upload(lines(ROWS[:600])))
    step(drainer)
    (held,) = drainer.leases.hold(took(platform))
    told: list[float] = []
    monkeypatch.setattr(held, "advance", told.append)
    started = time.perf_counter()
    (outcome,) = drainer.attempts.run([held])
    assert 0 < outcome.run_s < time.perf_counter() - started
    assert told == [row / 600 for row in range(1, 601)]
    Held.advance(held, told[299])
    drainer.leases.beat()
    assert platform.one("SELECT progress FROM jobs WHERE kind = 'chunk'") == (49,)


def completed(platform: Platform, bulk_id: UUID) -> Chunk:
    """A chunk that has its part."""
    key = f"{places.folder(bulk_id)}parts/000000.1.jsonl"
    platform.store.put(key, b'{"line":1}\n')
    payload = Payload(bulk_id, "input", "etag", None, part=0, start=0, end=9, line=1, rows=1)
    return Chunk(UUID(int=1), Status.COMPLETED, payload, None, Part(key, rows=1, failed=0))


LOST = {"code": "WORKER_LOST", "message": "The worker disappeared while running this job"}


@pytest.mark.parametrize("error", [LOST, None], ids=["with a reason", "without one"])
def test_of_parts_some_of_which_are_missing_each_row_has_an_answer_or_an_error_and_is_counted_once(
    platform: Platform, bulk: Claimed, error: dict[str, str] | None
) -> None:
    copy = f"{places.folder(bulk.id)}input"
    platform.store.put(copy, lines(ROWS[:2]))
    head = platform.store.head(copy)
    assert head is not None
    payload = Payload(bulk.id, copy, head.etag, None, part=1, start=0, end=len(lines(ROWS[:2])), line=2, rows=2)
    missing = Chunk(UUID(int=2), Status.FAILED, payload, error, None)
    manifest = platform.catalog.resolve("sentiment", "1.0.0").manifest
    result = merge.merge(platform.store, manifest, Held(bulk), [completed(platform, bulk.id), missing]).result
    assert isinstance(result, Rows)
    assert (result.rows, result.failed, result.sent, result.send_error) == (3, 2, None, None)
    said = error or {"code": None, "message": None}
    refused = [{"line": line, "id": row["id"], "error": said} for line, row in enumerate(ROWS[:2], 2)]
    for key, found in ((result.output_key, [{"line": 1}, *refused]), (result.errors_key, refused)):
        assert [json.loads(line) for line in platform.store.get(str(key)).splitlines()] == found


def test_a_file_whose_parts_take_too_long_to_put_together_ends_as_timed_out(
    platform: Platform, bulk: Claimed, drainer: Drainer, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk, manifest = completed(platform, bulk.id), platform.catalog.resolve("sentiment", "1.0.0").manifest
    (held,) = drainer.leases.hold([dataclasses.replace(bulk, timeout_s=0)])
    get = platform.store.get_file

    def slow(key: str, file: IO[bytes]) -> None:
        until(lambda: held.timed_out)
        get(key, file)

    monkeypatch.setattr(platform.store, "get_file", slow)
    outcome = merge.merge(platform.store, manifest, held, [chunk, chunk])
    assert (outcome.result, type(outcome.error)) == (None, errors.TimedOut)


@pytest.mark.parametrize(("cores", "ahead"), [(1, 1), (2, 2), (4, 4), (64, 4)])
def test_a_batch_waits_for_each_runner_that_may_become_free_and_no_more_of_the_file_is_in_memory(
    bulk: Claimed, monkeypatch: pytest.MonkeyPatch, cores: int, ahead: int
) -> None:
    monkeypatch.setattr(threads, "available", lambda: cores)
    model = Echo()
    answered: list[int] = []
    unanswered: list[int] = []

    def found() -> Iterator[Row]:
        for number in range(30):
            if number % model.max_batch == 0:
                unanswered.append((number - len(answered)) // model.max_batch)
            yield Row(number, inputs={"x": number})

    for row, said in answering.answers(model, Held(bulk), found()):  # type: ignore[arg-type]
        assert said == Label(str(row.line), 1.0, {})
        answered.append(row.line)
    assert answered == list(range(30))
    assert max(unanswered) == ahead


@pytest.mark.parametrize(
    ("why", "error"), [("timed_out", errors.TimedOut), ("canceled", None), ("lost", None), ("given_back", None)]
)
@pytest.mark.parametrize("when", ["before a batch", "in the middle of one"])
def test_a_chunk_that_nobody_wants_any_more_is_left_where_it_is_and_stores_nothing(
    platform: Platform, bulk: Claimed, why: str, error: type[errors.CoatcheckError] | None, when: str
) -> None:
    copy = f"{places.folder(bulk.id)}input"
    platform.store.put(copy, lines(ROWS[:2]))
    head = platform.store.head(copy)
    assert head is not None
    payload = Payload(bulk.id, copy, head.etag, None, part=0, start=0, end=head.size, line=1, rows=2)
    held = Held(dataclasses.replace(bulk, inputs=payload.to_json()))

    class Interrupted(Echo):
        def each(self, rows: Sequence[dict[str, int]], interrupt: Interrupt) -> list[Label]:
            setattr(held, why, True)
            raise errors.ModelInterrupted

    model = Interrupted()
    model.bundle.manifest = platform.catalog.resolve("sentiment", "1.0.0").manifest
    setattr(held, why, when == "before a batch")
    shelf = SimpleNamespace(predictor=lambda _: model)
    (outcome,) = kinds.CHUNK.run(with_tools(platform.attempts, shelf=shelf).tools, [held])
    assert (outcome.result, type(outcome.error)) == (None, error or type(None))
    assert platform.store.head(f"{places.part(payload, bulk.attempt)}.jsonl") is None


class Echo:
    """A model that says what it was given."""

    max_batch = 3

    def __init__(self) -> None:
        self.bundle = SimpleNamespace(manifest=SimpleNamespace(max_batch=self.max_batch))

    def each(self, rows: Sequence[dict[str, int]], interrupt: Interrupt) -> list[Label]:
        return [Label(str(row["x"]), 1.0, {}) for row in rows]


def test_the_rows_of_a_chunk_have_no_more_time_than_it_has(bulk: Claimed, drainer: Drainer) -> None:
    (held,) = drainer.leases.hold([dataclasses.replace(bulk, timeout_s=0)])

    class Endless(Echo):
        def each(self, rows: Sequence[dict[str, int]], interrupt: Interrupt) -> list[Label]:
            until(lambda: interrupt.is_set)
            raise errors.ModelInterrupted

    with pytest.raises(errors.ModelInterrupted):
        list(answering.answers(Endless(), held, iter([Row(1, inputs={"x": 1})])))  # type: ignore[arg-type]
    assert held.timed_out


def is_said_or_tried_again(platform: Platform, merged: Callable[[], Any], *, said: bool) -> None:
    """That an output was not sent; where it is said, it is kept."""
    if not said:
        with pytest.raises(errors.OutputUnavailable):
            merged()
        return
    result = merged()
    assert (result.sent, result.send_error["code"]) == (False, "OUTPUT_UNAVAILABLE")
    assert platform.store.get(result.output_key) == b'{"line":1}\n'


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_an_output_url_that_never_answers_is_said_in_send_error_at_the_last_attempt_and_the_job_completes(
    platform: Platform, bulk: Claimed, attempt: int
) -> None:
    nowhere = "http://127.0.0.1:1/inbox"
    fetcher = Fetcher(changed(platform.settings, input_private_buckets=(nowhere,)))
    held = Held(dataclasses.replace(bulk, attempt=attempt, max_attempts=2))
    manifest = platform.catalog.resolve("sentiment", "1.0.0").manifest

    def merged() -> Any:
        send = lambda file, size: fetcher.put(f"{nowhere}/out.jsonl?x=1", file, size)  # noqa: E731
        return merge.merge(platform.store, manifest, held, [completed(platform, bulk.id)], send).result

    is_said_or_tried_again(platform, merged, said=attempt >= 2)


@pytest.mark.parametrize("renewed", [False, True], ids=["claimed", "renewed"])
@pytest.mark.parametrize(("left_s", "said"), [(304, True), (305, False)])
def test_an_output_url_that_does_not_answer_ends_no_job_that_has_no_time_for_another_attempt(
    platform: Platform, bulk: Claimed, left_s: int, said: bool, renewed: bool
) -> None:
    # Which begins within five seconds, and has five minutes.
    left = dt.timedelta(seconds=left_s)
    if renewed:
        held = Held(bulk, renewed_at=bulk.expires_at - left)
    else:
        held = Held(dataclasses.replace(bulk, expires_at=bulk.claimed_at + left))
    manifest = platform.catalog.resolve("sentiment", "1.0.0").manifest

    def away(file: IO[bytes], size: int) -> None:
        raise errors.OutputUnavailable("output_url answers 503")

    def merged() -> Any:
        return merge.merge(platform.store, manifest, held, [completed(platform, bulk.id)], away).result

    is_said_or_tried_again(platform, merged, said=said)


def test_an_output_that_was_refused_for_good_is_said_at_once(platform: Platform, bulk: Claimed) -> None:
    manifest = platform.catalog.resolve("sentiment", "1.0.0").manifest

    def refuse(file: io.IOBase, size: int) -> None:
        raise errors.OutputRefused("output_url answers 403")

    outcome = merge.merge(platform.store, manifest, Held(bulk), [completed(platform, bulk.id)], refuse)  # type: ignore[arg-type]
    assert isinstance(outcome.result, Rows)
    assert outcome.result.send_error is not None
    assert outcome.result.send_error["code"] == "OUTPUT_REFUSED"
