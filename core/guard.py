"""Where a URL leads now, and whether that may be called: what is judged here is what is connected to."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from core import errors, hosts, outbound
from core.outbound import Kind
from core.settings import Settings
from core.urls import Url

#: This machine by any of its addresses.
_HERE = "here"


@dataclass(frozen=True)
class Reach:
    """Where a URL may lead: to which kinds of address, and whether to what is ours (the engines, and this machine)."""

    kinds: frozenset[Kind]
    ours: bool


#: Of a URL that the operator has not listed. Public engines are as open to everybody else.
AT_LARGE = Reach(frozenset({Kind.PUBLIC}), ours=True)


@dataclass(frozen=True)
class Place:
    """Where a URL that may be called leads now, in the order to try it."""

    url: Url
    addresses: list[str]

    @property
    def public(self) -> bool:
        """Whether it tells its caller nothing that others could not hear."""
        return all(outbound.kind(address) is Kind.PUBLIC for address in self.addresses)


class Guard:
    """Judges where URLs lead."""

    def __init__(self, settings: Settings) -> None:
        self._engines = settings.engines

    def place(self, url: Url, reach: Reach, ends_at: float) -> Place:
        """Where to connect, looked up now.

        Raises AddressRefused, also when only one of several addresses is not allowed, OSError for a name without one,
        and TimeoutError at `ends_at` (monotonic).
        """
        found = outbound.lookup(url.host, url.port, ends_at)
        for address in found:
            if outbound.kind(address) not in reach.kinds or not (reach.ours or self._strange(url, address, ends_at)):
                raise errors.AddressRefused(f"{url.host} is at an address that may not be called")
        return Place(url, found)

    def _strange(self, url: Url, address: str, ends_at: float) -> bool:
        """Whether an address that a listed host leads to is nothing of ours; raises OSError, TimeoutError.

        Who controls a name controls where it leads: a name must not lead to this machine or an engine's at all. A
        number was chosen by the operator, and may be anything but an engine itself.
        """
        spot = _spot(address)
        engines = {
            port
            for engine, port in self._engines
            if spot in {_spot(found) for found in outbound.lookup(engine, port, ends_at)}
        }
        return url.port not in engines if hosts.is_number(url.host) else spot != _HERE and not engines


def _spot(address: str) -> str:
    return _HERE if outbound.is_here(address) else str(ipaddress.ip_address(address.partition("%")[0]))
