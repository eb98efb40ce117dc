"""Housekeeping of deliveries; every statement is bounded, and any number of processes may do it at once."""

from __future__ import annotations

import sqlalchemy
from sqlalchemy import text

from core import broker
from core.chores import Chore
from webhooks import outbox, signing_keys
from webhooks.verdict import span_s

LIMIT = 1000
#: A failed delivery is there to be seen, and asked for again, for at least so long.
KEEP_FAILED_S = 30 * 86_400

# What was held back behind others for longer than its whole schedule has had its chance.
_OVERDUE = text("""
UPDATE webhook_deliveries SET status = 'failed', finished_at = now(), last_error = coalesce(last_error, 'NEVER_REACHED')
WHERE id = ANY (ARRAY(
  SELECT id FROM webhook_deliveries WHERE status = 'pending' AND since < now() - make_interval(secs => :span_s)
  LIMIT :limit FOR UPDATE SKIP LOCKED))
""")
# Tenant by tenant, of whom some may be gone, and by how it ended, since each has its own time: what is too young is not
# looked at.
_OLD = text("""
WITH RECURSIVE owners (id) AS (
  SELECT (SELECT tenant_id FROM webhook_deliveries WHERE finished_at IS NOT NULL ORDER BY tenant_id LIMIT 1)
  UNION ALL
  SELECT (SELECT tenant_id FROM webhook_deliveries WHERE finished_at IS NOT NULL AND tenant_id > owners.id
          ORDER BY tenant_id LIMIT 1)
  FROM owners WHERE owners.id IS NOT NULL
)
DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
  SELECT old.id FROM owners LEFT JOIN tenants USING (id) LEFT JOIN tiers ON tiers.name = tier
  CROSS JOIN LATERAL (VALUES
    ('delivered', coalesce(keep_s, (SELECT min(keep_s) FROM tiers))), ('failed', greatest(keep_s, :keep_failed_s))
  ) AS ended (status, keep_s)
  CROSS JOIN LATERAL (
    SELECT id FROM webhook_deliveries
    WHERE tenant_id = owners.id AND status = ended.status AND finished_at IS NOT NULL
      AND finished_at < now() - make_interval(secs => ended.keep_s)
    ORDER BY finished_at LIMIT :limit FOR UPDATE SKIP LOCKED
  ) AS old LIMIT :limit))
""")
_RECOVERED = text("""
DELETE FROM webhook_troubles WHERE target = ANY (ARRAY(
  SELECT target FROM webhook_troubles WHERE held_until < now() - interval '30 days'
  LIMIT :limit FOR UPDATE SKIP LOCKED))
""")


def of_webhooks(engine: sqlalchemy.Engine, hints: broker.Hints, schedule: tuple[float, ...]) -> list[Chore]:
    """What keeps deliveries going, and forgets them in the end; `schedule` has the seconds before each attempt."""
    return [
        Chore("take back deliveries", 2, lambda: outbox.lease_over(engine)),
        Chore("wake senders", 2, lambda: int(outbox.due(engine) and hints.send(broker.WEBHOOKS))),
        Chore("give up deliveries", 2, lambda: give_up(engine, schedule)),
        Chore("forget deliveries", 2, lambda: purge(engine), LIMIT),
        # They have no index by time.
        Chore("forget troubles", 600, lambda: recover(engine), LIMIT),
    ]


def give_up(engine: sqlalchemy.Engine, schedule: tuple[float, ...]) -> int:
    """Fail what has waited for longer than its whole schedule; at most LIMIT deliveries, returns how many."""
    with engine.begin() as connection:
        return connection.execute(_OVERDUE, {"span_s": span_s(schedule), "limit": LIMIT}).rowcount


def purge(engine: sqlalchemy.Engine) -> int:
    """One small step of forgetting; returns how many deliveries were forgotten."""
    with engine.begin() as connection:
        gone = connection.execute(_OLD, {"keep_failed_s": KEEP_FAILED_S, "limit": LIMIT}).rowcount
        signing_keys.purge(connection)
    return gone


def recover(engine: sqlalchemy.Engine) -> int:
    """Forget the failures of targets that have been left alone for long; at most LIMIT, returns how many."""
    with engine.begin() as connection:
        return connection.execute(_RECOVERED, {"limit": LIMIT}).rowcount
