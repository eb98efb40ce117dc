"""A bulk job when it is handed over to its chunks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import flask.testing
import pytest
from sqlalchemy import text

from core import errors
from jobs import queries, settle
from jobs.bulk import progress
from jobs.bulk.plan import Plan, Span
from jobs.drain import Drainer
from jobs.lease import Held
from tests.bulk.conftest import Send
from tests.conftest import Platform, until
from tests.hands import status_of, took

pytestmark = pytest.mark.usefixtures("quiet")
PLAN = Plan("key", "etag", None, [Span(0, 10, line=1, rows=5), Span(10, 20, line=6, rows=5)])


@pytest.fixture
def bulk(new_job: Callable[..., UUID]) -> UUID:
    return new_job(kind="bulk", inputs={"format": "jsonl"})


def chunks(platform: Platform) -> object:
    return platform.one("SELECT count(*) FROM jobs WHERE parent_id IS NOT NULL")[0]


def test_a_cut_repeated_after_a_commit_of_unknown_outcome_makes_no_second_chunks(
    platform: Platform, bulk: UUID
) -> None:
    (held,) = took(platform)
    assert progress.park(platform.engine, held, PLAN, units=1)
    assert not progress.park(platform.engine, held, PLAN, units=1)
    assert (status_of(platform, bulk), chunks(platform)) == ("processing", 2)


def test_a_bulk_job_whose_worker_has_to_go_while_it_is_cut_is_given_back(
    client: flask.testing.FlaskClient, upload: Send, drainer: Drainer, platform: Platform
) -> None:
    upload_id = upload(b'{"text": "Good"}\n')
    assert client.post("/api/v1/jobs", json={"upload_id": upload_id}).status_code == 202
    held = [Held(job, given_back=True) for job in took(platform)]
    drainer.finisher.finish(held, drainer.attempts.run(held))
    found = platform.one(
        "SELECT status, error, max_attempts - attempt = :left FROM jobs", left=held[0].job.max_attempts
    )
    assert (found, chunks(platform)) == (("pending", None, True), 0)


def test_a_bulk_job_canceled_while_it_is_cut_is_not_parked_and_ends_without_an_error(
    platform: Platform, bulk: UUID
) -> None:
    (held,) = took(platform)
    platform.execute('UPDATE jobs SET error = \'{"code": "UNAVAILABLE"}\'')
    queries.cancel(platform.engine, held.tenant_id, bulk)
    assert progress.park(platform.engine, held, PLAN, units=1)
    assert platform.rows("SELECT status, error FROM jobs") == [("canceled", None)]


def test_a_bulk_job_that_is_parked_still_tells_why_its_last_attempt_came_to_nothing(
    platform: Platform, bulk: UUID
) -> None:
    (held,) = took(platform)
    platform.execute('UPDATE jobs SET error = \'{"code": "UNAVAILABLE"}\'')
    assert progress.park(platform.engine, held, PLAN, units=1)
    found = platform.one("SELECT status, error ->> 'code', worker, wake_id FROM jobs WHERE id = :id", id=bulk)
    assert found == ("processing", "UNAVAILABLE", None, None)


def test_a_chunk_that_is_given_back_while_its_bulk_job_is_canceled_ends_too(platform: Platform, bulk: UUID) -> None:
    (held,) = took(platform)
    progress.park(platform.engine, held, PLAN, units=1)
    one = took(platform)[0]
    waits = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%cancel_requested_at%'"
    )
    with ThreadPoolExecutor(1) as pool:
        with platform.admin.begin() as connection:
            connection.execute(text("UPDATE jobs SET status = 'pending' WHERE id = :id"), {"id": one.id})
            canceled = pool.submit(queries.cancel, platform.engine, held.tenant_id, bulk)
            until(lambda: platform.one(waits)[0])
        canceled.result(60)
    assert (status_of(platform, bulk), status_of(platform, one.id)) == ("canceled", "canceled")


def test_a_file_is_merged_also_where_its_column_of_attempts_has_its_end(platform: Platform, bulk: UUID) -> None:
    platform.execute("UPDATE jobs SET max_attempts = :most, attempt = :most - 2", most=2**15 - 1)
    (held,) = took(platform)
    progress.park(platform.engine, held, PLAN, units=1)
    for _ in PLAN.spans:
        (chunk,) = took(platform)
        settle.fail(platform.engine, chunk, errors.InvalidInput("no"))
    assert progress.advance(platform.engine, bulk) == {"cpu"}
    found = platform.one("SELECT status, max_attempts - attempt FROM jobs WHERE id = :id", id=bulk)
    assert found == ("pending", 1)


@pytest.mark.parametrize("ahead_s", [-3600, 3600], ids=["that has waited long", "far behind its tenant's others"])
def test_the_chunks_of_a_file_stand_behind_it_and_behind_what_came_before_it_was_cut(
    platform: Platform, bulk: UUID, ahead_s: int
) -> None:
    (held,) = took(platform)
    platform.execute("UPDATE jobs SET fair_at = now() + make_interval(secs => :s)", s=ahead_s)
    progress.park(platform.engine, held, PLAN, units=1)
    first = platform.one(
        "SELECT extract(epoch FROM min(fair_at) - now())::int FROM jobs WHERE parent_id = :id", id=bulk
    )
    assert round(first[0], -2) == max(0, ahead_s)
