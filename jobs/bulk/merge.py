"""The second half of a bulk job: the parts of its chunks, in order, become one output and one file of errors."""

from __future__ import annotations

import dataclasses
import datetime as dt
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from core import errors
from inference.manifest import Manifest
from jobs import retry
from jobs.bulk import places, rows
from jobs.bulk.progress import Chunk
from jobs.lease import Held
from jobs.outcome import Outcome, stopped
from jobs.result import Rows
from storage.objects import Store

#: Sends a file of so many bytes to where the client wants it.
Send = Callable[[IO[bytes], int], None]


def merge(store: Store, manifest: Manifest, held: Held, chunks: Sequence[Chunk], send: Send | None = None) -> Outcome:
    """The job's result: where its output lies, and what is in it; raises Unavailable, OutputUnavailable.

    A chunk that ended without a part (its worker was lost three times, its time ran out) has an error for each row.
    """
    failed = 0
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as faults:
        for chunk in chunks:
            if not held.wanted:
                return stopped(held)
            held.begin(held.interrupt)
            if chunk.part is not None:
                _copy(store, chunk.part.key, output)
                _copy(store, chunk.part.errors_key, faults)
                failed += chunk.part.failed
            else:
                for line in _refusals(store, manifest, chunk):
                    output.write(line)
                    faults.write(line)
                    failed += 1
        output_key = _stored(store, places.whole(held.job.id, "output", held.job.attempt), output)
        errors_key = _stored(store, places.whole(held.job.id, "errors", held.job.attempt), faults)
        result = Rows(sum(chunk.payload.rows for chunk in chunks), failed, output_key, errors_key)
        if send is not None:
            refused = _sent(send, output, held)
            result = dataclasses.replace(result, sent=refused is None, send_error=refused)
        return Outcome(held, result)


def _copy(store: Store, key: str | None, file: IO[bytes]) -> None:
    if key is not None:
        store.get_file(key, file)


def _refusals(store: Store, manifest: Manifest, chunk: Chunk) -> Iterator[bytes]:
    error = chunk.error or {}
    for row in rows.read(store, manifest, chunk.payload):
        yield rows.answer(row, error={"code": error.get("code"), "message": error.get("message")})


def _stored(store: Store, key: str, file: IO[bytes]) -> str | None:
    """Where it lies now, None if there is nothing of it."""
    if not file.tell():
        return None
    file.seek(0)
    store.put_file(key, file)
    return key


def _sent(send: Send, output: IO[bytes], held: Held) -> dict[str, Any] | None:
    """Why the client's own URL did not take the output, None if it did. It is in our store as well, so its refusal
    fails no job."""
    size = output.seek(0, os.SEEK_END)
    output.seek(0)
    try:
        send(output, size)
    except errors.CoatcheckError as error:
        if error.retryable and not _is_last(held):
            raise
        return {"code": error.code, "message": error.message}
    return None


def _is_last(held: Held) -> bool:
    """Whether no attempt is left, or there may be no time for it: it may wait as long, and take as long, as it may."""
    job, now = held.job, held.renewed_at or held.job.claimed_at
    needed = dt.timedelta(seconds=retry.longest_s(job.attempt) + job.timeout_s)
    late = now is not None and job.expires_at is not None and job.expires_at - now < needed
    return late or job.attempt >= job.max_attempts
