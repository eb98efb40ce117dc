"""A part of a bulk job's output while it is written."""

from __future__ import annotations

import tracemalloc
import uuid
from types import SimpleNamespace
from typing import Any

from core import errors
from inference.output import Text
from jobs.bulk.part import Writing
from jobs.bulk.rows import Row
from jobs.payloads import Chunk
from tests.conftest import Platform

MIB = 1 << 20


def test_answers_of_many_megabytes_are_not_all_in_memory(platform: Platform) -> None:
    chunk = Chunk(uuid.uuid4(), "key", "etag", None, 0, 0, 0, 1, 65)
    job: Any = SimpleNamespace(options={})
    answer = Text("x" * MIB)
    tracemalloc.start()
    try:
        with Writing.of(job) as part:
            for line in range(1, 65):
                part.add(Row(line), answer)
            part.add(Row(65), errors.ModelError("no"))
            stored = part.store(platform.store, chunk, 1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (stored.rows, stored.failed) == (65, 1)
    lines = platform.store.get(stored.key).splitlines(keepends=True)
    assert len(lines) == 65
    assert len(lines[0]) > MIB
    assert stored.errors_key is not None
    assert platform.store.get(stored.errors_key) == lines[-1]
    assert peak < 50 * MIB, peak / MIB
