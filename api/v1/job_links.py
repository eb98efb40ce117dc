"""Where a job's routes are."""

from __future__ import annotations

from collections.abc import Iterator

from api import links
from core import ids
from jobs import kinds
from jobs.job import Job, Status


def of(found: Job) -> dict[str, str]:
    """To what there is of a job, and what may be done with it."""
    return to(ids.job_id(found.id), *_leads_to(found))


def to(job_id: str, *routes: str) -> dict[str, str]:
    return {"self" if name == "show" else name: links.to(f"jobs.{name}", job_id=job_id) for name in routes}


def _leads_to(found: Job) -> Iterator[str]:
    yield from ("show", "events")
    if kinds.find(found.kind).in_parts:
        yield "parts"
    if found.status is Status.COMPLETED:
        yield "result"
    if not found.status.is_terminal:
        yield "cancel"
    elif kinds.find(found.kind).repeats:
        yield "retry"
