"""SQLAlchemy tables, nothing else."""

from models.access import ApiKey, Tenant
from models.base import Base
from models.jobs import Job, JobResult, Usage
from models.registry import Model, ModelVersion

__all__ = ["ApiKey", "Base", "Job", "JobResult", "Model", "ModelVersion", "Tenant", "Usage"]
