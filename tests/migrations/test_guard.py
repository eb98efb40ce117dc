"""Whoever writes, `jobs` moves only as ARCHITECTURE.md draws it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy import text

import models
from tests import factories
from tests.migrations.conftest import Refused

STATUSES = models.jobs.STATUSES
TERMINAL = models.jobs.TERMINAL
#: Every arrow of the drawing; a job may also be written anew where it stands, but for one that has ended.
ARROWS = {
    "pending": {"pending", "processing", "canceled", "expired"},
    "processing": set(STATUSES),
    **{status: set() for status in TERMINAL},
}


@pytest.fixture
def tenant(db: sqlalchemy.Connection) -> UUID:
    factories.put(db, models.Tier, name="pro")
    return UUID(str(factories.put(db, models.Tenant)["id"]))


def job(db: sqlalchemy.Connection, tenant: UUID, **given: Any) -> UUID:
    return UUID(str(factories.put(db, models.Job, tenant_id=tenant, **given)["id"]))


def move(before: str, after: str) -> str:
    """With all else as it would have to be."""
    claimed = int((before, after) == ("pending", "processing"))
    lease = "now()" if after == "processing" else "NULL"
    finished = "coalesce(finished_at, now())" if after in TERMINAL else "NULL"
    return (
        f"UPDATE jobs SET status = '{after}', attempt = attempt + {claimed}, lease_expires_at = {lease},"
        f" finished_at = {finished} WHERE id = :id"
    )


@pytest.mark.parametrize("before", STATUSES)
def test_jobs_guard_lets_pass_every_move_that_is_drawn_and_no_other(
    db: sqlalchemy.Connection, refused: Refused, tenant: UUID, before: str
) -> None:
    mine = job(db, tenant, status=before)
    said = {after: refused(move(before, after), id=mine) for after in STATUSES}
    assert {after for after, why in said.items() if why is None} == ARROWS[before]
    why = f"job {mine} is terminal ({before})" if before in TERMINAL else f"job {mine}: {before} cannot become"
    assert all(found.startswith(why) for found in said.values() if found)


@pytest.mark.parametrize(
    ("given", "change", "why"),
    [
        ({"attempt": 2}, "attempt = 1", "attempt cannot go back from 2 to 1"),
        ({"status": "processing", "attempt": 2}, "attempt = 1", "attempt cannot go back from 2 to 1"),
        ({}, "status = 'processing', lease_expires_at = now()", "a claim raises the attempt by one"),
        ({}, "status = 'processing', lease_expires_at = now(), attempt = attempt + 2", "a claim raises the attempt by"),
        ({"progress": 50}, "progress = 49", "progress cannot go back"),
        ({"status": "processing", "progress": 50}, "progress = 0", "progress cannot go back"),
        ({"status": "canceled"}, "attempt = attempt + 1", "is terminal (canceled)"),
        ({"status": "completed"}, "progress = 100", "is terminal (completed)"),
    ],
)
def test_jobs_guard_refuses_an_attempt_or_progress_that_goes_back_or_jumps(
    refused: Refused, db: sqlalchemy.Connection, tenant: UUID, given: dict[str, Any], change: str, why: str
) -> None:
    assert why in str(refused(f"UPDATE jobs SET {change} WHERE id = :id", id=job(db, tenant, **given)))


@pytest.mark.parametrize("after", sorted(set(STATUSES) - {"processing"}))
def test_jobs_guard_ends_the_lease_and_says_when_a_job_ended(
    db: sqlalchemy.Connection, tenant: UUID, after: str
) -> None:
    mine = job(db, tenant, status="processing")
    db.execute(text("UPDATE jobs SET status = :after WHERE id = :id"), {"after": after, "id": mine})
    row = db.execute(text("SELECT lease_expires_at, finished_at FROM jobs WHERE id = :id"), {"id": mine}).one()
    assert (row.lease_expires_at, row.finished_at is not None) == (None, after in TERMINAL)


def test_jobs_guard_leaves_what_is_no_move_alone_in_a_job_that_has_ended(
    refused: Refused, db: sqlalchemy.Connection, tenant: UUID
) -> None:
    mine = job(db, tenant, status="completed")
    assert refused("UPDATE jobs SET inputs = '{}' WHERE id = :id", id=mine) is None


COPIED = "id, tenant_id, kind, pool, model, version, lane, expires_at, max_attempts, timeout_s, inputs, options"
BORN = f"""
INSERT INTO jobs ({COPIED}, metadata, request_id, {{names}})
SELECT gen_random_uuid(), {COPIED.removeprefix("id, ")}, metadata, request_id, {{values}} FROM jobs
"""


@pytest.mark.parametrize(
    ("names", "values", "legal"),
    [
        ("status", "'pending'", True),
        ("status, lease_expires_at", "'processing', now()", False),
        *(("status, finished_at", f"'{status}', now()", False) for status in TERMINAL),
        ("attempt", "1", False),
        ("attempt", "-1", False),
        ("progress", "1", False),
        ("lost_count", "1", False),
    ],
)
def test_jobs_birth_lets_a_job_begin_at_its_beginning_alone(
    refused: Refused, db: sqlalchemy.Connection, tenant: UUID, names: str, values: str, legal: bool
) -> None:
    job(db, tenant)
    said = refused(BORN.format(names=names, values=values))
    assert (said is None) is legal
    assert legal or "a new job is pending, with no attempt and no progress" in str(said)
