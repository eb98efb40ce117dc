"""Every statement of `jobs` that writes: what is somebody else's by now, or has ended, stays as it is, to the last row.

A new statement that writes needs a case here, or a word on where it is tested.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import TextClause, text

import jobs
import models
from core import errors, ids
from jobs import chores, claim, pieces, queries, rescue, settle, uploads
from jobs.bulk import progress
from jobs.bulk.plan import Plan, Span
from jobs.job import Claimed
from jobs.lease import Leases
from jobs.pieces import Pieces
from tests import factories, statements
from tests.conftest import Platform
from tests.factories import PAST, SOON
from tests.hands import SAID

WRITING = statements.writing(jobs)


@dataclass(frozen=True)
class Scene:
    """A job as it is, the claim of it that somebody once had, and who asks for something."""

    platform: Platform
    row: Mapping[str, Any]
    held: Claimed
    asks: UUID
    other: UUID  #: a tenant of whom nobody speaks

    def issue(self, statement: TextClause, **parameters: object) -> None:
        with self.platform.engine.begin() as connection:
            connection.execute(statement, parameters)


@dataclass(frozen=True)
class Case:
    """How a statement comes to be issued, and the situation in which it does write."""

    write: Callable[[Scene], object]
    where: str = "held"


def beat(scene: Scene) -> None:
    leases = Leases(scene.platform.engine, lease_s=60, heartbeat_s=1, grace_s=1, asked_to_stop=lambda: False)
    leases.hold([scene.held])[0].progress = 50
    leases.beat()


def tell(scene: Scene) -> None:
    mine = Pieces()
    mine.add("a piece")
    pieces.tell(scene.platform.engine, {(scene.held.id, scene.held.attempt): mine})


def park(scene: Scene) -> bool:
    spans = [Span(0, 10, 1, 1), Span(10, 20, 2, 1)]
    return progress.park(scene.platform.engine, scene.held, Plan("key", "etag", None, spans), units=1)


def cancel(scene: Scene) -> None:
    with contextlib.suppress(errors.JobNotFound):
        queries.cancel(scene.platform.engine, scene.asks, scene.row["id"])


def again(scene: Scene) -> None:
    old = queries.get(scene.platform.engine, scene.held.tenant_id, scene.row["id"])
    with contextlib.suppress(errors.JobStateConflict):
        scene.platform.submitter.again(
            old, ids.uuid7(), caller=factories.caller(scene.asks), request_id="req", timeout_s=77, max_attempts=4
        )


def use(scene: Scene) -> None:
    upload = scene.platform.one("SELECT id FROM uploads")[0]
    scene.platform.store.put(uploads.key(upload), b"{}")
    with contextlib.suppress(errors.UploadNotFound, errors.InvalidInput):
        uploads.use(scene.platform.engine, scene.platform.store, scene.asks, upload)


def on(write: Callable[..., object], *more: Any) -> Callable[[Scene], object]:
    return lambda scene: write(scene.platform.engine, scene.held, *more)


CASES: Mapping[str, Case] = {
    "settle._COMPLETE": Case(lambda s: settle.complete(s.platform.engine, [settle.Done(s.held, SAID, 1)])),
    "settle._FAIL": Case(on(settle.fail, errors.ModelError())),
    "settle._RETRY": Case(on(settle.fail, errors.ModelUnavailable())),
    "settle._CANCEL": Case(on(settle.cancel)),
    "settle._GIVE_BACK": Case(lambda s: settle.give_back(s.platform.engine, [s.held])),
    "settle._PUT_OFF": Case(on(settle.put_off, errors.Unavailable())),
    "lease._HEARTBEAT": Case(beat),
    "pieces._TELL": Case(tell),
    "bulk.progress._PARK": Case(park),
    "bulk.progress._ADVANCE": Case(lambda s: progress.advance(s.platform.engine), "its chunks have ended"),
    "claim._CLAIM": Case(
        lambda s: claim.claim(s.platform.engine, pool="cpu", worker="node/c/3", wake_id="wake-3", lease_s=60), "due"
    ),
    "rescue._LEASE_OVER": Case(lambda s: rescue.lease_over(s.platform.engine, max_losses=3), "its lease is over"),
    "rescue._CHILD_DIED": Case(lambda s: rescue.child_died(s.platform.engine, "wake-1", max_losses=3)),
    "rescue._NODE_BORN_AGAIN": Case(lambda s: rescue.node_born_again(s.platform.engine, "node/b", max_losses=3)),
    "chores._EXPIRE_PENDING": Case(lambda s: s.issue(chores._EXPIRE_PENDING, limit=500), "too late, and waits"),
    "chores._EXPIRE_PROCESSING": Case(
        lambda s: s.issue(chores._EXPIRE_PROCESSING, limit=500, floor=None), "too late, and runs"
    ),
    "queries._CANCEL": Case(cancel),
    "submit._AGAIN": Case(again, "completed"),
    "uploads._USE": Case(use),
}

#: These write no row that was there before, or none of a job that anybody still asks for.
ELSEWHERE = {
    "submit._INSERT": "a new row",
    "uploads._INSERT": "a new row",
    "uploads._PURGE": "test_uploads: what was found to be over",
    "retention._PURGE": "test_retention: what was found to be old",
    "retention._PURGE_PARTS": "test_retention: of what was found to be old",
    "retention._PURGE_ONE": "test_retention: what was found to be old",
    "presence._SILENT": "test_retention",
    "removed._FORGOTTEN": "tests/cli/test_ends.py: what was removed and is needed by nobody",
    "events._PURGE": "test_retention: of what was found to be old",
    "idempotency._INSERT": "a new row",
    "idempotency._TAKE_OVER": "test_idempotency",
    "idempotency._ANSWER": "test_idempotency",
    "idempotency._FORGET": "test_idempotency",
    "idempotency._PURGE": "test_idempotency",
    "presence._TELL": "a process's own row",
    "presence._FORGET": "tests/workers/test_signs.py: a node's own rows",
    "feedback._PUT": "tests/api/test_feedback.py: of a job that has ended, and stays as it is",
    "shadows.copies._PUT": "new rows",
    "shadows.copies._TAKE": "test_shadows: copies are no jobs, and who takes one is the only one to have it",
    "shadows.copies._PURGE": "test_shadows: what was found to be over",
    "shadows.pairs._ADD": "new rows",
    "shadows.pairs._PURGE": "test_shadows: what was found to be old",
    "reseal._SWAP_SECRET": "tests/cli/test_reseal.py: compares before it swaps",
    "reseal._SWAP_INPUT": "tests/cli/test_reseal.py: compares before it swaps",
}

SUCCESSORS = {"attempt": 2, "worker": "node/b/2", "wake_id": "wake-2"}
#: Nobody wipes off whose it was: the row of a job that has ended, or waits again, still names its last worker.
LAST = {"attempt": 1, "worker": "node/a/1", "wake_id": "wake-1"}
#: In which nobody who had the job once, no sweep that has nothing to do with it, and no stranger may change anything.
NOT_THEIRS: Mapping[str, Mapping[str, Any]] = {
    "a successor has it": {"status": "processing", **SUCCESSORS},
    "it waits again": {"status": "pending", "not_before": SOON, **LAST},
    "completed": {"status": "completed", **LAST},
    "failed": {"status": "failed", **LAST},
    "canceled": {"status": "canceled", **LAST},
    "expired": {"status": "expired", "expires_at": PAST, **LAST},
    "its successor has parked it": {"kind": "bulk", **SUCCESSORS},
    "its own worker has parked it": {"kind": "bulk"},
}
#: In which somebody may.
THEIRS: Mapping[str, Mapping[str, Any]] = {
    "held": {"status": "processing"},
    "due": {},
    "its lease is over": {"status": "processing", "lease_expires_at": PAST},
    "too late, and waits": {"expires_at": PAST},
    "too late, and runs": {"status": "processing", "expires_at": PAST},
    "its chunks have ended": {"kind": "bulk"},
    "completed": {"status": "completed"},
}


def scene(platform: Platform, situation: str, given: Mapping[str, Any]) -> Scene:
    tenant = factories.tenant(platform)
    other = bystanders(platform)
    if given.get("kind") == "bulk":
        row = factories.parked(platform, tenant, **{**given, "worker": None, "wake_id": None})
    else:
        row = factories.job(platform, tenant, **given)
    if situation == "its chunks have ended":
        platform.execute("UPDATE jobs SET status = 'canceled', finished_at = now() WHERE parent_id = :id", id=row["id"])
    factories.add(platform, models.Upload, tenant_id=tenant)
    held = Claimed(
        row["id"], tenant, row["kind"], 1, 4, "sentiment", "1.0.0", 300, row["inputs"], row["options"], "req"
    )  # fmt: skip
    return Scene(platform, row, held, asks=tenant, other=other)


def bystanders(platform: Platform) -> UUID:
    """One of each of another tenant, held by the same attempt, of whom nobody speaks."""
    other = factories.tenant(platform)
    factories.job(platform, other, not_before=SOON)
    factories.job(platform, other, status="processing", worker="elsewhere/a/1", wake_id="wake-elsewhere")
    factories.parked(platform, other)
    for status in factories.TERMINAL:
        factories.job(platform, other, status=status)
    return other


@pytest.fixture(autouse=True)
def nothing_else(platform: Platform) -> None:
    factories.clear(platform)


def test_every_statement_that_writes_has_a_case_or_a_place_where_it_is_tested() -> None:
    assert set(CASES) | set(ELSEWHERE) == set(WRITING)
    assert not set(CASES) & set(ELSEWHERE)
    assert statements.hidden(jobs) == []


@pytest.mark.parametrize("name", CASES)
def test_a_case_is_about_its_statement_which_does_write_where_it_may(platform: Platform, name: str) -> None:
    case = CASES[name]
    found = scene(platform, case.where, THEIRS[case.where])
    before = statements.rows(platform)
    with statements.issued(platform.engine) as issued:
        case.write(found)
    assert WRITING[name] in issued
    changed = [row for rows in statements.changed(before, statements.rows(platform)).values() for row in rows]
    assert changed
    assert not [row for row in changed if str(found.other) in row]


#: Who has parked a job ends it in no other way: what is left of its attempt is a heartbeat, and parking it once more.
OF_WHO_PARKED = {"settle._COMPLETE", "settle._FAIL", "settle._RETRY", "settle._CANCEL", "settle._GIVE_BACK",
                 "settle._PUT_OFF"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "situation"),
    [
        (name, situation)
        for name in CASES
        for situation in NOT_THEIRS
        if not (name in OF_WHO_PARKED and situation == "its own worker has parked it")
    ],
)
def test_nothing_that_is_somebody_elses_by_now_or_has_ended_is_changed(
    platform: Platform, name: str, situation: str
) -> None:
    found = scene(platform, situation, NOT_THEIRS[situation])
    found = replace(found, asks=factories.tenant(platform))
    before = statements.rows(platform)
    CASES[name].write(found)
    assert statements.changed(before, statements.rows(platform)) == {}


#: What goes through many jobs and must not stand still before one that somebody else is just writing.
SWEEPING = ["bulk.progress._ADVANCE", "claim._CLAIM", "rescue._LEASE_OVER", "rescue._CHILD_DIED",
            "rescue._NODE_BORN_AGAIN", "chores._EXPIRE_PENDING", "chores._EXPIRE_PROCESSING"]  # fmt: skip


@pytest.mark.parametrize("name", SWEEPING)
def test_a_sweep_waits_for_no_job_that_somebody_else_is_writing_and_finds_it_the_next_time(
    platform: Platform, name: str
) -> None:
    case = CASES[name]
    found = scene(platform, case.where, THEIRS[case.where])
    before = statements.rows(platform)
    with platform.admin.begin() as elsewhere:
        elsewhere.execute(text("SELECT FROM jobs WHERE id = :id FOR UPDATE"), {"id": found.row["id"]})
        # It would wait for five seconds, and fail.
        case.write(found)
        assert statements.changed(before, statements.rows(platform)) == {}
    case.write(found)
    assert statements.changed(before, statements.rows(platform)) != {}


def test_every_statement_that_skips_what_is_locked_is_tried_on_a_locked_row() -> None:
    skipping = {name for name, statement in WRITING.items() if "SKIP LOCKED" in statement.text}
    # Keys are no jobs: test_idempotency. Neither is what shadows are asked: test_shadows.
    of_shadows = {"shadows.copies._TAKE", "shadows.copies._PURGE", "shadows.pairs._PURGE"}
    assert {*SWEEPING, "idempotency._PURGE", *of_shadows} == skipping


@pytest.mark.parametrize("situation", [*NOT_THEIRS, "held", "due"])
def test_a_stranger_changes_nothing_of_a_job_in_any_state(platform: Platform, situation: str) -> None:
    found = replace(scene(platform, situation, {**NOT_THEIRS, **THEIRS}[situation]), asks=factories.tenant(platform))
    before = statements.rows(platform)
    for write in (cancel, again, use):
        write(found)
    assert statements.changed(before, statements.rows(platform)) == {}
