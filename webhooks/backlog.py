"""How much waits to be sent."""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

_BACKLOG = text("""
SELECT count(*) AS pending, coalesce(extract(epoch FROM now() - min(next_at)), 0)::float AS overdue_s,
  (SELECT count(*) FROM webhook_endpoints WHERE disabled_code IN ('GONE', 'FAILING')) AS disabled
FROM webhook_deliveries WHERE status = 'pending'
""")


@dataclass(frozen=True)
class Backlog:
    """What waits, how long the first of it has been due, and how many endpoints the platform has switched off."""

    pending: int
    overdue_s: float
    disabled: int


def read(engine: sqlalchemy.Engine) -> Backlog:
    with engine.connect() as connection:
        return Backlog(**connection.execute(_BACKLOG).one()._mapping)
