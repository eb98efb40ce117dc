"""The rows of an ended bulk job that have no answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import orjson

from inference.manifest import Manifest
from jobs.bulk import rows
from jobs.bulk.progress import Chunk
from storage.objects import Store


def header(store: Store, chunks: Sequence[Chunk]) -> bytes | None:
    """The first line of their file, if that is a CSV; raises InputChanged, Unavailable."""
    return rows.header(store, chunks[0].payload) if chunks else None


def failed(store: Store, manifest: Manifest, chunks: Sequence[Chunk]) -> Iterator[tuple[int, bytes]]:
    """Each as it was written, by its line: of a completed chunk the errors, of any other all rows.

    Raises InputChanged when the file is gone, Unavailable.
    """
    for chunk in chunks:
        wanted = None
        if chunk.part is not None:
            if chunk.part.errors_key is None:
                continue
            faults = store.get(chunk.part.errors_key)
            wanted = {orjson.loads(line)["line"] for line in faults.splitlines()}
        for line, text in rows.raw(store, manifest, chunk.payload):
            if wanted is None or line in wanted:
                yield line, text
