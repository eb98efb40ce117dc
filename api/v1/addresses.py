"""Addresses of what was made of files: for whoever holds them, and for a while."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from api import resources
from api.resources import Resources
from core import errors, ids
from jobs import told
from jobs.bulk.progress import Done
from jobs.job import Job
from jobs.result import Rows, Stored, WithFiles
from storage.objects import SKEW_S


def output(found: Job, rows: Rows) -> dict[str, Any]:
    """The answers to a file."""
    answer: dict[str, Any] = {**told.v1(rows, ""), "expires_at": expires_at()}
    answer |= {} if rows.sent is None else {"sent": rows.sent}
    answer |= {} if rows.send_error is None else {"send_error": rows.send_error}
    for what, key in (("output", rows.output_key), ("errors", rows.errors_key)):
        if key is not None:
            answer[f"{what}_url"] = address(key, f"{ids.job_id(found.id)}.{what}.jsonl")
    return answer


def parts(found: Job, chunks: Iterable[Done]) -> list[dict[str, Any]]:
    """What is done of a bulk job, in order."""
    return [
        {
            "part": chunk.number,
            "first_line": chunk.first_line,
            **told.v1(chunk.part, ""),
            "url": address(chunk.part.key, f"{ids.job_id(found.id)}.part-{chunk.number:06}.jsonl"),
        }
        for chunk in chunks
    ]


def stored(found: Job, kept: Stored) -> dict[str, Any]:
    """A result too large for the database."""
    url = address(kept.stored_key, f"{ids.job_id(found.id)}.json")
    return {**told.v1(kept, ""), "url": url, "expires_at": expires_at()}


def with_files(found: Job, kept: WithFiles) -> dict[str, Any]:
    """What a model found, and the files that it gave beside it."""
    answer = stored(found, kept.answer) if isinstance(kept.answer, Stored) else {}
    shown = told.v1(kept, "")
    for file, about in zip(kept.files, shown["files"], strict=True):
        about["url"] = address(file.key, file.name, file.content_type)
    return {**answer, **shown, "expires_at": expires_at()}


def address(key: str, filename: str, content_type: str | None = None) -> str:
    """Where a client gets the object for a while, as this type; raises Unavailable."""
    here = resources.here()
    check_signing(here)
    expires_s = here.settings.files.download_s
    return here.store.presign_get(key, filename=filename, expires_s=expires_s, content_type=content_type)


def check_signing(here: Resources) -> None:
    """Raises Unavailable while this machine's clock is so wrong that no store would take what it signs."""
    ahead_s = here.clock.ahead_s()
    if abs(ahead_s) > SKEW_S:
        raise errors.Unavailable(f"This machine's clock is wrong by {ahead_s:+.0f} s, and no store takes what it signs")


def expires_at() -> dt.datetime:
    """When addresses made now end."""
    return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=resources.here().settings.files.download_s)
