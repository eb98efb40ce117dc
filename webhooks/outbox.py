"""Deliveries on their way out: claimed under a lease and settled behind a fence, as jobs are.

A target (an endpoint, or a tenant's calls to one origin) whose calls fail is held: after TRIP failures in a row it is
called once at a time, with a pause in between, and whatever else is for it waits without being charged an attempt.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy
from sqlalchemy import text

from webhooks import signing_keys, switching
from webhooks.http_post import Answer
from webhooks.verdict import Ending, Verdict

#: Longer than any call: a look-up of a name, and COATCHECK_WEBHOOK_TIMEOUT_S.
LEASE_S = 90.0
#: So many of one target, and of one tenant, are in anybody's hands at once. Of a target that fails it is one.
PER_TARGET = 64
PER_TENANT = 256
#: Failures in a row that hold a target, and for how long at most.
TRIP = 5
MAX_HOLD_S = 60.0
LIMIT = 500

# The targets, and when the first that waits for each is due, are found one after the other through the index: a hundred
# thousand deliveries to one that hangs cost no more than one.
_TARGETS = """
WITH RECURSIVE targets AS (
  (SELECT target, next_at FROM webhook_deliveries WHERE status = 'pending' ORDER BY target, next_at LIMIT 1)
  UNION ALL
  SELECT later.target, later.next_at FROM targets CROSS JOIN LATERAL (
    SELECT target, next_at FROM webhook_deliveries WHERE status = 'pending' AND target > targets.target
    ORDER BY target, next_at LIMIT 1
  ) AS later
)
"""
# Of a tenant's many origins some are looked at, by chance, and a few deliveries of each: their targets begin with its
# id, an endpoint's is its own.
_CLAIM = text(f"""
{_TARGETS}, busy AS (
  SELECT target, count(*) AS calls FROM webhook_deliveries WHERE status = 'sending' GROUP BY target
), busy_tenants AS (
  SELECT tenant_id, count(*) AS calls FROM webhook_deliveries WHERE status = 'sending' GROUP BY tenant_id
), room AS (
  SELECT target, row_number() OVER (theirs ORDER BY random()) AS nth, least(
    greatest(1, :per_tenant / count(*) OVER theirs),
    greatest(0, CASE WHEN failures >= :trip THEN 1 ELSE :per_target END - coalesce(calls, 0))) AS places
  FROM targets LEFT JOIN busy USING (target) LEFT JOIN webhook_troubles USING (target)
  WHERE next_at <= now() AND (held_until <= now()) IS NOT FALSE
  WINDOW theirs AS (PARTITION BY left(target, 36))
), picked AS (
  SELECT ranked.id FROM (
    SELECT due.*, row_number() OVER (PARTITION BY tenant_id ORDER BY next_at) AS nth FROM room CROSS JOIN LATERAL (
      SELECT id, tenant_id, next_at FROM webhook_deliveries
      WHERE status = 'pending' AND target = room.target AND next_at <= now()
      ORDER BY next_at, sequence LIMIT places FOR UPDATE SKIP LOCKED
    ) AS due WHERE room.nth <= :per_tenant
  ) AS ranked LEFT JOIN busy_tenants USING (tenant_id)
  WHERE nth <= :per_tenant - coalesce(calls, 0) ORDER BY nth, next_at LIMIT :most
)
UPDATE webhook_deliveries AS mine SET status = 'sending', attempt = attempt + 1, worker = :worker,
  lease_expires_at = clock_timestamp() + make_interval(secs => :lease_s)
FROM picked WHERE mine.id = picked.id
RETURNING mine.id, mine.tenant_id, mine.endpoint_id, mine.target, mine.event, mine.body, mine.attempt,
  mine.tries_before, extract(epoch FROM clock_timestamp())::float AS claimed_s,
  coalesce(mine.url, (SELECT url FROM webhook_endpoints WHERE id = mine.endpoint_id AND enabled)) AS url
""")  # noqa: S608

# Or what was said at one address would be written down of the next, which its tenant gives it at this moment.
_HOLD = text("SELECT FROM webhook_endpoints WHERE id = ANY (:ids) ORDER BY id FOR NO KEY UPDATE")
_URLS = text("SELECT id, url FROM webhook_endpoints WHERE id = ANY (:ids) AND enabled")

_SETTLE = text("""
WITH mine AS (
  SELECT * FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[]), CAST(:endings AS text[]),
    CAST(:delays AS float[]), CAST(:ms AS int[]), CAST(:statuses AS int[]), CAST(:errors AS text[]),
    CAST(:responses AS text[])) AS mine (id, attempt, ending, delay_s, ms, http, error, response)
), done AS (
  UPDATE webhook_deliveries AS d SET status = ending, lease_expires_at = NULL, worker = NULL,
    next_at = now() + make_interval(secs => delay_s), last_status = http, last_error = error,
    finished_at = CASE WHEN ending <> 'pending' THEN clock_timestamp() END
  FROM mine WHERE d.id = mine.id AND d.status = 'sending' AND d.attempt = mine.attempt RETURNING d.id, d.attempt
), logged AS (
  INSERT INTO webhook_attempts (delivery_id, attempt, at, ms, status, error, response)
  SELECT id, attempt, clock_timestamp() - make_interval(secs => ms / 1000.0), ms, http, error, response
  FROM mine WHERE (id, attempt) IN (SELECT id, attempt FROM done)
)
SELECT id FROM done
""")

_GIVE_BACK = text("""
UPDATE webhook_deliveries AS d SET status = 'pending', lease_expires_at = NULL, worker = NULL,
  tries_before = tries_before + 1
