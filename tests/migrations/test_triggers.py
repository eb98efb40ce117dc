"""What triggers write of a job's moves, in the transaction of the move: events, deliveries, the end of chunks."""

from __future__ import annotations

import datetime as dt
from typing import Any
from uuid import UUID

import pytest
import sqlalchemy
from sqlalchemy import text

import models
from tests import factories
from tests.migrations import test_guard
from tests.migrations.test_guard import TERMINAL, job, move, tenant

__all__ = ["tenant"]

Db = sqlalchemy.Connection


def test_every_trigger_is_on_and_has_a_test_of_its_name(db: Db) -> None:
    found = db.execute(text("SELECT tgname, tgenabled::text FROM pg_trigger WHERE NOT tgisinternal")).all()
    assert {row.tgenabled for row in found} == {"O"}
    tests = [name for name in (*globals(), *vars(test_guard)) if name.startswith("test_")]
    assert [row.tgname for row in found if not any(name.startswith(f"test_{row.tgname}_") for name in tests)] == []


def run(db: Db, sql: str, **parameters: Any) -> None:
    db.execute(text(sql), parameters)


def events(db: Db, job_id: UUID) -> list[tuple[Any, ...]]:
    sql = "SELECT type, progress, attempt, batch_size, run_ms, error FROM job_events WHERE job_id = :id ORDER BY id"
    return [tuple(row) for row in db.execute(text(sql), {"id": job_id})]


@pytest.mark.parametrize(
    ("before", "change", "event"),
    [
        ("pending", move("pending", "processing").removesuffix(" WHERE id = :id"), ("processing", 0, 1, 1, None, None)),
        ("processing", "UPDATE jobs SET progress = 7", ("progress", 7, 1, None, None, None)),
        ("processing", "UPDATE jobs SET cancel_requested_at = now()", ("cancel_requested", 0, 1, None, None, None)),
        ("processing", """UPDATE jobs SET status = 'pending', error = '{"code": "X"}'""",
         ("pending", 0, 1, None, None, {"code": "X"})),
        ("processing", "UPDATE jobs SET status = 'completed', progress = 100, run_ms = 3",
         ("completed", 100, 1, None, 3, None)),
        ("processing", """UPDATE jobs SET status = 'failed', error = '{"code": "X"}', run_ms = 3""",
         ("failed", 0, 1, None, None, {"code": "X"})),
        ("pending", "UPDATE jobs SET status = 'canceled', cancel_requested_at = now()",
         ("canceled", 0, 0, None, None, None)),
        ("pending", "UPDATE jobs SET status = 'expired'", ("expired", 0, 0, None, None, None)),
    ],
)  # fmt: skip
def test_jobs_record_writes_one_event_of_every_change(
    db: Db, tenant: UUID, before: str, change: str, event: tuple[Any, ...]
) -> None:
    mine = job(db, tenant, status=before)
    run(db, change)
    assert events(db, mine) == [event]


def test_jobs_record_tells_the_error_of_an_earlier_attempt_once(db: Db, tenant: UUID) -> None:
    mine = job(db, tenant, status="processing", error={"code": "X"})
    run(db, "UPDATE jobs SET progress = 7")
    assert events(db, mine) == [("progress", 7, 1, None, None, None)]


def test_jobs_record_writes_nothing_of_what_is_no_news(db: Db, tenant: UUID) -> None:
    mine = job(db, tenant, status="processing", cancel_requested_at=factories.PAST)
    run(db, "UPDATE jobs SET lease_expires_at = now(), progress = 0, cancel_requested_at = now()")
    assert events(db, mine) == []


def test_jobs_record_says_how_many_were_claimed_together(db: Db, tenant: UUID) -> None:
    jobs = [job(db, tenant) for _ in range(3)]
    run(db, move("pending", "processing").removesuffix(" WHERE id = :id"))
    assert [events(db, mine) for mine in jobs] == [[("processing", 0, 1, 3, None, None)]] * 3


