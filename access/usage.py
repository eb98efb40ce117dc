"""What was used, added up: the ledger's days, and behind them the rows that are in no day yet."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy
from sqlalchemy import text

from core import database, errors

#: By what use can be told apart; `key` is the id of one.
BY = ("day", "model", "version", "kind", "key")
#: So many days at once, and so many rows.
MOST_DAYS, MOST_ROWS = 400, 10_000
#: So many rows of the ledger are added up, or forgotten, in one step.
LIMIT = 10_000

# Rows are added up in the order of the transactions that wrote them, since neither ids nor times are committed in their
# order: below the oldest transaction that still runs, nothing can come any more. Reading has the same border.
_DAYS = """
  SELECT tenant_id, day, model, version, kind, key_id AS key, calls, units, price FROM usage_days
  WHERE (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id) AND day BETWEEN :since AND :until
  UNION ALL
  SELECT tenant_id, CAST(created_at AS date), model, version, kind, key_id, calls, units, price FROM usage
  WHERE (CAST(:tenant_id AS uuid) IS NULL OR tenant_id = :tenant_id)
    AND xact >= coalesce((SELECT xact FROM usage_mark), 0)
    AND created_at >= CAST(:since AS date) AND created_at < CAST(:until AS date) + 1
"""
_READ = f"""
SELECT {{by}}, CAST(sum(calls) AS bigint) AS calls, CAST(sum(units) AS bigint) AS units, sum(price) AS price
FROM (SELECT name AS tenant, used.* FROM ({_DAYS}) AS used JOIN tenants ON tenants.id = tenant_id) AS used
GROUP BY {{by}} ORDER BY {{by}} LIMIT :limit
"""  # noqa: S608 - constants, and names of BY
_TODAY = text("SELECT CAST(now() AS date)")

_BEGIN = text("INSERT INTO usage_mark (xact) VALUES (0) ON CONFLICT DO NOTHING")
_MARK = text("SELECT xact FROM usage_mark FOR UPDATE SKIP LOCKED")
# One transaction's rows are never cut in two, however many they are.
_FOLD = text("""
WITH upto AS MATERIALIZED (
  SELECT least(
    CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint),
    (SELECT greatest(:mark + 1, xact) FROM usage WHERE xact >= :mark ORDER BY xact OFFSET :limit LIMIT 1)
  ) AS xact
), found AS (
  SELECT tenant_id, CAST(created_at AS date) AS day, model, version, kind, key_id, sum(calls) AS calls,
    sum(units) AS units, sum(price) AS price, count(*) AS rows
  FROM usage WHERE xact >= :mark AND xact < (SELECT xact FROM upto)
  GROUP BY 1, 2, 3, 4, 5, 6
), added AS (
  INSERT INTO usage_days AS days (tenant_id, day, model, version, kind, key_id, calls, units, price)
  SELECT tenant_id, day, model, version, kind, key_id, calls, units, price FROM found
  ON CONFLICT (tenant_id, day, model, version, kind, key_id) DO UPDATE
    SET calls = days.calls + excluded.calls, units = days.units + excluded.units, price = days.price + excluded.price
), moved AS (
  UPDATE usage_mark SET xact = (SELECT xact FROM upto) WHERE xact < (SELECT xact FROM upto)
)
SELECT coalesce(sum(rows), 0) FROM found
""")

# Of the oldest those that are neither too young nor not in their day yet: a lock on each of the others would be written
# down, again and again.
_FORGET = text("""
DELETE FROM usage WHERE id = ANY (ARRAY(
  SELECT id FROM usage WHERE id = ANY (ARRAY(SELECT id FROM usage ORDER BY id LIMIT :limit))
    AND created_at < now() - make_interval(days => :keep_days) AND xact < (SELECT xact FROM usage_mark)
  FOR UPDATE SKIP LOCKED))
""")


@dataclass(frozen=True)
class Used:
    """What one tenant used; what it is not told apart by is None."""

    tenant: str
    calls: int
    units: int
    price: Decimal
    day: dt.date | None = None
    model: str | None = None
    version: str | None = None
    kind: str | None = None
    key: str | None = None


@dataclass(frozen=True)
class Span:
    """Days in UTC, both included."""

    since: dt.date
    until: dt.date


def span(engine: sqlalchemy.Engine, since: dt.date | None, until: dt.date | None) -> Span:
    """From the first of a month and to today, where nothing else is said; raises InvalidInput."""
    if since is None or until is None:
        with database.reading(engine) as connection:
            until = until or connection.execute(_TODAY).scalar_one()
        since = since or until.replace(day=1)
    if since > until:
        raise errors.InvalidInput.field("from", f"must not be later than `to`, {until}", received=str(since))
    if (until - since).days >= MOST_DAYS:
        raise errors.InvalidInput.field("from", f"must be at most {MOST_DAYS} days before `to`", received=str(since))
    return Span(since, until)


def told_apart(by: str) -> list[str]:
    """Some words of BY, by commas, each once; raises InvalidInput."""
    names = by.split(",")
    if set(names) - set(BY) or len(set(names)) < len(names):
        issue = f"must be some of {', '.join(BY)}, by commas, each once"
        raise errors.InvalidInput.field("by", issue, received=by[:100])
    return names


def read(engine: sqlalchemy.Engine, tenant_id: uuid.UUID | None, days: Span, by: Sequence[str]) -> list[Used]:
    """What a tenant used, or each of them, in these days, told apart by words of BY and in their order; exact for all
    that is committed. Raises InvalidInput for more than MOST_ROWS."""
    statement = text(_READ.format(by=", ".join(["tenant", *by])))
    values = {"tenant_id": tenant_id, "since": days.since, "until": days.until, "limit": MOST_ROWS + 1}
    with database.reading(engine) as connection:
        found = [Used(**row) for row in connection.execute(statement, values).mappings()]
    if len(found) > MOST_ROWS:
        issue = f"comes to more than {MOST_ROWS:,} rows: ask for fewer days, or by less"
        raise errors.InvalidInput.field("by", issue, received=",".join(by))
    return found


def fold(engine: sqlalchemy.Engine) -> int:
    """Add up to LIMIT rows of the ledger to their days, each once, whoever commits late; returns how many. Does nothing
    while somebody else does."""
    with engine.begin() as connection:
        connection.execute(_BEGIN)
        mark = connection.execute(_MARK).scalar()
        return 0 if mark is None else int(connection.execute(_FOLD, {"mark": mark, "limit": LIMIT}).scalar_one())


def forget(engine: sqlalchemy.Engine, *, keep_days: int) -> int:
    """One step of forgetting the rows that are in their days and older than this; returns how many. Days stay."""
    with engine.begin() as connection:
        return connection.execute(_FORGET, {"keep_days": keep_days, "limit": LIMIT}).rowcount
