"""What a class of tenants may do: rows of `tiers`, which an operator may change at any time."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy
from sqlalchemy import text

from access.rates import Policy
from core import audit, errors
from core.audit import Actor

DEFAULT = "free"
PRIORITIES = ("high", "normal", "low")
_INTEGER = 2**31 - 1
MAX_NAME = 40
DECIMALS = 9  #: of a price


@dataclass(frozen=True)
class Tier:
    """Limits of one tier; the columns of `tiers` say what each means."""

    name: str
    pace: float
    priorities: tuple[str, ...]
    max_running: int
    max_pending: int
    max_ttl_s: int
    max_uploads: int
    max_upload_bytes: int
    requests_per_minute: int
    requests_burst: int
    units_per_minute: int
    units_burst: int
    monthly_units: int
    allowance_percent: int
    past_allowance: str
    unit_price: Decimal
    max_run_s: int

    @functools.cached_property
    def requests(self) -> Policy:
        return Policy("requests", self.requests_per_minute, self.requests_burst)

    @functools.cached_property
    def units(self) -> Policy:
        return Policy("units", self.units_per_minute, self.units_burst)

    @functools.cached_property
    def most_units(self) -> int:
        """In a month, with the allowance; 0 where there is no limit."""
        return self.monthly_units * (100 + self.allowance_percent) // 100

    @classmethod
    def of(cls, row: Any) -> Tier:
        """From a row that has its columns, of which `tier` is the name."""
        values = {field.name: getattr(row, field.name) for field in dataclasses.fields(cls)[1:]}
        return cls(row.tier, **{**values, "priorities": tuple(row.priorities)})

    def check(self, *, priority: str, ttl_s: float) -> None:
        """Raises InvalidInput for what a job of this tier may not have."""
        if priority not in self.priorities:
            issue = f"is not offered by tier '{self.name}'; it offers: {', '.join(self.priorities)}"
            raise errors.InvalidInput.field("priority", issue, received=priority)
        if ttl_s > self.max_ttl_s:
            issue = f"must be at most {self.max_ttl_s} by tier '{self.name}'"
            raise errors.InvalidInput.field("expires_in_s", issue, received=round(ttl_s))


@dataclass(frozen=True)
class Limit:
    """A number that every tier has: what it means, and its bounds."""

    meaning: str
    least: float
    most: float


LIMITS: Mapping[str, Limit] = {
    "pace": Limit("Units per second by which jobs are spaced while several tenants wait.", 0.001, 1_000_000),
    "max_running": Limit("Jobs running at once.", 1, _INTEGER),
    "max_pending": Limit("Jobs waiting at once.", 1, _INTEGER),
    "max_ttl_s": Limit("The largest `expires_in_s` of a job, in seconds.", 1, _INTEGER),
    "keep_s": Limit("How long an ended job is kept, in seconds.", 1, _INTEGER),
    "max_uploads": Limit("Uploads open at once.", 0, _INTEGER),
    "max_upload_bytes": Limit("Bytes of uploads kept in all.", 0, 2**50),
    "max_run_s": Limit("The largest `timeout_s` of a job, in seconds.", 1, _INTEGER),
    "requests_per_minute": Limit("Requests in a minute, for as long as one likes.", 1, _INTEGER),
    "requests_burst": Limit("Requests at once, after a rest.", 1, _INTEGER),
    "units_per_minute": Limit("Units in a minute, for as long as one likes.", 1, _INTEGER),
    "units_burst": Limit("Units at once, after a rest.", 1, _INTEGER),
    "monthly_units": Limit("Units in a calendar month; 0 for no such limit.", 0, 2**53),
    "allowance_percent": Limit("Of the monthly units, how much more may be used, in percent.", 0, 1000),
    "unit_price": Limit("What a unit costs.", 0, 1_000_000),
}
#: What happens to who has used the allowance as well.
PAST = ("refuse", "pay")
COLUMNS = ("name", "pace", "priorities", *list(LIMITS)[1:], "past_allowance")

_ALL = ", ".join(COLUMNS)
#: What a tier says, beside its name. By names: what was prepared with a `*` fails when a migration adds a column.
SAID = ", ".join(f"tiers.{name}" for name in COLUMNS[1:])
_SELECT = f"SELECT {_ALL} FROM tiers"  # noqa: S608 - names of columns alone
_LIST = text(f"{_SELECT} ORDER BY name")
_ONE = text(f"{_SELECT} WHERE name = :name")
_HELD = text(f"{_SELECT} WHERE name = :name FOR UPDATE")
_INSERT = text(
    f"INSERT INTO tiers ({_ALL}) VALUES ({', '.join(f':{name}' for name in COLUMNS)}) ON CONFLICT DO NOTHING"  # noqa: S608
)
_UPDATE = text(
    f"UPDATE tiers SET {', '.join(f'{name} = :{name}' for name in COLUMNS[1:])} WHERE name = :name"  # noqa: S608
)


def listed(engine: sqlalchemy.Engine) -> list[dict[str, Any]]:
    """Each tier as its row, by name."""
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(_LIST).mappings()]


def get(engine: sqlalchemy.Engine, name: str) -> dict[str, Any]:
    """Its row; raises TierNotFound."""
    with engine.connect() as connection:
        return _find(connection, _ONE, name)


def require(connection: sqlalchemy.Connection, name: str, field: str = "tier") -> None:
    """Raises InvalidInput, with the tiers that there are, for one that is not."""
    known = [row.name for row in connection.execute(_LIST)]
    if name not in known:
        raise errors.InvalidInput.field(field, f"must be one of {', '.join(known)}", received=name)


def create(
    engine: sqlalchemy.Engine, name: str, *, like: str, given: Mapping[str, Any], by: Actor | None = None
) -> dict[str, Any]:
    """Make a tier, a copy of another but for what is given, and return its row; raises InvalidInput, TenantConflict."""
    if not _is_name(name):
        raise errors.InvalidInput.field("name", f"must be 1 to {MAX_NAME} visible ASCII characters")
    _check(given)
    with engine.begin() as connection:
        require(connection, like, "like")
        row = {**_find(connection, _ONE, like), **given, "name": name}
        if connection.execute(_INSERT, row).rowcount == 0:
            raise errors.TenantConflict(f"There is a tier {name} already")
        audit.record(connection, by or audit.operator(), "tier.create", f"tier:{name}", after=_plain(row))
    return row


def change(
    engine: sqlalchemy.Engine, name: str, given: Mapping[str, Any], by: Actor | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Change a tier for all its tenants, within seconds; returns its row as it was and as it is.

    Raises TierNotFound, InvalidInput.
    """
    _check(given)
    with engine.begin() as connection:
        found = _find(connection, _HELD, name)
        before, after = found, {**found, **given}
        connection.execute(_UPDATE, after)
        was, is_ = (_plain({field: row[field] for field in given}) for row in (before, after))
        audit.record(connection, by or audit.operator(), "tier.change", f"tier:{name}", before=was, after=is_)
    return before, after


