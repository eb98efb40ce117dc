"""A file to the platform: a place is asked for, and it is put there."""

from __future__ import annotations

from typing import IO

from rich.progress import Progress

from cli import store
from cli.remote import Remote


def upload(
    remote: Remote, stream: IO[bytes], progress: Progress, *, size: int, kind: str, filename: str, shown: str
) -> str:
    """The id of the upload; `shown` is how the file is called where it goes wrong. Raises Failure."""
    asked = {"filename": filename, "content_type": kind, "size": size}
    place = remote.post("/uploads", "upload_id", "url", "fields", body=asked)
    task = progress.add_task("uploading", total=size, rows="")
    store.send(
        place["url"], place["fields"], stream, size, name=shown, sent=lambda count: progress.advance(task, count)
    )
    return str(place["upload_id"])
