"""SQLAlchemy tables, nothing else."""

from models.access import ApiKey, Tenant, Tier
from models.base import Base
from models.files import Upload
from models.jobs import Chore, Count, IdempotencyKey, Job, JobEvent, JobResult, Usage, Worker
from models.registry import Model, ModelVersion
from models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret, WebhookTrouble

__all__ = [
    "ApiKey",
    "Base",
    "Chore",
    "Count",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "JobResult",
    "Model",
    "ModelVersion",
    "Tenant",
    "Tier",
    "Upload",
    "Usage",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
    "WebhookTrouble",
    "Worker",
]
