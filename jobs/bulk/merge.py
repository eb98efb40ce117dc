"""The second half of a bulk job: the parts of its chunks, in order, become one output and one file of errors."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

from inference.manifest import Manifest
from jobs import run
from jobs.bulk import rows
from jobs.bulk.progress import Chunk
from jobs.bulk.work import folder
from jobs.job import Status
from jobs.lease import Held
from storage.objects import Store


def merge(store: Store, manifest: Manifest, held: Held, chunks: Sequence[Chunk]) -> run.Outcome:
    """The job's result: where its output lies, and what is in it; raises Unavailable.

    A chunk that ended without a part (its worker was lost three times, its time ran out) has an error for each row.
    """
    failed = 0
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
        return run.Outcome(held, _stored(store, held, output, faults, rows=sum(c.rows for c in chunks), failed=failed))


def _copy(store: Store, key: str | None, file: IO[bytes]) -> None:
    if key is not None:
        file.write(store.get(key))


def _refusals(store: Store, manifest: Manifest, chunk: Chunk) -> Iterator[bytes]:
    where, error = chunk.inputs, chunk.error or {}
    data = store.read_range(where["key"], where["etag"], where["start"], where["end"])
    for row in rows.read(data, manifest, where):
        yield rows.answer(row, error={"code": error.get("code"), "message": error.get("message")})


def _stored(
    store: Store, held: Held, output: IO[bytes], faults: IO[bytes], *, rows: int, failed: int
) -> dict[str, Any]:
    name = f"{folder(held.job.id)}{{}}.{held.job.attempt}.jsonl"
    result: dict[str, Any] = {"rows": rows, "failed": failed}
    for what, file in (("output", output), ("errors", faults)):
        if file.tell():
            file.seek(0)
            result[f"{what}_key"] = name.format(what)
            store.put_file(result[f"{what}_key"], file)
    return result
