"""Every route of version 1."""

from __future__ import annotations

from api.v1 import refusals
from api.v1.routes import (
    admin,
    deliveries,
    explain,
    jobs,
    keys,
    models,
    predict,
    uploads,
    usage,
    webhook_keys,
    webhooks,
)
from core import errors

#: In the order of the contract.
BLUEPRINTS = (
    predict.blueprint,
    explain.blueprint,
    jobs.blueprint,
    uploads.blueprint,
    webhooks.blueprint,
    deliveries.blueprint,
    models.blueprint,
    usage.limits,
    usage.blueprint,
    keys.blueprint,
    webhook_keys.blueprint,
    *admin.BLUEPRINTS,
)
for blueprint in BLUEPRINTS:
    blueprint.register_error_handler(errors.CoatcheckError, refusals.refusal)
