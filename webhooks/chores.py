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
_OLD = text("""
DELETE FROM webhook_deliveries WHERE id = ANY (ARRAY(
  SELECT webhook_deliveries.id FROM webhook_deliveries
  LEFT JOIN tenants ON tenants.id = tenant_id LEFT JOIN tiers ON tiers.name = tier
  WHERE finished_at < now() - make_interval(secs => (SELECT min(keep_s) FROM tiers))
    AND finished_at < now() - make_interval(secs =>
    CASE WHEN status = 'failed' THEN greatest(keep_s, :keep_failed_s) ELSE coalesce(keep_s, 0) END)
  ORDER BY finished_at LIMIT :limit FOR UPDATE OF webhook_deliveries SKIP LOCKED))
""")
_RECOVERED = text("DELETE FROM webhook_troubles WHERE held_until < now() - interval '30 days'")


def of_webhooks(engine: sqlalchemy.Engine, hints: broker.Hints, schedule: tuple[float, ...]) -> list[Chore]:
    """What keeps deliveries going, and forgets them in the end; `schedule` has the seconds before each attempt."""
    return [
        Chore("take back deliveries", 2, lambda: outbox.lease_over(engine)),
        Chore("wake senders", 2, lambda: int(outbox.due(engine) and hints.send(broker.WEBHOOKS))),
        Chore("give up deliveries", 2, lambda: give_up(engine, schedule)),
        Chore("forget deliveries", 2, lambda: purge(engine)),
    ]


def give_up(engine: sqlalchemy.Engine, schedule: tuple[float, ...]) -> int:
    """Fail what has waited for longer than its whole schedule; at most LIMIT deliveries, returns how many."""
    with engine.begin() as connection:
        return connection.execute(_OVERDUE, {"span_s": span_s(schedule), "limit": LIMIT}).rowcount


def purge(engine: sqlalchemy.Engine) -> int:
    """One small step of forgetting; returns how many deliveries were forgotten."""
    with engine.begin() as connection:
        gone = connection.execute(_OLD, {"keep_failed_s": KEEP_FAILED_S, "limit": LIMIT}).rowcount
        connection.execute(_RECOVERED)
        signing_keys.purge(connection)
    return gone