FROM unnest(CAST(:ids AS uuid[]), CAST(:attempts AS int[])) AS mine (id, attempt)
WHERE d.id = mine.id AND d.status = 'sending' AND d.attempt = mine.attempt
""")

# Who asked to be left alone is left alone, whatever else was answered meanwhile.
_WELL = text("DELETE FROM webhook_troubles WHERE target = ANY (:targets) AND held_until <= now()")
_WELL_BUT_HELD = text("UPDATE webhook_troubles SET failures = 0, failing_since = now() WHERE target = ANY (:targets)")
_ILL = text("""
INSERT INTO webhook_troubles AS t (target, failures, held_until)
SELECT target, failures, now() + make_interval(secs => wish_s)
FROM unnest(CAST(:targets AS text[]), CAST(:failures AS int[]), CAST(:wishes AS float[]))
  AS ill (target, failures, wish_s)
ORDER BY target
ON CONFLICT (target) DO UPDATE SET failures = t.failures + excluded.failures,
  held_until = greatest(t.held_until, excluded.held_until,
    CASE WHEN t.failures + excluded.failures >= :trip THEN now() + make_interval(secs => least(
      :most_s, :pause_s * power(2, least(t.failures + excluded.failures - :trip, 16)))) END)
RETURNING target, failures, extract(epoch FROM now() - failing_since) AS failing_s
""")

_LOST = """
WITH dead AS (
  SELECT id, attempt FROM webhook_deliveries WHERE status = 'sending' AND {gone} LIMIT :limit FOR UPDATE SKIP LOCKED
), logged AS (
  INSERT INTO webhook_attempts (delivery_id, attempt, error) SELECT id, attempt, 'WORKER_LOST' FROM dead
)
UPDATE webhook_deliveries AS d SET lease_expires_at = NULL, worker = NULL, next_at = now(), last_error = 'WORKER_LOST',
  status = 'pending', tries_before = tries_before + 1
FROM dead WHERE d.id = dead.id RETURNING d.id
"""
_LEASE_OVER = text(_LOST.format(gone="lease_expires_at < clock_timestamp()"))
_NODE_BORN_AGAIN = text(
    _LOST.format(gone="starts_with(worker, :node || '/') AND NOT starts_with(worker, :incarnation || '/')")
)

_DUE = text(f"""
{_TARGETS}
SELECT EXISTS (
  SELECT FROM targets LEFT JOIN webhook_troubles USING (target)
  WHERE next_at <= now() AND (held_until <= now()) IS NOT FALSE
)
""")  # noqa: S608


@dataclass(frozen=True)
class Claimed:
    """A delivery in a sender's hands; `attempt` is the fence, `keys` are sealed."""

    id: uuid.UUID
    tenant_id: uuid.UUID
    endpoint_id: uuid.UUID | None
    target: str
    event: str
    body: str
    attempt: int
    tries_before: int
    claimed_s: float  #: when, by the database's clock, in epoch seconds
    url: str | None  #: None when its endpoint was switched off or deleted at this very moment
    keys: Sequence[str]
    claimed_at: float = field(default_factory=time.monotonic)

    @property
    def time_s(self) -> float:
        """Now, by the database's clock: receivers refuse signatures with a wrong time."""
        return self.claimed_s + time.monotonic() - self.claimed_at

    @property
    def tries(self) -> int:
        return self.attempt - self.tries_before


@dataclass(frozen=True)
class Done:
    delivery: Claimed
    answer: Answer
    verdict: Verdict


def claim(engine: sqlalchemy.Engine, *, worker: str, most: int) -> list[Claimed]:
    """Take what is due, a few for each target, the longest waiting first; of very many of a tenant, some by chance."""
    limits = {"most": most, "trip": TRIP, "per_target": PER_TARGET, "per_tenant": PER_TENANT}
    values = {"worker": worker, "lease_s": LEASE_S, **limits}
    with engine.begin() as connection:
        rows = connection.execute(_CLAIM, values).all()
        keys = signing_keys.of_many(connection, {(row.tenant_id, row.endpoint_id) for row in rows}) if rows else {}
    return [Claimed(**row._mapping, keys=keys.get((row.tenant_id, row.endpoint_id), ())) for row in rows]


