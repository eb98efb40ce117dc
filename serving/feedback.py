"""The truth that arrives after a job's answer."""

from __future__ import annotations

import uuid

from jobs import feedback, queries
from serving.serving import Serving


def give(serving: Serving, tenant_id: uuid.UUID, job_id: uuid.UUID, truth: str | float) -> None:
    """Say what a job's answer should have been; raises JobNotFound, JobStateConflict, InvalidInput, Unavailable."""
    found = queries.get(serving.engine, tenant_id, job_id)
    listed = serving.catalog.listed(found.model, found.version)
    feedback.give(serving.engine, found, truth, listed.manifest if listed else None)
