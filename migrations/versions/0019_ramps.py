"""models: no ramp leads to all of the traffic any more, where nothing is left to compare with"""

from __future__ import annotations

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    connection = op.get_bind()
    for name, routes in connection.execute(sa.text("SELECT name, routes FROM models FOR UPDATE")).all():
        canaries, before = routes.get("canaries", []), json.dumps(routes)
        while _comes_to(routes) >= 100 and (ramped := [item for item in canaries if item.get("ramp")]):
            _shorten(max(ramped, key=lambda item: float(item["ramp"]["to"][-1])))
        if (after := json.dumps(routes)) != before:
            changed = sa.text("UPDATE models SET routes = CAST(:routes AS json) WHERE name = :name")
            connection.execute(changed, {"name": name, "routes": after})


def _comes_to(routes: dict[str, Any]) -> float:
    """The share of all rules together, at the end of all ramps."""
    steps = [[item["percent"], *(item.get("ramp") or {}).get("to", [])] for item in routes.get("canaries", [])]
    return float(sum(map(max, steps)) + sum(item["percent"] for item in routes.get("experiments", [])))


def _shorten(canary: dict[str, Any]) -> None:
    """Its ramp without the last step; none where that was the only one, or where it stands already."""
    steps = [step for step in canary["ramp"]["to"][:-1] if step > canary["percent"]]
    canary["ramp"] = {**canary["ramp"], "to": steps} if steps else None


def downgrade() -> None:
    """What was said stays as it is: the release before takes it."""
