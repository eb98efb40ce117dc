"""URLs that strangers hand in: only those that everybody reads in the same way."""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass

from core import errors, hosts

_PLAIN = re.compile(r"https?://[!$&'()*+,\-./0-9:;=?@A-Z_a-z~%\[\]]+")
_LABEL = r"[a-z0-9_-]{1,63}"
_NETLOC = re.compile(rf"({_LABEL}(\.{_LABEL})*\.?|\[[0-9a-f:.]+\])(:[0-9]{{1,5}})?")


@dataclass(frozen=True)
class Url:
    """A URL taken apart once: nobody downstream reads its text again."""

    scheme: str
    host: str
    port: int
    netloc: str
    path: str
    query: str

    @property
    def target(self) -> str:
        """What HTTP asks for."""
        return f"{self.path}?{self.query}" if self.query else self.path


def parse(url: str, field: str) -> Url:
    """The parts of a URL that can be read in only one way; raises InvalidInput naming `field`."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = hosts.PORTS.get(parts.scheme, 0) if parts.port is None else parts.port
    except ValueError as error:
        raise errors.InvalidInput.field(field, "is not a URL") from error
    if not _PLAIN.fullmatch(url) or not parts.hostname or parts.netloc != parts.netloc.lower():
        raise errors.InvalidInput.field(
            field, "must be a plain https URL in ASCII, its host in lower case, with no fragment"
        )
    if "@" in parts.netloc:
        raise errors.InvalidInput.field(field, "must have no user in it")
    if not _NETLOC.fullmatch(parts.netloc) or not port:
        raise errors.InvalidInput.field(field, "has a host that is no name, or no port")
    if {".", ".."} & set(urllib.parse.unquote(parts.path).split("/")):
        raise errors.InvalidInput.field(field, "must have no . or .. in its path")
    return Url(parts.scheme, parts.hostname, port, parts.netloc, parts.path or "/", parts.query)