def chunks(db: Db, tenant: UUID, bulk_id: UUID) -> dict[str, UUID]:
    return {status: job(db, tenant, kind="chunk", status=status, parent_id=bulk_id) for status in models.jobs.STATUSES}


def states(db: Db, found: dict[str, UUID]) -> dict[str, tuple[str, bool]]:
    sql = text("SELECT status, cancel_requested_at IS NOT NULL FROM jobs WHERE id = :id")
    return {name: tuple(db.execute(sql, {"id": id_}).one()) for name, id_ in found.items()}


@pytest.mark.parametrize("end", TERMINAL)
def test_jobs_cascade_ends_the_chunks_that_wait_and_asks_those_that_run_to_stop(db: Db, tenant: UUID, end: str) -> None:
    bulk, other = (job(db, tenant, kind="bulk", status="processing") for _ in range(2))
    mine, others = chunks(db, tenant, bulk), chunks(db, tenant, other)
    run(db, move("processing", end), id=bulk)
    ended = {status: (status, False) for status in TERMINAL}
    assert states(db, mine) == {"pending": ("canceled", True), "processing": ("processing", True), **ended}
    assert states(db, others) == {"pending": ("pending", False), "processing": ("processing", False), **ended}


@pytest.mark.parametrize(("kind", "after"), [("bulk", "pending"), ("file", "canceled")])
def test_jobs_cascade_leaves_the_chunks_of_what_has_not_ended_and_of_what_has_none_alone(
    db: Db, tenant: UUID, kind: str, after: str
) -> None:
    parent = job(db, tenant, kind=kind, status="processing")
    found = chunks(db, tenant, parent)
    before = states(db, found)
    run(db, move("processing", after), id=parent)
    assert states(db, found) == before


def endpoint(db: Db, tenant: UUID, *events: str, **given: Any) -> str:
    return str(factories.put(db, models.WebhookEndpoint, tenant_id=tenant, events=list(events), **given)["id"])


def deliveries(db: Db) -> dict[str, tuple[Any, ...]]:
    sql = "SELECT target, event, status, last_error FROM webhook_deliveries"
    return {row.target: tuple(row)[1:] for row in db.execute(text(sql))}


@pytest.mark.parametrize("end", TERMINAL)
def test_jobs_announce_owes_every_end_to_everybody_who_asked_for_it_and_to_nobody_else(
    db: Db, tenant: UUID, end: str
) -> None:
    stranger = factories.put(db, models.Tenant)["id"]
    asked = endpoint(db, tenant, f"job.{end}")
    off = endpoint(db, tenant, f"job.{end}", enabled=False, disabled_code="BY_TENANT")
    endpoint(db, tenant, *(f"job.{other}" for other in TERMINAL if other != end))
    endpoint(db, stranger, f"job.{end}")
    wants = {"webhook_url": "https://mine.example/hook?a=1", "webhook_events": [f"job.{end}"]}
    mine, chunk = job(db, tenant, status="processing", **wants), job(db, tenant, kind="bulk", status="processing")
    run(db, "UPDATE jobs SET parent_id = :parent WHERE id = :id", parent=mine, id=chunk)
    for ended in (chunk, mine):
        run(db, move("processing", end), id=ended)
    run(db, "UPDATE jobs SET run_ms = 1")
    assert deliveries(db) == {
        asked: (f"job.{end}", "pending", None),
        off: (f"job.{end}", "failed", "ENDPOINT_DISABLED"),
        f"{tenant} https://mine.example": (f"job.{end}", "pending", None),
    }


def test_jobs_announce_owes_nothing_of_an_end_that_is_undone_or_of_a_move_that_is_none(db: Db, tenant: UUID) -> None:
    endpoint(db, tenant, *(f"job.{end}" for end in TERMINAL))
    mine = job(db, tenant, status="processing")
    point = db.begin_nested()
    run(db, move("processing", "canceled"), id=mine)
    assert len(deliveries(db)) == 1
    point.rollback()
    run(db, move("processing", "pending"), id=mine)
    assert deliveries(db) == {}


