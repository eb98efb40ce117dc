"""The file that a job was made from, and the one that its client wants."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import sqlalchemy
from sqlalchemy import text

from core import errors
from core.seal import Context, Purpose, Seal
from jobs.job import Claimed, Job, Kind
from storage.fetch import Fetcher
from storage.objects import Store

#: What of the inputs of jobs of these kinds is sealed, and for what. A prediction's inputs are the client's own.
KINDS = (Kind.FILE, Kind.BULK)
SEALED = {"url": Purpose.INPUT_URL, "output_url": Purpose.OUTPUT_URL}

_INPUTS = text("SELECT inputs FROM jobs WHERE id = :id AND tenant_id = :tenant_id")


@dataclass(frozen=True)
class Sources:
    """Opens what the API accepted: an upload, or an object in a client's own bucket."""

    store: Store
    fetcher: Fetcher
    seal: Seal

    def open(self, job: Claimed) -> Iterator[bytes]:
        """The file in pieces; raises InputChanged when it is another one by now, Unavailable, and all that reading a
        signed URL can raise."""
        inputs = job.inputs
        if "url" in inputs:
            pieces = self.fetcher.stream(self._opened(job, "url"), inputs["etag"])
        else:
            pieces = self.store.stream(inputs["key"], inputs["etag"])
        return _checked(pieces, inputs["sha256"])

    def sender(self, job: Claimed) -> Callable[[IO[bytes], int], None] | None:
        """Sends the output to the client's own signed URL, if there is one."""
        if "output_url" not in job.inputs:
            return None
        return lambda file, size: self.fetcher.put(self._opened(job, "output_url"), file, size)

    def _opened(self, job: Claimed, name: str) -> str:
        return self.seal.open(job.inputs[name], Context(SEALED[name], job.tenant_id, job.id))


def copied(
    engine: sqlalchemy.Engine, seal: Seal, old: Job, new_id: uuid.UUID, *, tenant_id: uuid.UUID
) -> dict[str, Any] | None:
    """The inputs of a job for the one that repeats it, None where they may be copied as they are; raises SecretLost."""
    if old.kind not in KINDS:
        return None
    with engine.connect() as connection:
        inputs: dict[str, Any] = connection.execute(_INPUTS, {"id": old.id, "tenant_id": tenant_id}).scalar() or {}
    sealed = {name: purpose for name, purpose in SEALED.items() if name in inputs}
    for name, purpose in sealed.items():
        url = seal.open(inputs[name], Context(purpose, tenant_id, old.id))
        inputs[name] = seal.seal(url, Context(purpose, tenant_id, new_id))
    return inputs if sealed else None


def _checked(pieces: Iterator[bytes], sha256: str | None) -> Iterator[bytes]:
    """The same bytes, if they have this digest (base64) or need none."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if sha256 is not None and base64.b64encode(digest.digest()).decode() != sha256:
        raise errors.InputChanged("The file does not have the sha256 that its upload was announced with")
