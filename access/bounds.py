"""What narrows a key: to some models, to some networks, until a moment."""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from core import errors
from inference import promise

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
#: So many models, and so many networks, one key may be narrowed to.
MOST = 50


@dataclass(frozen=True)
class Bounds:
    """Each is None where a key is not narrowed."""

    models: frozenset[str] | None = None
    networks: tuple[Network, ...] | None = None
    expires_at: dt.datetime | None = None

    @classmethod
    def of(cls, row: Any) -> Bounds:
        """From a row of `api_keys`."""
        return cls.read(models=row.models, networks=row.networks, expires_at=row.expires_at)

    @classmethod
    def read(
        cls, *, models: Collection[str] | None, networks: Collection[str] | None, expires_at: dt.datetime | None
    ) -> Bounds:
        """Of names of models, and networks in CIDR notation; raises InvalidInput."""
        for field, given in (("models", models), ("networks", networks)):
            if given is not None and not 0 < len(given) <= MOST:
                raise errors.InvalidInput.field(field, f"must be 1 to {MOST}", received=len(given))
        for name in models or ():
            if not re.fullmatch(promise.NAME, name):
                raise errors.InvalidInput.field("models", f"must each be {promise.NAMES}", received=name)
        read = None if networks is None else tuple(_network(text) for text in networks)
        return cls(None if models is None else frozenset(models), read, expires_at)

    @property
    def columns(self) -> dict[str, Any]:
        """As `api_keys` has them."""
        return {
            "models": None if self.models is None else sorted(self.models),
            "networks": None if self.networks is None else [str(network) for network in self.networks],
            "expires_at": self.expires_at,
        }

    def check_model(self, model: str) -> None:
        """Raises Forbidden for one that the key is not for."""
        if self.models is not None and model not in self.models:
            raise errors.Forbidden("This API key is not for this model", details={"field": "model", "received": model})

    def check_address(self, address: str | None) -> None:
        """Raises Forbidden where the key may not come from there; an address that nobody knows is in no network."""
        if self.networks is not None and not any(_holds(network, address) for network in self.networks):
            raise errors.Forbidden("This API key may not be used from this address", details={"received": address})

    def filled(self, own: Bounds) -> Bounds:
        """With what `own` says where these say nothing."""
        return Bounds(
            own.models if self.models is None else self.models,
            own.networks if self.networks is None else self.networks,
            own.expires_at if self.expires_at is None else self.expires_at,
        )

    def check_within(self, own: Bounds) -> None:
        """Raises Forbidden for what goes beyond `own`."""
        if own.models is not None and (self.models is None or not self.models <= own.models):
            raise _beyond("models")
        if own.networks is not None and (
            self.networks is None or not all(_inside(network, own.networks) for network in self.networks)
        ):
            raise _beyond("networks")
        if own.expires_at is not None and (self.expires_at is None or self.expires_at > own.expires_at):
            raise _beyond("expires_in_s")


#: Of a key that is not narrowed.
UNBOUND = Bounds()


def _beyond(field: str) -> errors.Forbidden:
    details = {"field": field, "issue": "goes beyond your own key's"}
    return errors.Forbidden("A key makes none that may more than itself", details=details)


def _network(text: str) -> Network:
    """Raises InvalidInput."""
    issue = "must each be an address or a network in CIDR notation, such as 192.0.2.0/24 or 2001:db8::/32"
    if "%" in text:  # no client is known with the zone of its address
        raise errors.InvalidInput.field("networks", issue, received=text)
    try:
        found = ipaddress.ip_network(text)
    except ValueError as error:
        raise errors.InvalidInput.field("networks", issue, received=text) from error
    # Clients with IPv4 are known by that, however they are written.
    mapped = found.network_address.ipv4_mapped if isinstance(found, ipaddress.IPv6Network) else None
    return found if mapped is None else ipaddress.IPv4Network((mapped, found.prefixlen - 96))


def _holds(network: Network, address: str | None) -> bool:
    try:
        found = ipaddress.ip_address(address or "")
    except ValueError:
        return False
    # What an IPv6 socket says of a client with IPv4.
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return (mapped or found) in network


def _inside(network: Network, others: Collection[Network]) -> bool:
    return any(network.version == other.version and network.subnet_of(other) for other in others)  # type: ignore[arg-type]