def _is_name(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text and 0 < len(text) <= MAX_NAME


def _find(connection: sqlalchemy.Connection, statement: sqlalchemy.TextClause, name: str) -> dict[str, Any]:
    """Its row; what cannot be a name is the name of no tier. Raises TierNotFound."""
    found = connection.execute(statement, {"name": name}).mappings().first() if _is_name(name) else None
    if found is None:
        raise errors.TierNotFound(f"There is no tier {name[:MAX_NAME]!r}")
    return dict(found)


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has it."""
    return {name: str(value) if isinstance(value, Decimal) else value for name, value in row.items()}


def _check(given: Mapping[str, Any]) -> None:
    for name, limit in LIMITS.items():
        value = given.get(name)
        if value is not None and not limit.least <= value <= limit.most:
            raise errors.InvalidInput.field(name, f"must be between {limit.least:,} and {limit.most:,}", received=value)
    price = given.get("unit_price")
    if price is not None and round(Decimal(str(price)), DECIMALS) != Decimal(str(price)):
        raise errors.InvalidInput.field("unit_price", f"must have at most {DECIMALS} decimals", received=price)
    if (past := given.get("past_allowance", PAST[0])) not in PAST:
        raise errors.InvalidInput.field("past_allowance", f"must be one of {', '.join(PAST)}", received=past)
    priorities: Sequence[str] | None = given.get("priorities")
    if priorities is not None and (
        "normal" not in priorities or set(priorities) - set(PRIORITIES) or len(set(priorities)) < len(priorities)
    ):
        # Without `normal`, whoever asks for no priority would be refused.
        issue = f"must be some of {', '.join(PRIORITIES)}, each once, with normal among them"
        raise errors.InvalidInput.field("priorities", issue, received=", ".join(priorities))
