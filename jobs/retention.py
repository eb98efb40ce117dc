"""Forgetting: ended jobs, their results and events go when their tier's `keep_s` is over, a few at a time."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from jobs import events, kinds
from storage.objects import Store

LIMIT = 500

# By tenant and id, which is time-ordered: the oldest jobs come first, without an index for this alone. The id says when
# a job was accepted, so `finished_at` is looked at as well.
_OLD = """
  SELECT old.id, old.kind FROM tenants JOIN tiers ON tiers.name = tier CROSS JOIN LATERAL (
    SELECT id, kind FROM jobs
    WHERE tenant_id = tenants.id AND parent_id IS NULL AND kind {kinds} (:in_parts) AND id < CAST(
      lpad(to_hex((extract(epoch FROM now() - make_interval(secs => keep_s)) * 1000)::bigint), 12, '0') ||
      repeat('0', 20) AS uuid)
      AND finished_at < now() - make_interval(secs => keep_s)
    ORDER BY tenant_id, id LIMIT :limit
  ) AS old LIMIT :limit
"""
_OLD_JOBS = text(_OLD.format(kinds="<> ALL"))
# As text, by how `jobs.result` writes it, and releases before 0011 did: JSON's operators refuse what holds \u0000.
_WITH_FILES = text(r"""
SELECT jobs.id, kind FROM jobs LEFT JOIN job_results ON job_id = jobs.id
WHERE jobs.id = ANY (:ids)
  AND (kind = ANY (:leaving) OR CAST(body AS text) ~ '^{\s*("form"\:\s*"stored"|"stored_key")')
""")
_PURGE = text("DELETE FROM jobs WHERE id = ANY (:ids)")
_OLD_IN_PARTS = text(_OLD.format(kinds="= ANY"))
_PURGE_PARTS = text("""
DELETE FROM jobs WHERE id = ANY (ARRAY(SELECT id FROM jobs WHERE parent_id = :id LIMIT :limit)) RETURNING id
""")
_PURGE_ONE = text("DELETE FROM jobs WHERE id = :id RETURNING id")


def purge(engine: sqlalchemy.Engine, store: Store) -> int:
    """One small step; returns how many jobs were forgotten. LIMIT or more say that more are due.

    Raises Unavailable, and forgets nothing whose files are still in the store.
    """
    return _purge_jobs(engine, store) + _purge_in_parts(engine, store)


def _purge_jobs(engine: sqlalchemy.Engine, store: Store) -> int:
    # Files go first, and while no transaction is open: a store takes as long as it likes. Who has ended stays so.
    with engine.connect() as connection:
        gone = [row.id for row in connection.execute(_OLD_JOBS, {"limit": LIMIT, "in_parts": _in_parts()})]
        leaving = [kind.name for kind in kinds.KINDS.values() if kind.leaves_files]
        with_files = connection.execute(_WITH_FILES, {"ids": gone, "leaving": leaving}).all()
    for row in with_files:
        store.delete_all(kinds.find(row.kind).folder(row.id))
    with engine.begin() as connection:
        forgotten = connection.execute(_PURGE, {"ids": gone}).rowcount
        events.purge(connection, gone)
    return forgotten


def _purge_in_parts(engine: sqlalchemy.Engine, store: Store) -> int:
    """One job that was done in parts with its files, or LIMIT of its parts."""
    with engine.connect() as connection:
        old = connection.execute(_OLD_IN_PARTS, {"limit": 1, "in_parts": _in_parts()}).first()
    if old is None:
        return 0
    store.delete_all(kinds.find(old.kind).folder(old.id))
    with engine.begin() as connection:
        gone = list(connection.execute(_PURGE_PARTS, {"id": old.id, "limit": LIMIT}).scalars())
        if len(gone) < LIMIT:
            gone += connection.execute(_PURGE_ONE, {"id": old.id}).scalars()
        events.purge(connection, gone)
    return len(gone)


def _in_parts() -> list[str]:
    return [kind.name for kind in kinds.KINDS.values() if kind.in_parts]
