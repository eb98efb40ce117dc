"""What operators ask: every route here takes a key with the scope `admin`."""

from __future__ import annotations

from api.v1.routes.admin import adjustments, audit, blocks, keys, routes, shadows, tenants, tiers

#: In the order of the contract.
BLUEPRINTS = (
    tenants.blueprint,
    tiers.blueprint,
    keys.blueprint,
    adjustments.blueprint,
    audit.blueprint,
    blocks.blueprint,
    shadows.blueprint,
    shadows.quality_blueprint,
    routes.blueprint,
)
