"""The file that a job was made from, and the one that its client wants."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import IO, Any

from core import errors
from core.seal import Seal
from storage.fetch import Fetcher
from storage.objects import Store


@dataclass(frozen=True)
class Sources:
    """Opens what the API accepted: an upload, or an object in a client's own bucket."""

    store: Store
    fetcher: Fetcher
    seal: Seal

    def open(self, inputs: Mapping[str, Any]) -> Iterator[bytes]:
        """The file in pieces; raises InputChanged when it is another one by now, Unavailable, and all that reading a
        signed URL can raise."""
        if "url" in inputs:
            pieces = self.fetcher.stream(self.seal.open(inputs["url"]), inputs["etag"])
        else:
            pieces = self.store.stream(inputs["key"], inputs["etag"])
        return _checked(pieces, inputs["sha256"])

    def sender(self, inputs: Mapping[str, Any]) -> Callable[[IO[bytes], int], None] | None:
        """Sends the output to the client's own signed URL, if there is one."""
        if "output_url" not in inputs:
            return None
        return lambda file, size: self.fetcher.put(self.seal.open(inputs["output_url"]), file, size)


def _checked(pieces: Iterator[bytes], sha256: str | None) -> Iterator[bytes]:
    """The same bytes, if they have this digest (base64) or need none."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
        yield piece
    if sha256 is not None and base64.b64encode(digest.digest()).decode() != sha256:
        raise errors.InputChanged("The file does not have the sha256 that its upload was announced with")
