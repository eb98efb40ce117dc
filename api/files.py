"""Addresses of what a bulk job made: for whoever holds them, and for a while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from api import resources
from core import ids
from jobs.bulk.progress import Chunk
from jobs.job import Job


def output(found: Job) -> dict[str, Any]:
    """A completed bulk job's result."""
    stored = found.result or {}
    answer: dict[str, Any] = {"rows": stored["rows"], "failed": stored["failed"], "expires_at": expires_at()}
    for what in ("output", "errors"):
        if key := stored.get(f"{what}_key"):
            answer[f"{what}_url"] = address(key, f"{ids.job_id(found.id)}.{what}.jsonl")
    return answer


def parts(found: Job, chunks: Iterable[Chunk]) -> list[dict[str, Any]]:
    """What is done of a bulk job, in order."""
    return [
        {
            "part": chunk.inputs["part"],
            "first_line": chunk.inputs["line"],
            "rows": chunk.rows,
            "failed": chunk.result["failed"],
            "url": address(chunk.result["key"], f"{ids.job_id(found.id)}.part-{chunk.inputs['part']:06}.jsonl"),
        }
        for chunk in chunks
    ]


def address(key: str, filename: str) -> str:
    here = resources.here()
    return here.store.presign_get(key, filename=filename, expires_s=here.settings.download_s)


def expires_at() -> dt.datetime:
    """When addresses made now end."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=resources.here().settings.download_s)
