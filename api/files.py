"""Addresses of what was made of files: for whoever holds them, and for a while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from api import resources
from api.resources import Resources
from core import errors, ids
from jobs.bulk.progress import Chunk
from jobs.job import Job
from storage.objects import SKEW_S


def output(found: Job) -> dict[str, Any]:
    """A completed bulk job's result."""
    stored = found.result or {}
    answer: dict[str, Any] = {"rows": stored["rows"], "failed": stored["failed"], "expires_at": expires_at()}
    answer |= {name: stored[name] for name in ("sent", "send_error") if name in stored}
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


def stored(found: Job) -> dict[str, Any]:
    """A result too large for the database."""
    kept = found.result or {}
    url = address(kept["stored_key"], f"{ids.job_id(found.id)}.json")
    return {"url": url, "bytes": kept["bytes"], "expires_at": expires_at()}


def address(key: str, filename: str) -> str:
    """Where a client gets the object for a while; raises Unavailable."""
    here = resources.here()
    check_signing(here)
    return here.store.presign_get(key, filename=filename, expires_s=here.settings.download_s)


def check_signing(here: Resources) -> None:
    """Raises Unavailable while this machine's clock is so wrong that no store would take what it signs."""
    ahead_s = here.clock.ahead_s()
    if abs(ahead_s) > SKEW_S:
        raise errors.Unavailable(f"This machine's clock is wrong by {ahead_s:+.0f} s, and no store takes what it signs")


def expires_at() -> dt.datetime:
    """When addresses made now end."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=resources.here().settings.download_s)
