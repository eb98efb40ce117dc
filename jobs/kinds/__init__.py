"""The kinds of jobs: each a class in a module of its own. This is where they are looked up."""

from __future__ import annotations

from collections.abc import Sequence

from core import errors
from jobs.kinds.bulk import Bulk
from jobs.kinds.chunk import Chunk
from jobs.kinds.explain import Explain
from jobs.kinds.file import File
from jobs.kinds.kind import Kind as Kind
from jobs.kinds.kind import Tools as Tools
from jobs.kinds.predict import Predict
from jobs.kinds.publish import Publish
from jobs.lease import Held
from jobs.outcome import Outcome


class _Unknown(Kind):
    """One of a later release: its jobs wait for a worker that knows it."""

    name = ""

    def run(self, tools: Tools, held: Sequence[Held]) -> list[Outcome]:
        raise errors.Unavailable(f"Jobs of kind '{held[0].job.kind}' are unknown here")


PREDICT, EXPLAIN, FILE, BULK, CHUNK, PUBLISH = Predict(), Explain(), File(), Bulk(), Chunk(), Publish()
_UNKNOWN = _Unknown()

KINDS: dict[str, Kind] = {kind.name: kind for kind in (PREDICT, EXPLAIN, FILE, BULK, CHUNK, PUBLISH)}


def find(name: str) -> Kind:
    """The kind that a row names."""
    return KINDS.get(name, _UNKNOWN)
