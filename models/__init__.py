"""SQLAlchemy tables, nothing else."""

from models.access import ApiKey, Audit, Block, Tenant, Tier
from models.base import Base
from models.files import Upload
from models.jobs import Chore, Count, IdempotencyKey, Job, JobEvent, JobResult, Worker
from models.registry import Canary, CanaryUnit, Model, ModelVersion
from models.shadows import Feedback, ShadowCopy, ShadowPair
from models.usage import Adjustment, QuotaNotice, Usage, UsageDay, UsageMark
from models.webhooks import WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookSecret, WebhookTrouble

__all__ = [
    "Adjustment",
    "ApiKey",
    "Audit",
    "Base",
    "Block",
    "Canary",
    "CanaryUnit",
    "Chore",
    "Count",
    "Feedback",
    "IdempotencyKey",
    "Job",
    "JobEvent",
    "JobResult",
    "Model",
    "ModelVersion",
    "QuotaNotice",
    "ShadowCopy",
    "ShadowPair",
    "Tenant",
    "Tier",
    "Upload",
    "Usage",
    "UsageDay",
    "UsageMark",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookSecret",
    "WebhookTrouble",
    "Worker",
]
