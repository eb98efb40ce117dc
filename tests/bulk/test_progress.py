"""What a parked job hears of its chunks."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest

import models
from jobs.bulk import progress
from models.jobs import STATUSES, TERMINAL
from serving import retrieve
from tests import factories
from tests.conftest import Platform
from tests.hands import status_of

pytestmark = pytest.mark.usefixtures("quiet")
PARKED = {"kind": "bulk", "status": "processing", "worker": None, "wake_id": None, "lease_expires_at": "infinity"}
DONE: dict[str, Any] = {"status": "completed"}
RUNS: dict[str, Any] = {"status": "processing"}


@pytest.fixture
def tenant(platform: Platform) -> UUID:
    return factories.tenant(platform)


def parked(platform: Platform, tenant: UUID, *chunks: dict[str, Any], **given: Any) -> UUID:
    """A parked job with these chunks, and nobody's hands on it."""
    bulk = factories.job(platform, tenant, **PARKED, **given)
    for part, chunk in enumerate(chunks):
        factories.chunk(platform, bulk, part=part, **chunk)
    return UUID(str(bulk["id"]))


def heard(platform: Platform, bulk: UUID) -> tuple[Any, ...]:
    """Its status, its progress and how many attempts it has left, after one look."""
    progress.advance(platform.engine)
    asked = "SELECT status, progress, max_attempts - attempt FROM jobs WHERE id = :id"
    return tuple(platform.one(asked, id=bulk))


@pytest.mark.parametrize(
    ("chunks", "percent"),
    [
        ([{"rows": 2, **DONE}, {"rows": 1, "status": "pending"}], 66),
        ([{"rows": 1, **DONE}, {"rows": 1, "progress": 50, **RUNS}], 75),
        ([{"rows": 3, "progress": 10, **RUNS}, {"rows": 1, "progress": 90, **RUNS}], 30),
        ([{"rows": 999, **DONE}, {"rows": 1, **RUNS}], 99),
    ],
    ids=["one of two, by rows", "half of one", "none, by rows", "nearly all"],
)
def test_its_progress_is_that_of_its_rows_and_costs_it_no_attempt(
    platform: Platform, tenant: UUID, chunks: list[dict[str, Any]], percent: int
) -> None:
    bulk = parked(platform, tenant, *chunks, progress=5)
    assert heard(platform, bulk) == heard(platform, bulk) == ("processing", percent, 3)


