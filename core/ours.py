"""What is ours: the engines, and this machine. Nothing that is called for a tenant may lead there by a name."""

from __future__ import annotations

import ipaddress

from core import hosts, outbound
from core.settings import Settings

#: This machine by any of its addresses.
_HERE = "here"


class Ours:
    """Judges where hosts lead that the operator listed."""

    def __init__(self, settings: Settings) -> None:
        self._engines = settings.engines

    def holds(self, host: str, port: int, address: str, ends_at: float) -> bool:
        """Whether an address that a listed `host` leads to is ours, and must not be called.

        Who controls a name controls where it leads: a name must not lead to this machine or an engine's at all. A
        number was chosen by the operator, and may be anything but an engine itself. Raises OSError, TimeoutError.
        """
        place = _place(address)
        engines = {
            engine_port
            for engine, engine_port in self._engines
            if place in {_place(found) for found in outbound.lookup(engine, engine_port, ends_at)}
        }
        return port in engines if hosts.is_number(host) else place == _HERE or bool(engines)


def _place(address: str) -> str:
    return _HERE if outbound.is_here(address) else str(ipaddress.ip_address(address.partition("%")[0]))
