"""Forgetting: ended jobs, their results and events go when their tier's `keep_s` is over, a few at a time."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from jobs import events, run
from jobs.bulk.work import folder
from storage.objects import Store

LIMIT = 500

# By tenant and id, which is time-ordered: the oldest jobs come first, without an index for this alone. The id says when
# a job was accepted, so `finished_at` is looked at as well.
_OLD = """
  SELECT old.id FROM tenants JOIN tiers ON tiers.name = tier CROSS JOIN LATERAL (
    SELECT id FROM jobs
    WHERE tenant_id = tenants.id AND parent_id IS NULL AND kind {kinds} AND id < CAST(
      lpad(to_hex((extract(epoch FROM now() - make_interval(secs => keep_s)) * 1000)::bigint), 12, '0') ||
      repeat('0', 20) AS uuid)
      AND finished_at < now() - make_interval(secs => keep_s)
    ORDER BY tenant_id, id LIMIT :limit
  ) AS old LIMIT :limit
"""
_OLD_JOBS = text(_OLD.format(kinds="<> 'bulk'"))
_STORED = text("SELECT job_id FROM job_results WHERE job_id = ANY (:ids) AND body ->> 'stored_key' IS NOT NULL")
_PURGE = text("DELETE FROM jobs WHERE id = ANY (:ids)")
_OLD_BULK = text(_OLD.format(kinds="= 'bulk'"))
_PURGE_CHUNKS = text("""
DELETE FROM jobs WHERE id = ANY (ARRAY(SELECT id FROM jobs WHERE parent_id = :id LIMIT :limit)) RETURNING id
""")
_PURGE_ONE = text("DELETE FROM jobs WHERE id = :id RETURNING id")


def purge(engine: sqlalchemy.Engine, store: Store) -> int:
    """One small step; returns how many jobs were forgotten. A full LIMIT says that more are due.

    Raises Unavailable, and forgets nothing whose files are still in the store.
    """
    return _purge_jobs(engine, store) + _purge_bulk(engine, store)


def _purge_jobs(engine: sqlalchemy.Engine, store: Store) -> int:
    # Files go first, and while no transaction is open: a store takes as long as it likes. Who has ended stays so.
    with engine.connect() as connection:
        gone = list(connection.execute(_OLD_JOBS, {"limit": LIMIT}).scalars())
        stored = list(connection.execute(_STORED, {"ids": gone}).scalars())
    for job_id in stored:
        store.delete_all(run.folder(job_id))
    with engine.begin() as connection:
        connection.execute(_PURGE, {"ids": gone})
        events.purge(connection, gone)
    return len(gone)


def _purge_bulk(engine: sqlalchemy.Engine, store: Store) -> int:
    """One bulk job with its files, or LIMIT of its chunks."""
    with engine.connect() as connection:
        bulk_id = connection.execute(_OLD_BULK, {"limit": 1}).scalar()
    if bulk_id is None:
        return 0
    store.delete_all(folder(bulk_id))
    with engine.begin() as connection:
        gone = list(connection.execute(_PURGE_CHUNKS, {"id": bulk_id, "limit": LIMIT}).scalars())
        if len(gone) < LIMIT:
            gone += connection.execute(_PURGE_ONE, {"id": bulk_id}).scalars()
        events.purge(connection, gone)
    return len(gone)
