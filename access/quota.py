"""What a tenant may use in a calendar month (UTC): its units, an allowance beyond them, and then what its tier says.

What counts is what the ledger has of this month and what unfinished jobs will cost, less what an operator gave. So the
rows of jobs are the reservation: a job that ends without a result takes its part of it along, whoever ends it.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import sqlalchemy
from sqlalchemy import text

from access import tenants
from access.keys import Caller
from access.ledger import Ledger
from access.tiers import SAID, Tier
from core import database, errors

#: How long a look at a tenant's month is good for. What this process lets in meanwhile is added to it; what others do
#: is not seen, so a tenant can be over its limit by what it hands in to them within this time.
LOOK_S = 1.0
#: So long before that is over it may be looked at ahead.
AHEAD_S = 0.2
#: What is older is told to nobody: who only asks has nothing looked up, and would hear of a month that is over.
TOLD_S = 10.0
#: Of so many tenants those of whom nothing is told any more are forgotten.
TENANTS = 10_000

# A parked job's cost is that of its chunks, which are found through it.
# Operators may give more than a number holds; a month is told with as much as it does.
_USED = """
least(4611686018427387904, greatest(-4611686018427387904,
(SELECT coalesce(sum(units), 0) FROM usage_days WHERE tenant_id = tenants.id AND day >= month)
+ (SELECT coalesce(sum(units), 0) FROM usage
   WHERE tenant_id = tenants.id AND created_at >= month AND xact >= coalesce((SELECT xact FROM usage_mark), 0))
+ (SELECT coalesce(sum(cost), 0) FROM jobs
   WHERE tenant_id = tenants.id AND parent_id IS NULL AND status = 'pending')
+ (SELECT coalesce(sum(CASE WHEN lease_expires_at = 'infinity' THEN (
     SELECT coalesce(sum(part.cost), 0) FROM jobs AS part
     WHERE part.parent_id = jobs.id AND part.status IN ('pending', 'processing')) ELSE cost END), 0) FROM jobs
   WHERE tenant_id = tenants.id AND parent_id IS NULL AND status = 'processing')
- (SELECT coalesce(sum(units), 0) FROM adjustments WHERE tenant_id = tenants.id AND adjustments.month = now.month)))
"""
_NOW = "(SELECT CAST(date_trunc('month', now()) AS date) AS month) AS now"
_MONTH = text(f"""
SELECT CAST(month + interval '1 month' AS timestamptz) AS resets_at, CAST({_USED} AS bigint) AS used
FROM tenants, {_NOW} WHERE id = :tenant_id
""")  # noqa: S608 - constants
_TIER = text(f"SELECT tier, {SAID} FROM tenants JOIN tiers ON tiers.name = tier WHERE id = :tenant_id")  # noqa: S608

# Each step once in a month, with what its receivers are told in the same transaction.
_TELL = text(f"""
WITH seen AS MATERIALIZED (
  SELECT tenants.id, month, monthly_units, allowance_percent, past_allowance, CAST({_USED} AS bigint) AS used
  FROM tiers JOIN tenants ON tier = tiers.name, {_NOW} WHERE monthly_units > 0
), told AS (
  INSERT INTO quota_notices (tenant_id, month, event)
  SELECT id, month, event FROM seen CROSS JOIN LATERAL (VALUES
    ('quota.warning', monthly_units * 0.8), ('quota.reached', monthly_units),
    ('quota.exceeded', floor(monthly_units * (1 + allowance_percent / 100.0)))
  ) AS step (event, units) WHERE used >= step.units
  ON CONFLICT DO NOTHING RETURNING tenant_id, event
), sent AS (
  INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, target, event, body)
  SELECT gen_random_uuid(), seen.id, webhook_endpoints.id, webhook_endpoints.id::text, told.event, json_build_object(
    'type', told.event, 'timestamp', now(), 'data', json_build_object(
      'month', to_char(month, 'YYYY-MM'), 'units', used, 'monthly_units', monthly_units,
      'allowance_percent', allowance_percent, 'past_allowance', past_allowance,
      'resets_at', CAST(month + interval '1 month' AS timestamptz)))::text
  FROM told JOIN seen ON seen.id = told.tenant_id
    JOIN webhook_endpoints ON webhook_endpoints.tenant_id = seen.id AND enabled AND told.event = ANY (events)
)
SELECT count(*) FROM told
""")  # noqa: S608 - constants


@dataclass
class _Month:
    """A tenant's, as it was looked up, and what was let in since."""

    resets_at: dt.datetime
    used: int


