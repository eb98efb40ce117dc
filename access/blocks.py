"""Who is held back: rows of `blocks`, which all processes read, and who may be let go."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

import sqlalchemy
import structlog
from sqlalchemy import text

from access.ladder import Ladder, Level, Standing
from core import audit, errors, metrics
from core.audit import Actor

log = structlog.get_logger()

#: As many as a process looks at; those that are held longest.
MOST = 10_000
LIFTED = "block.lifted"

# Whoever saw the same as another, and comes later, changes nothing: the errors of one moment are one step.
_FIRST = text("""
INSERT INTO blocks AS mine (subject, tenant_id, level, steps, reason, until, gone_at)
VALUES (:subject, :tenant_id, :level, :steps, :reason, now() + make_interval(secs => :span_s),
  now() + make_interval(secs => :span_s + :below_s))
ON CONFLICT (subject) DO UPDATE SET level = excluded.level, steps = excluded.steps, reason = excluded.reason,
  since = now(), until = excluded.until, gone_at = excluded.gone_at
WHERE mine.gone_at <= now()
""")
# From where somebody still is: who was let go meanwhile is not held again for the errors from before.
_NEXT = text("""
UPDATE blocks SET level = :level, steps = :steps, reason = :reason, since = now(),
  until = now() + make_interval(secs => :span_s), gone_at = now() + make_interval(secs => :span_s + :below_s)
WHERE subject = :subject AND steps < :steps AND gone_at > now()
""")
_HELD = text("""
SELECT subject, (SELECT name FROM tenants WHERE id = tenant_id) AS tenant, level, steps, reason, since,
  extract(epoch FROM until)::float AS until_s, extract(epoch FROM now())::float AS now_s
FROM blocks WHERE gone_at > now() ORDER BY gone_at DESC, subject LIMIT :most
""")
_LIFT = text("DELETE FROM blocks WHERE subject = :subject RETURNING tenant_id, level, reason, gone_at > now() AS held")
_GONE = text("DELETE FROM blocks WHERE gone_at <= now()")
# A key of which a week knows nothing has no use that it could be ten times. Whom an operator let go today stays so.
_SURGES = text("""
WITH days AS (
  SELECT tenant_id, 'key:' || key_id AS subject, day, sum(units) AS units FROM usage_days
  WHERE day BETWEEN current_date - 7 AND current_date AND key_id NOT IN ('', 'anonymous')
  GROUP BY tenant_id, key_id, day
), found AS (
  SELECT tenant_id, subject FROM days GROUP BY tenant_id, subject
  HAVING count(*) FILTER (WHERE day < current_date) > 0 AND sum(units) FILTER (WHERE day = current_date)
    >= greatest(:least, :factor * avg(units) FILTER (WHERE day < current_date))
)
INSERT INTO blocks (subject, tenant_id, level, reason, until, gone_at)
SELECT subject, tenant_id, 1, 'surge', tomorrow, tomorrow
FROM found CROSS JOIN (SELECT date_trunc('day', now()) + interval '1 d' AS tomorrow) AS moment
WHERE NOT EXISTS (SELECT FROM audit WHERE audit.tenant_id = found.tenant_id AND action = :lifted
                  AND object = subject AND at >= date_trunc('day', now()))
ON CONFLICT (subject) DO NOTHING
RETURNING subject
""")
#: So many times its own daily mean of the week before, and at least so many units, are a surge.
TIMES, LEAST_UNITS = 10, 10_000


@dataclass(frozen=True)
class Step:
    """Somebody's next step up: `key:<id>` of a tenant, or `address:<network>`."""

    subject: str
    tenant_id: uuid.UUID | None
    level: Level
    steps: int
    reason: str


@dataclass(frozen=True)
class Block:
    """Somebody who is held back, as operators see it."""

    subject: str
    tenant: str | None
    level: str
    reason: str
    since: dt.datetime
    until: dt.datetime


def write(connection: sqlalchemy.Connection, steps: Iterable[Step], ladder: Ladder) -> list[Step]:
    """Those that were steps up: where somebody else has written the same one, or let go whom it is of, it is not."""
    made = []
    # In one order for everybody, so that no two wait for each other.
    for step in sorted(steps, key=lambda step: step.subject):
        spans = {"span_s": ladder.span_s(step.steps), "below_s": ladder.below_s(step.level)}
        statement = _FIRST if step.steps == 1 else _NEXT
        if connection.execute(statement, {**vars(step), "level": int(step.level), **spans}).rowcount:
            made.append(step)
    return made


def tell(step: Step) -> None:
    """Say that a step is committed."""
    log.warning("held_back", subject=step.subject, held=step.level.word, reason=step.reason, steps=step.steps)
    metrics.HELD_BACK.labels(step.level.word, step.reason).inc()


def standing(connection: sqlalchemy.Connection) -> tuple[float, dict[str, Standing]]:
    """What the database's clock says, if anybody is held back, and who is; MOST at most."""
    rows = connection.execute(_HELD, {"most": MOST}).all()
    found = {row.subject: Standing(Level(row.level), row.steps, row.reason, row.until_s) for row in rows}
    return (rows[0].now_s if rows else 0.0), found


def listed(engine: sqlalchemy.Engine, ladder: Ladder) -> list[Block]:
    """Everybody who is held back at the moment, longest first; MOST at most."""
    with engine.connect() as connection:
        rows = connection.execute(_HELD, {"most": MOST}).all()
    found = []
    for row in rows:
        now = Standing(Level(row.level), row.steps, row.reason, row.until_s).at(row.now_s, ladder)
        if now is not None:
            until = dt.datetime.fromtimestamp(now.until_s, dt.UTC)
            found.append(Block(row.subject, row.tenant, now.level.word, row.reason, row.since, until))
    return found


def lift(engine: sqlalchemy.Engine, subject: str, by: Actor) -> None:
    """Let somebody go, which holds everywhere within a second or two; raises BlockNotFound."""
    with engine.begin() as connection:
        # What cannot be in a text of the database is the name of nobody.
        row = connection.execute(_LIFT, {"subject": subject}).first() if subject.isprintable() else None
        if row is None or not row.held:
            raise errors.BlockNotFound
        before = {"level": Level(row.level).word, "reason": row.reason}
        audit.record(connection, by, LIFTED, subject, tenant_id=row.tenant_id, before=before)


def find_surges(engine: sqlalchemy.Engine) -> int:
    """Warn, until the end of the day (UTC), the keys that have used TIMES as much today as they do in a day; returns
    how many."""
    values = {"factor": TIMES, "least": LEAST_UNITS, "lifted": LIFTED}
    with engine.begin() as connection:
        found = connection.execute(_SURGES, values).scalars().all()
    for subject in found:
        tell(Step(subject, None, Level.WARNED, 1, "surge"))
    return len(found)


def purge(engine: sqlalchemy.Engine) -> int:
    """Forget those against whom nothing is held any more; returns how many."""
    with engine.begin() as connection:
        return connection.execute(_GONE).rowcount
