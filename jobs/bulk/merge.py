"""The second half of a bulk job: the parts of its chunks, in order, become one output and one file of errors."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import IO, Any

from core import errors
from inference.manifest import Manifest
from jobs import run
from jobs.bulk import rows
from jobs.bulk.progress import Chunk
from jobs.bulk.work import folder
from jobs.job import Status
from jobs.lease import Held
from storage.objects import Store

#: Sends a file of so many bytes to where the client wants it.
Send = Callable[[IO[bytes], int], None]


def merge(
    store: Store, manifest: Manifest, held: Held, chunks: Sequence[Chunk], send: Send | None = None
) -> run.Outcome:
    """The job's result: where its output lies, and what is in it; raises Unavailable, OutputUnavailable.

    A chunk that ended without a part (its worker was lost three times, its time ran out) has an error for each row.
    """
    failed = 0
    result: dict[str, Any]
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as faults:
        for chunk in chunks:
            if not held.wanted:
                return run.stopped(held)
            held.begin(held.interrupt)
            if chunk.status is Status.COMPLETED:
                _copy(store, chunk.result["key"], output)
                _copy(store, chunk.result.get("errors_key"), faults)
                failed += chunk.result["failed"]
            else:
                for line in _refusals(store, manifest, chunk):
                    output.write(line)
                    faults.write(line)
                    failed += 1
        result = {"rows": sum(chunk.rows for chunk in chunks), "failed": failed}
        result |= _stored(store, held, {"output": output, "errors": faults})
        if send is not None:
            result |= _sent(send, output, last=held.job.attempt >= held.job.max_attempts)
        return run.Outcome(held, result)


def _copy(store: Store, key: str | None, file: IO[bytes]) -> None:
    if key is not None:
        file.write(store.get(key))


def _refusals(store: Store, manifest: Manifest, chunk: Chunk) -> Iterator[bytes]:
    error = chunk.error or {}
    for row in rows.read(store, manifest, chunk.inputs):
        yield rows.answer(row, error={"code": error.get("code"), "message": error.get("message")})


def _stored(store: Store, held: Held, files: Mapping[str, IO[bytes]]) -> dict[str, Any]:
    """What there is of them, under this attempt's own names."""
    kept = {}
    for what, file in files.items():
        if file.tell():
            file.seek(0)
            kept[f"{what}_key"] = f"{folder(held.job.id)}{what}.{held.job.attempt}.jsonl"
            store.put_file(kept[f"{what}_key"], file)
    return kept


def _sent(send: Send, output: IO[bytes], *, last: bool) -> dict[str, Any]:
    """Whether the client's own URL took the output. It is in our store as well, so its refusal fails no job."""
    size = output.seek(0, os.SEEK_END)
    output.seek(0)
    try:
        send(output, size)
    except errors.CoatcheckError as error:
        if error.retryable and not last:
            raise
        return {"sent": False, "send_error": {"code": error.code, "message": error.message}}
    return {"sent": True}
