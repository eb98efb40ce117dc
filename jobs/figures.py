"""How the queue stands, in numbers that an operator is woken by: read from the table, so that nothing can be missed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy
from prometheus_client.samples import Sample
from sqlalchemy import text

from core import broker, chores, tally
from jobs import presence
from jobs.presence import Pool
from webhooks import backlog

# What waits goes through the small indexes of what is open; every pool and tier is there, with zeros.
_QUEUE = text("""
WITH open AS (
  SELECT tenant_id, pool, count(*) AS waiting, count(*) FILTER (WHERE not_before > now()) AS delayed,
    min(greatest(created_at, not_before)) FILTER (WHERE parent_id IS NULL) AS oldest, 0 AS running
  FROM jobs WHERE status = 'pending' GROUP BY tenant_id, pool
  UNION ALL
  SELECT tenant_id, pool, 0, 0, NULL, count(*) FROM jobs
  WHERE status = 'processing' AND worker IS NOT NULL GROUP BY tenant_id, pool
)
SELECT pool.pool, tiers.name AS tier,
  coalesce(sum(waiting), 0)::int AS waiting, coalesce(sum(delayed), 0)::int AS delayed,
  greatest(0, coalesce(extract(epoch FROM now() - min(oldest)), 0))::float AS oldest_s,
  coalesce(sum(running), 0)::int AS running
FROM unnest(CAST(:pools AS text[])) AS pool (pool) CROSS JOIN tiers
LEFT JOIN (
  SELECT open.*, tier FROM open JOIN tenants ON tenants.id = tenant_id
) AS theirs ON theirs.pool = pool.pool AND theirs.tier = tiers.name
GROUP BY pool.pool, tiers.name ORDER BY pool.pool, tiers.name
""")


@dataclass(frozen=True)
class Queue:
    """The jobs of one pool and tier, a file's chunks among them; `delayed` are those of the waiting that are to be
    tried again later, `oldest_s` is how long ago the first of the waiting was accepted."""

    pool: str
    tier: str
    waiting: int
    delayed: int
    oldest_s: float
    running: int


@dataclass(frozen=True)
class Figures:
    """What the database says at one moment."""

    queues: Sequence[Queue]
    pools: Mapping[str, Pool]
    webhooks: backlog.Backlog
    chores: Sequence[chores.Done]
    counted: Mapping[str, Sequence[Sample]]


def queues(engine: sqlalchemy.Engine) -> list[Queue]:
    with engine.connect() as connection:
        return [Queue(**row._mapping) for row in connection.execute(_QUEUE, {"pools": list(broker.POOLS)})]


def read(engine: sqlalchemy.Engine) -> Figures:
    pools, webhooks = presence.pools(engine), backlog.read(engine)
    return Figures(queues(engine), pools, webhooks, chores.standing(engine), tally.told(engine))
