"""Where a request comes from, as far as those are believed who say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from access import callers, networks
from api import resources


def token(environ: Mapping[str, Any]) -> str | None:
    """What is shown, from `Authorization: Bearer` or `X-API-Key`; raises Unauthorized."""
    return callers.shown(environ.get("HTTP_AUTHORIZATION"), environ.get("HTTP_X_API_KEY"))


def network(environ: Mapping[str, Any]) -> str:
    """What counts as one client without a key: an IPv4 address, or an IPv6 /64."""
    return networks.of(address(environ))


def address(environ: Mapping[str, Any]) -> str:
    """The client's own: of who is connected, or of whom that one speaks for, if it is a proxy of ours."""
    return behind(environ, resources.here().settings.http.trusted_proxies)


def behind(environ: Mapping[str, Any], trusted: tuple[str, ...]) -> str:
    """The same where these networks are believed."""
    return networks.behind(environ.get("REMOTE_ADDR", ""), environ.get("HTTP_X_FORWARDED_FOR", ""), trusted)