@pytest.mark.parametrize("end", TERMINAL)
def test_jobs_announce_tells_all_that_a_receiver_was_promised(db: Db, tenant: UUID, end: str) -> None:
    endpoint(db, tenant, f"job.{end}")
    error, told = {"code": "X", "message": "no"}, {"prediction": "positive"}
    mine = job(db, tenant, status="processing", metadata={"mine": 1}, error=error, attempt=3, progress=70)
    factories.put(db, models.JobResult, job_id=mine, told=told)
    run(db, "SET LOCAL timezone = 'Asia/Tokyo'")
    run(db, move("processing", end), id=mine)
    (row,) = db.execute(text("SELECT body::json AS body, sequence FROM webhook_deliveries")).all()
    made = db.execute(text("SELECT * FROM jobs WHERE id = :id"), {"id": mine}).one()
    moments = {name: row.body["data"].pop(name) for name in ("created_at", "started_at", "finished_at")}
    for name, moment in {**moments, "finished_at": row.body["timestamp"]}.items():
        assert moment.endswith("+00:00")
        assert dt.datetime.fromisoformat(moment) == made._mapping[name], name
    assert moments["finished_at"] == row.body.pop("timestamp")
    assert row.body == {
        "type": f"job.{end}",
        "data": {
            "job_id": f"job_{mine.hex}", "sequence": row.sequence, "status": end, "progress": made.progress,
            "model": "sentiment", "model_version": "1.0.0", "attempt": 3, "metadata": {"mine": 1}, "error": error,
            "result": told,
        },
    }  # fmt: skip


def test_jobs_tell_progress_says_nothing_of_an_error_that_an_earlier_attempt_had(db: Db, tenant: UUID) -> None:
    endpoint(db, tenant, "job.progress")
    mine = job(db, tenant, status="processing", error={"code": "X"}, attempt=2)
    assert tell(db, mine, 10) == 1
    body = db.execute(text("SELECT body::json FROM webhook_deliveries")).scalar_one()
    said = {name: body["data"][name] for name in ("status", "progress", "attempt", "error", "result", "finished_at")}
    assert (body["type"], said) == (
        "job.progress",
        {"status": "processing", "progress": 10, "attempt": 2, "error": None, "result": None, "finished_at": None},
    )


def tell(db: Db, mine: UUID, progress: int) -> int:
    """How many deliveries there are after a job has come so far."""
    run(db, "UPDATE jobs SET progress = :progress WHERE id = :id", progress=progress, id=mine)
    return int(db.execute(text("SELECT count(*) FROM webhook_deliveries")).scalar_one())


def test_jobs_tell_progress_tells_what_is_new_and_not_before_the_last_is_out_of_the_house(db: Db, tenant: UUID) -> None:
    endpoint(db, tenant, "job.progress")
    endpoint(db, tenant, "job.progress", enabled=False, disabled_code="GONE")
    mine = job(db, tenant, status="processing", progress=5)
    assert [tell(db, mine, progress) for progress in (5, 6, 7)] == [0, 1, 1]
    run(db, "UPDATE webhook_deliveries SET status = 'delivered', finished_at = now()")
    assert tell(db, mine, 8) == 1
    run(db, "UPDATE webhook_deliveries SET created_at = now() - interval '6 s'")
    assert tell(db, mine, 9) == 2
    run(db, "UPDATE webhook_deliveries SET created_at = now() - interval '6 s'")
    # The second has not gone yet, however old it is.
    assert tell(db, mine, 10) == 2


def test_jobs_tell_progress_is_silent_of_chunks_of_ends_and_to_who_did_not_ask(db: Db, tenant: UUID) -> None:
    endpoint(db, tenant, "job.completed")
    mine = job(db, tenant, status="processing")
    assert tell(db, mine, 10) == 0
    endpoint(db, tenant, "job.progress")
    chunk = job(db, tenant, kind="chunk", status="processing", parent_id=mine)
    assert tell(db, chunk, 10) == 0
    run(db, "UPDATE jobs SET status = 'failed', progress = 20 WHERE id = :id", id=mine)
    assert deliveries(db) == {}


