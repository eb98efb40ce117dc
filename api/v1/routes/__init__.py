"""Every route of version 1."""

from __future__ import annotations

from api.v1.routes import deliveries, jobs, models, predict, uploads, webhook_keys, webhooks

#: In the order of the contract.
BLUEPRINTS = (
    predict.blueprint,
    jobs.blueprint,
    uploads.blueprint,
    webhooks.blueprint,
    deliveries.blueprint,
    models.blueprint,
    webhook_keys.blueprint,
)