def test_one_look_is_at_no_more_parked_jobs_than_it_may_be(
    platform: Platform, tenant: UUID, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        parked(platform, tenant, {"rows": 1, **DONE}, {"rows": 1, "status": "pending"})
    monkeypatch.setattr(progress, "LIMIT", 2)
    progress.advance(platform.engine)
    assert platform.one("SELECT count(*) FROM jobs WHERE kind = 'bulk' AND progress = 50") == (2,)


def test_progress_never_goes_back(platform: Platform, tenant: UUID) -> None:
    bulk = parked(platform, tenant, {"rows": 1, **DONE}, {"rows": 9, **RUNS}, progress=80)
    assert heard(platform, bulk) == ("processing", 80, 3)


@pytest.mark.parametrize("before", [0, 99])
def test_when_the_last_chunk_has_ended_it_is_due_once_more_with_an_attempt_for_that(
    platform: Platform, tenant: UUID, before: int
) -> None:
    bulk = parked(platform, tenant, DONE, {"status": "failed", "error": {"code": "X"}}, progress=before)
    assert heard(platform, bulk) == ("pending", 99, 4)


def test_a_look_that_hears_nothing_new_writes_nothing(platform: Platform, tenant: UUID) -> None:
    bulk = parked(platform, tenant, {"rows": 1, **DONE}, {"rows": 1, **RUNS})
    written = "SELECT progress, CAST(xmin AS text) FROM jobs WHERE id = :id"
    progress.advance(platform.engine)
    before = platform.one(written, id=bulk)
    progress.advance(platform.engine)
    assert before[0] == 50
    assert platform.one(written, id=bulk) == before


def test_the_end_of_a_chunk_is_heard_by_its_own_file_and_by_no_other(platform: Platform, tenant: UUID) -> None:
    mine, other = parked(platform, tenant, DONE), parked(platform, tenant, DONE)
    assert progress.advance(platform.engine, mine) == {"cpu"}
    assert (status_of(platform, mine), status_of(platform, other)) == ("pending", "processing")


#: Five rows of a file: how they stand, what becomes of a bad one, and how many of them are done and have an error.
ROWS: Mapping[str, tuple[dict[str, Any], str, tuple[int, int]]] = {
    "answered, two of them with errors": (DONE, "individual", (5, 2)),
    "lost, and each is to have an error": ({"status": "failed"}, "individual", (5, 5)),
    "lost, and the job is to fail": ({"status": "failed"}, "fail_fast", (0, 0)),
    "canceled": ({"status": "canceled"}, "individual", (0, 0)),
    "canceled on the way": ({"status": "canceled", "progress": 40}, "individual", (0, 0)),
    "too late": ({"status": "expired"}, "individual", (0, 0)),
    "under way": ({"progress": 40, **RUNS}, "individual", (2, 0)),
    "waiting": ({}, "individual", (0, 0)),
    "waiting again": ({"attempt": 1, "progress": 60}, "individual", (3, 0)),
}


@pytest.mark.parametrize("situation", ROWS)
def test_rows_are_counted_as_they_stand(platform: Platform, tenant: UUID, situation: str) -> None:
    given, errors, (done, failed) = ROWS[situation]
    bulk = parked(platform, tenant)
    row = {"id": bulk, "tenant_id": tenant}
    chunk = factories.chunk(platform, row, rows=5, options={"return_errors": errors}, **given)
    if given is DONE:
        body = {"form": "part", "key": "part", "rows": 5, "failed": 2}
        factories.add(platform, models.JobResult, job_id=chunk["id"], body=body)
    # A file of somebody else.
    factories.chunk(platform, {"id": parked(platform, tenant), "tenant_id": tenant}, rows=7, status="completed")
    assert progress.count(platform.engine, bulk) == progress.Rows(5, done, failed)


def test_a_file_without_chunks_has_no_rows_yet(platform: Platform, tenant: UUID) -> None:
    assert progress.count(platform.engine, parked(platform, tenant)) == progress.Rows(0, 0, 0)


@pytest.mark.parametrize("status", STATUSES)
def test_a_job_is_open_while_any_of_its_chunks_waits_or_runs(platform: Platform, tenant: UUID, status: str) -> None:
    bulk = parked(platform, tenant, DONE, {"status": status}, {"status": "canceled"})
    parked(platform, tenant, {"status": "pending"}, RUNS)
    assert progress.is_open(platform.engine, bulk) is (status not in TERMINAL)


FAST: dict[str, Any] = {"options": {"return_errors": "fail_fast"}}


@pytest.mark.parametrize("before", [0, 80])
def test_one_that_is_to_fail_fast_ends_with_its_first_failed_chunk(
    platform: Platform, tenant: UUID, before: int
) -> None:
    failed = {"status": "failed", "error": {"code": "X"}, **FAST}
    bulk = parked(platform, tenant, failed, {**RUNS, **FAST}, progress=before)
    assert heard(platform, bulk)[0] == "failed"
    assert platform.one("SELECT error ->> 'code' FROM jobs WHERE id = :id", id=bulk) == ("X",)


def test_one_that_is_to_fail_fast_goes_on_while_a_chunk_is_to_be_tried_again(platform: Platform, tenant: UUID) -> None:
    again = {"status": "pending", "attempt": 1, "error": {"code": "X"}, **FAST}
    assert heard(platform, parked(platform, tenant, again, {**RUNS, **FAST})) == ("processing", 0, 3)


def test_one_that_is_being_put_together_is_left_to_whoever_does_that(platform: Platform, tenant: UUID) -> None:
    bulk = factories.job(platform, tenant, kind="bulk", status="processing", progress=99)
    factories.chunk(platform, bulk, **DONE)
    assert heard(platform, bulk["id"]) == ("processing", 99, 3)


def test_its_chunks_and_parts_are_in_the_order_of_the_file_and_by_pages(platform: Platform, tenant: UUID) -> None:
    bulk = parked(platform, tenant)
    row = {"id": bulk, "tenant_id": tenant}
    for part in (2, 10, 0, 3, 1):
        made = factories.chunk(platform, row, part=part, status="pending" if part == 3 else "completed")["id"]
        body = {"form": "part", "key": f"part {part}", "rows": 1, "failed": 0}
        factories.add(platform, models.JobResult, job_id=made, body=body)
    # Of another file.
    other = factories.chunk(platform, {**row, "id": parked(platform, tenant)}, part=5, **DONE)["id"]
    factories.add(platform, models.JobResult, job_id=other, body={"form": "part", "key": "x", "rows": 1, "failed": 0})
    assert [chunk.payload.part for chunk in progress.chunks(platform.engine, bulk)] == [0, 1, 2, 3, 10]
    job: Any = SimpleNamespace(id=bulk)
    pages = [retrieve.parts(platform.serving, job, after=after, limit=3) for after in (-1, 2, 10)]
    assert [([chunk.part.key for chunk in page], behind) for page, behind in pages] == [
        (["part 0", "part 1", "part 2"], 2), (["part 10"], None), ([], None),
    ]  # fmt: skip
