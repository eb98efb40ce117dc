"""The rows of an ended bulk job that have no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from inference.manifest import Manifest
from jobs.bulk import rows
from jobs.bulk.progress import Chunk
from jobs.job import Status
from storage.objects import Store


def failed(store: Store, manifest: Manifest, chunks: Sequence[Chunk]) -> Iterator[tuple[int, bytes]]:
    """Each as it was written, by its line: of a completed chunk the errors, of any other all rows.

    Raises InputChanged when the file is gone, Unavailable.
    """
    for chunk in chunks:
        if chunk.status is Status.COMPLETED and "errors_key" not in chunk.result:
            continue
        wanted = None
        if chunk.status is Status.COMPLETED:
            faults = store.get(chunk.result["errors_key"])
            wanted = {orjson.loads(line)["line"] for line in faults.splitlines()}
        for line, text in rows.raw(store, manifest, chunk.inputs):
            if wanted is None or line in wanted:
                yield line, text