class Standing(NamedTuple):
    """How a tenant stands in a month; a `limit` of 0 is none, and `most` is with the allowance."""

    limit: int
    most: int
    used: int
    resets_at: dt.datetime


class _Seen:
    """What is known of a tenant's month: as of the last look, or why there is none."""

    __slots__ = ("error", "looking", "month", "under_way", "until")

    def __init__(self) -> None:
        self.looking = threading.Lock()
        self.month: _Month | None = None
        self.error: errors.Unavailable | None = None
        self.until = 0.0
        #: Units of what was let in here and is in no book yet.
        self.under_way = 0


class Quota:
    """One process's; may be shared by threads."""

    def __init__(self, engine: sqlalchemy.Engine, ledger: Ledger) -> None:
        self._engine, self._ledger = engine, ledger
        self._lock = threading.Lock()
        #: By the number of a tenant's id: an id's own hash is made anew each time.
        self._seen: dict[int, _Seen] = {}

    def check(self, caller: Caller, units: int) -> None:
        """Let so many units in; raises QuotaExceeded where they are more than is left, allowance and all, and the tier
        does not let a tenant go on and pay, and RequestTooCostly where they are more than a month has. A tier without a
        limit is asked nothing of the database."""
        tier = caller.tier
        if not tier.monthly_units:
            return
        month = self._month(caller.tenant_id)
        with self._lock:
            used = month.used
            refused = tier.past_allowance == "refuse" and used + units > tier.most_units
            month.used += 0 if refused else units
        if refused:
            raise exceeded(tier, used, units, month.resets_at)

    def give_back(self, caller: Caller, units: int) -> None:
        """What was let in, and then was not used."""
        seen = self._seen.get(caller.tenant_id.int)
        with self._lock:
            if seen is not None and seen.month is not None:
                seen.month.used -= units

    def hold(self, caller: Caller, units: int) -> Callable[[], None]:
        """Count what was let in at each look as well, until what this gives is called, as it ends and goes to the books
        if it costs anything."""
        seen = self._seen.get(caller.tenant_id.int) or _Seen()

        def change(by: int) -> None:
            with self._lock:
                seen.under_way += by

        change(units)
        return lambda: change(-units)

    def look_ahead(self, caller: Caller) -> None:
        """Raises QuotaExceeded where not one unit more would be let in."""
        tier = caller.tier
        if not tier.monthly_units or tier.past_allowance != "refuse":
            return
        month = self._month(caller.tenant_id)
        if month.used >= tier.most_units:
            raise exceeded(tier, month.used, 1, month.resets_at)

    def standing(self, caller: Caller) -> Standing:
        """As of the last look, at most LOOK_S ago while the database answers; raises Unavailable."""
        return _standing(caller.tier, self._month(caller.tenant_id))

    def remembered(self, caller: Caller) -> Standing | None:
        """The same without a look; None where nothing is known that is TOLD_S old at most."""
        seen = self._seen.get(caller.tenant_id.int)
        if seen is None or seen.month is None or time.monotonic() >= seen.until + TOLD_S:
            return None
        return _standing(caller.tier, seen.month)

    def knows(self, caller: Caller) -> bool:
        """Whether nobody need be asked to check it."""
        seen = self._seen.get(caller.tenant_id.int)
        return not caller.tier.monthly_units or (seen is not None and time.monotonic() < seen.until)

    def is_due(self, caller: Caller) -> bool:
        """Whether somebody will soon have to be asked about one that is known."""
        seen = self._seen.get(caller.tenant_id.int)
        return bool(caller.tier.monthly_units) and seen is not None and seen.until - time.monotonic() < AHEAD_S

    def look_anew(self, caller: Caller) -> None:
        """Ask about it before anybody has to."""
        seen = self._seen.get(caller.tenant_id.int)
        if seen is not None and seen.looking.acquire(blocking=False):
            try:
                self._look(caller.tenant_id, seen)
            finally:
                seen.looking.release()

    def _month(self, tenant_id: uuid.UUID) -> _Month:
        """One looks; the others have the last month meanwhile, and wait only for the first. While the database is away
        the last one stands."""
        seen = self._seen.get(tenant_id.int) or self._begin(tenant_id)
        if time.monotonic() >= seen.until and seen.looking.acquire(blocking=seen.month is None):
            try:
                if time.monotonic() >= seen.until:
                    self._look(tenant_id, seen)
            finally:
                seen.looking.release()
        if seen.month is None:
            raise seen.error or errors.Unavailable()
        return seen.month

    def _begin(self, tenant_id: uuid.UUID) -> _Seen:
        """Of whom nothing is known yet."""
        with self._lock:
            if len(self._seen) >= TENANTS:
                old = time.monotonic() - TOLD_S
                # Of some the first look is still under way.
                self._seen = {number: seen for number, seen in self._seen.items() if not seen.until or seen.until > old}
            return self._seen.setdefault(tenant_id.int, _Seen())

    def _look(self, tenant_id: uuid.UUID, seen: _Seen) -> None:
        # Before, so that what is written meanwhile is counted twice for a moment, and never not at all.
        more = seen.under_way + self._ledger.unwritten(tenant_id)
        try:
            with database.reading(self._engine) as connection:
                found = _look(connection, tenant_id)
        except errors.Unavailable as error:
            seen.error = error
        else:
            found.used += more
            seen.month = found
        seen.until = time.monotonic() + LOOK_S