def settle(engine: sqlalchemy.Engine, done: Sequence[Done], *, pause_s: float, disable_s: int) -> int:
    """Write down what came of them and what it says of their targets; returns how many were still ours.

    An endpoint that is gone, or has failed for `disable_s`, is switched off. What was said at an address that an
    endpoint has left meanwhile says nothing of it, and nothing is tried again for one that is off.
    """
    with engine.begin() as connection:
        if failed := [item.delivery.endpoint_id for item in done if item.verdict.ending is not Ending.DELIVERED]:
            connection.execute(_HOLD, {"ids": failed})
        ids = list({item.delivery.endpoint_id for item in done if item.delivery.endpoint_id})
        urls = {row.id: row.url for row in connection.execute(_URLS, {"ids": ids})}
        done = [_unless_off(item, urls) for item in done]
        ours = set(connection.execute(_SETTLE, _columns(done)).scalars())
        known = [item for item in done if item.delivery.id in ours and _is_current(item.delivery, urls)]
        _mark(connection, known, pause_s, disable_s)
    return len(ours)


def _unless_off(item: Done, urls: Mapping[uuid.UUID, str]) -> Done:
    endpoint_id = item.delivery.endpoint_id
    again = item.verdict.ending is Ending.AGAIN and endpoint_id is not None and endpoint_id not in urls
    return replace(item, verdict=Verdict(Ending.FAILED)) if again else item


def _is_current(delivery: Claimed, urls: Mapping[uuid.UUID, str]) -> bool:
    """Whether what was called is what its target is now."""
    return delivery.url is not None and (delivery.endpoint_id is None or urls.get(delivery.endpoint_id) == delivery.url)


def _columns(done: Sequence[Done]) -> dict[str, list[Any]]:
    return {
        "ids": [item.delivery.id for item in done],
        "attempts": [item.delivery.attempt for item in done],
        "endings": [item.verdict.ending for item in done],
        "delays": [float(item.verdict.delay_s) for item in done],
        "ms": [item.answer.ms for item in done],
        "statuses": [item.answer.status for item in done],
        "errors": [item.answer.error and str(item.answer.error) for item in done],
        "responses": [item.answer.response for item in done],
    }


def _mark(connection: sqlalchemy.Connection, done: Sequence[Done], pause_s: float, disable_s: int) -> None:
    """What the calls say of their targets: one that answered well is well."""
    asked = {item.delivery.target for item in done if item.verdict.hold_s}
    well = {item.delivery.target for item in done if item.verdict.ending is Ending.DELIVERED} - asked
    if well:
        connection.execute(_WELL, {"targets": list(well)})
        connection.execute(_WELL_BUT_HELD, {"targets": list(well)})
    bad = [item for item in done if item.verdict.ending is not Ending.DELIVERED and item.delivery.target not in well]
    failures = Counter(item.delivery.target for item in bad)
    endpoints = {item.delivery.target: item.delivery.endpoint_id for item in done}
    values = {
        "targets": list(failures),
        "failures": list(failures.values()),
        "wishes": [
            max(float(item.verdict.hold_s) for item in bad if item.delivery.target == name) for name in failures
        ],
    }
    if bad:
        rows = connection.execute(_ILL, {**values, "trip": TRIP, "most_s": MAX_HOLD_S, "pause_s": pause_s}).all()
        most = switching.LEAST_FAILURES
        failing = {row.target for row in rows if row.failures >= most and row.failing_s >= disable_s}
        for target in sorted(failing):
            switching.disable(connection, endpoints[target], switching.Reason.FAILING)
    for target in sorted({item.delivery.target for item in done if item.verdict.gone}):
        switching.disable(connection, endpoints[target], switching.Reason.GONE)


def give_back(engine: sqlalchemy.Engine, deliveries: Sequence[Claimed]) -> None:
    """Return what was not sent; it is charged no attempt."""
    values = {"ids": [item.id for item in deliveries], "attempts": [item.attempt for item in deliveries]}
    with engine.begin() as connection:
        connection.execute(_GIVE_BACK, values)


def lease_over(engine: sqlalchemy.Engine) -> int:
    """Take back what a sender left behind: nobody knows whether it arrived, so it is sent again, under the same id, and
    is charged nothing."""
    with engine.begin() as connection:
        return len(connection.execute(_LEASE_OVER, {"limit": LIMIT}).all())


def node_born_again(engine: sqlalchemy.Engine, incarnation: str) -> int:
    """The same, of earlier incarnations of a node that has just started."""
    values = {"node": incarnation.rpartition("/")[0], "incarnation": incarnation}
    with engine.begin() as connection:
        return len(connection.execute(_NODE_BORN_AGAIN, {"limit": LIMIT, **values}).all())


def due(engine: sqlalchemy.Engine) -> bool:
    """Whether anything could be sent now."""
    with engine.connect() as connection:
        return bool(connection.execute(_DUE).scalar_one())
