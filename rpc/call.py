"""One call: what comes beside its message, and what its answer says beside its own."""

from __future__ import annotations

import math
import threading
import time
import urllib.parse
from collections.abc import Iterable
from dataclasses import dataclass, field

from access import callers, networks
from core import ids

#: So much before a client gives up it is told what became of its job, so that it still hears of it.
SPARE_S = 0.2


@dataclass(frozen=True)
class Call:
    """Made by the thread that receives it, and answered by another."""

    said: dict[str, str]  #: its metadata
    address: str  #: of the client, as far as those are believed who say so
    request_id: str
    ends_at: float  #: when the client gives up, as the monotonic clock counts
    began: float = field(default_factory=time.perf_counter)
    told: dict[str, str] = field(default_factory=dict)  #: with the answer, at its end
    gone: threading.Event = field(default_factory=threading.Event)  #: whether the client is

    @classmethod
    def of(
        cls, metadata: Iterable[tuple[str, str | bytes]], peer: str, left_s: float | None, trusted: tuple[str, ...]
    ) -> Call:
        """`trusted` are the networks of proxies that are believed."""
        said: dict[str, str] = {}
        for name, value in metadata:
            if isinstance(value, str):  # a name that is said twice is one list (RFC 9110 §5.3)
                said[name] = f"{said[name]},{value}" if name in said else value
        address = networks.behind(_host(peer), said.get("x-forwarded-for", ""), trusted)
        ends_at = math.inf if left_s is None else time.monotonic() + left_s
        return cls(said, address, ids.request_id(said.get("x-request-id", "")), ends_at)

    @property
    def token(self) -> str | None:
        """What is shown, from `authorization: Bearer` or `x-api-key`; raises Unauthorized."""
        return callers.shown(self.said.get("authorization"), self.said.get("x-api-key"))

    @property
    def shown(self) -> str:
        """The same as it came, whatever it is."""
        return f"{self.said.get('authorization')} {self.said.get('x-api-key')}"

    def patience_s(self, most: float) -> float:
        """How long its client waits for a job, so long at most."""
        return min(most, max(0.0, self.ends_at - time.monotonic() - SPARE_S))


def _host(peer: str) -> str:
    """Of `ipv4:127.0.0.1:4000` and `ipv6:[::1]:4000`; empty for a Unix socket."""
    kind, _, rest = urllib.parse.unquote(peer).partition(":")
    return rest.rpartition(":")[0].strip("[]") if kind in ("ipv4", "ipv6") else ""