def _standing(tier: Tier, month: _Month) -> Standing:
    return Standing(tier.monthly_units, tier.most_units, month.used, month.resets_at)


def exceeded(
    tier: Tier, used: int, units: int, resets_at: dt.datetime
) -> errors.QuotaExceeded | errors.RequestTooCostly:
    """What is said of a request of so many units: whether it may fit another time, or in no month."""
    if units > tier.most_units:
        return errors.RequestTooCostly(
            f"This costs {units:,} units, and a month never has more than {tier.most_units:,}: hand in less",
            details={"limit": tier.most_units, "policy": "units-month", "cost": units},
        )
    details = {"limit": tier.most_units, "used": used, "units": units, "resets_at": resets_at.isoformat()}
    return errors.QuotaExceeded(
        f"This costs {units:,} units, and {used:,} of the {tier.most_units:,} units of this month are used; a new "
        f"month begins at {resets_at:%Y-%m-%dT%H:%M:%SZ}",
        details=details,
    )


def judge(engine: sqlalchemy.Engine, tenant_id: uuid.UUID, units: int, *, counted: int) -> None:
    """Whether a tenant may use so many units, which are known only after it was accepted, when so many of them were
    counted; raises QuotaExceeded, RequestTooCostly.

    Two that ask at once are both judged by what was used before.
    """
    with engine.connect() as connection:
        tier = Tier.of(connection.execute(_TIER, {"tenant_id": tenant_id}).one())
        if not tier.monthly_units or tier.past_allowance != "refuse":
            return
        month = _look(connection, tenant_id)
    others = month.used - counted
    if others + units > tier.most_units:
        raise exceeded(tier, others, units, month.resets_at)


def tell(engine: sqlalchemy.Engine) -> int:
    """Tell tenants that have come to 80 % or 100 % of their units, or to the end of the allowance; returns how many
    such steps there were."""
    with engine.begin() as connection:
        return int(connection.execute(_TELL).scalar_one())


def of_tenant(engine: sqlalchemy.Engine, tenant: str) -> Standing:
    """How a tenant stands by what is written, which what is answered at once is within a second; raises
    TenantNotFound."""
    with engine.connect() as connection:
        tenant_id = tenants.find(connection, tenant)
        tier = Tier.of(connection.execute(_TIER, {"tenant_id": tenant_id}).one())
        return _standing(tier, _look(connection, tenant_id))


def _look(connection: sqlalchemy.Connection, tenant_id: uuid.UUID) -> _Month:
    row = connection.execute(_MONTH, {"tenant_id": tenant_id}).one()
    return _Month(row.resets_at, row.used)