@pytest.mark.parametrize("change", ["UPDATE audit SET actor = 'somebody else'", "DELETE FROM audit"])
def test_audit_stays_refuses_every_change_of_what_was_written_down(db: Db, change: str) -> None:
    factories.put(db, models.Audit)
    with pytest.raises(sqlalchemy.exc.IntegrityError, match="only added to"):
        run(db, change)


@pytest.mark.parametrize(("level", "said"), [(1, "access.warned"), (2, "access.slowed"), (3, "access.blocked")])
def test_blocks_tell_tells_of_every_step_to_whoever_asked_for_it_of_whatever_tenant(
    db: Db, tenant: UUID, level: int, said: str
) -> None:
    asked = endpoint(db, factories.put(db, models.Tenant)["id"], said, "job.completed")
    endpoint(db, tenant, *({"access.warned", "access.slowed", "access.blocked"} - {said}))
    endpoint(db, tenant, said, enabled=False, disabled_code="BY_TENANT")
    put = (
        "INSERT INTO blocks (subject, tenant_id, level, reason, until, gone_at) "
        "VALUES ('key:0', :tenant, :level, 'errors', now() + interval '30 s', now() + interval '30 s')"
    )
    run(db, f"{put} ON CONFLICT (subject) DO NOTHING", tenant=tenant, level=level)
    assert deliveries(db) == {asked: (said, "pending", None)}
    # Another process saw the same.
    run(db, f"{put} ON CONFLICT (subject) DO NOTHING", tenant=tenant, level=level)
    assert len(deliveries(db)) == 1
    (row,) = db.execute(text("SELECT body::json AS body FROM webhook_deliveries"))
    made = db.execute(text("SELECT * FROM blocks")).one()
    moments = [row.body["timestamp"], *(row.body["data"].pop(name) for name in ("since", "until"))]
    assert [dt.datetime.fromisoformat(moment) for moment in moments] == [made.since, made.since, made.until]
    name = db.execute(text("SELECT name FROM tenants WHERE id = :id"), {"id": tenant}).scalar_one()
    data = {"subject": "key:0", "tenant": name, "level": said.removeprefix("access."), "reason": "errors"}
    assert (row.body["type"], row.body["data"]) == (said, data)
    run(db, "DELETE FROM webhook_deliveries")
    run(db, "UPDATE blocks SET steps = 2")
    assert deliveries(db) == {asked: (said, "pending", None)}
    run(db, "DELETE FROM webhook_deliveries")
    run(db, "DELETE FROM blocks")
    assert deliveries(db) == {}


@pytest.mark.parametrize(("state", "said"), [("rolled_back", "routes.canary_rolled_back"),
                                             ("promoted", "routes.canary_promoted"), ("removed", None)])  # fmt: skip
def test_canaries_tell_tells_how_a_canary_ended_to_whoever_asked_for_it_of_whatever_tenant(
    db: Db, tenant: UUID, state: str, said: str | None
) -> None:
    events = ("routes.canary_rolled_back", "routes.canary_promoted")
    asked = {event: endpoint(db, tenant, event) for event in events}
    endpoint(db, tenant, *events, enabled=False, disabled_code="BY_TENANT")
    made = factories.put(db, models.Canary, model=factories.put(db, models.Model)["name"])
    run(db, "UPDATE canaries SET evidence = '{\"level\": 0.01}'")
    assert deliveries(db) == {}
    run(db, "UPDATE canaries SET state = :state, ended_at = now(), ended_by = 'canary judge'", state=state)
    run(db, "UPDATE canaries SET ended_by = 'somebody'")
    assert deliveries(db) == ({asked[said]: (said, "pending", None)} if said else {})
    for row in db.execute(text("SELECT body::json AS body FROM webhook_deliveries")):
        data = row.body["data"]
        assert row.body["timestamp"] == data.pop("ended_at")
        assert dt.datetime.fromisoformat(data.pop("since"))
        assert data == {
            "model": made["model"], "canary": made["name"], "version": made["version"], "stable": made["stable"],
            "ended_by": "canary judge", "evidence": {"level": 0.01},
        }  # fmt: skip
