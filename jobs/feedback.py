"""What turned out to be true of a job's answer, said by its tenant afterwards. The last word counts; it goes with the
job."""

from __future__ import annotations

import math

import sqlalchemy
from sqlalchemy import text

from core import database, errors
from inference.manifest import Manifest
from jobs.job import Job, Status
from jobs.shadows.answer import Brief

_PUT = text("""
INSERT INTO feedback (job_id, model, version, label, confidence, number, true_label, true_number)
SELECT id, model, version, :label, :confidence, :number, :true_label, :true_number FROM jobs WHERE id = :job_id
ON CONFLICT (job_id) DO UPDATE
SET true_label = excluded.true_label, true_number = excluded.true_number, at = now()
RETURNING job_id
""")


def give(engine: sqlalchemy.Engine, job: Job, truth: str | float, manifest: Manifest | None) -> None:
    """Say what the answer should have been; `manifest` is of the version that answered, if it is still there.

    Raises JobNotFound where it is forgotten just now, JobStateConflict for a job without an answer, InvalidInput for an
    answer that is neither a label nor one number, and for what it cannot have been.
    """
    if job.status is not Status.COMPLETED:
        why = f"this one is {job.status}, and has none" if job.status.is_terminal else "there is none yet"
        raise errors.JobStateConflict(f"What is true can be said of a job's answer: {why}")
    said = Brief.of(job.result)
    if said is None:
        issue = "is for jobs of one input, whose answer is a label or one number"
        raise errors.InvalidInput.field("truth", issue)
    given = {"label": said.label, "confidence": said.confidence, "number": said.number}
    true = {
        "true_label": None if said.label is None else _label(truth, manifest),
        "true_number": None if said.number is None else _number(truth),
    }
    with database.writing(engine) as connection:
        if connection.execute(_PUT, {"job_id": job.id, **given, **true}).first() is None:
            raise errors.JobNotFound


def _number(truth: str | float) -> float:
    if isinstance(truth, str) or not math.isfinite(truth):
        raise errors.InvalidInput.field("truth", "must be a number, as the job's answer is")
    return float(truth)


def _label(truth: str | float, manifest: Manifest | None) -> str:
    if not isinstance(truth, str):
        raise errors.InvalidInput.field("truth", "must be a label, as the job's answer is")
    if manifest is not None and truth not in manifest.labels:
        raise errors.InvalidInput.field("truth", f"must be one of: {', '.join(manifest.labels)}"[:1000])
    return truth
