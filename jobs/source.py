"""The file that a job was made from, and the one that its client wants."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

from core import errors
from core.seal import Context, Purpose, Seal
from jobs.job import Claimed
from jobs.payloads import AtUrl, Source
from storage.fetch import Fetcher
from storage.objects import Store


@dataclass(frozen=True)
class Sources:
    """Opens what the API accepted: an upload, or an object in a client's own bucket."""

    store: Store
    fetcher: Fetcher
    seal: Seal

    def open(self, job: Claimed, source: Source) -> Iterator[bytes]:
        """The file in pieces; raises InputChanged when it is another one by now, Unavailable, and all that reading a
        signed URL can raise."""
        if isinstance(source, AtUrl):
            url = self.seal.open(source.url, Context(Purpose.INPUT_URL, job.tenant_id, job.id))
            return self.fetcher.stream(url, source.etag)
        return _checked(self.store.stream(source.key, source.etag), source.sha256)

    def sender(self, job: Claimed, output_url: str | None) -> Callable[[IO[bytes], int], None] | None:
        """Sends the output to the client's own signed URL, which is sealed, if there is one."""
        if output_url is None:
            return None
        context = Context(Purpose.OUTPUT_URL, job.tenant_id, job.id)
        return lambda file, size: self.fetcher.put(self.seal.open(output_url, context), file, size)


def _checked(pieces: Iterator[bytes], sha256: str | None) -> Iterator[bytes]:
    """The same bytes, if they have this digest (base64) or need none."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if sha256 is not None and base64.b64encode(digest.digest()).decode() != sha256:
        raise errors.InputChanged("The file does not have the sha256 that its upload was announced with")
