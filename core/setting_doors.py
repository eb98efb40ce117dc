"""The settings of who comes in, and how."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

from marshmallow import validate

from core import setting_rules as rules
from core.environment import setting


@dataclass(frozen=True, kw_only=True)
class Http:
    """How requests come in: all that `coatcheck proxy` reads."""

    max_body_bytes: int = setting(
        "COATCHECK_MAX_BODY_BYTES", 4 * 2**20, "larger request bodies are 413", validate.Range(1024)
    )
    max_wait_s: float = setting("COATCHECK_MAX_WAIT_S", 30.0, "the longest `wait` a client may ask for", rules.POSITIVE)
    max_connections: int = setting(
        "COATCHECK_MAX_CONNECTIONS",
        256,
        "requests of one key that are open at once, or of one network without a key; a network (an IPv4 address, an "
        "IPv6 /64) has four times as many; more are 429",
        validate.Range(8, 4096),
    )
    tls_certificate: Path | None = setting(
        "COATCHECK_TLS_CERTIFICATE",
        None,
        "a PEM file; with it and its key the proxy speaks TLS 1.2 and 1.3, and nothing else; so does `serve-grpc`",
    )
    tls_key: Path | None = setting("COATCHECK_TLS_KEY", None, "a PEM file: the certificate's key")
    cors_origins: tuple[str, ...] = setting(
        "COATCHECK_CORS_ORIGINS",
        (),
        "origins whose pages may call the API and read its answers, by commas, as browsers send them: "
        "`https://app.example.com,http://localhost:5173`; or `*` alone, for everybody's. See "
        "[requests.md](requests.md#from-a-browser)",
        rules.origins,
        items=str.strip,
    )
    anonymous: bool = setting(
        "COATCHECK_ANONYMOUS",
        False,
        "`true`: who has no key may read which models there are, and predict with those that answer inline, within the "
        "tier `anonymous` for each network (an IPv4 address, an IPv6 /64). See [access.md](access.md#strangers)",
    )
    trusted_proxies: tuple[str, ...] = setting(
        "COATCHECK_TRUSTED_PROXIES",
        (),
        "networks of proxies, by commas, that are believed when they say in `X-Forwarded-For` whom they speak for: "
        "`10.0.0.0/8,2001:db8::7`. Of the proxy: your load balancer's; of the API: the proxy's, where that does not "
        "come by a Unix socket. Everybody else's `X-Forwarded-For` is ignored",
        rules.networks,
        items=str.strip,
    )


@dataclass(frozen=True, kw_only=True)
class Grpc:
    """The door for gRPC, an extra."""

    port: int = setting(
        "COATCHECK_GRPC_PORT",
        8001,
        "where `coatcheck serve-grpc` listens; `./run up` takes a port of its own, and says which in `.coatcheck/env`. "
        "See [grpc.md](grpc.md)",
        validate.Range(1, 65_535),
    )


@dataclass(frozen=True, kw_only=True)
class Versions:
    """How a version of the API ends."""

    v1_deprecated_at: dt.datetime | None = setting(
        "COATCHECK_V1_DEPRECATED_AT",
        None,
        "since when v1 is deprecated, or will be: `2027-01-01T00:00:00Z`. Each of its answers then says `Deprecation`, "
        "and leads to v2. See [versions.md](versions.md#versions-of-the-api)",
        rules.moment,
    )
    v1_sunset_at: dt.datetime | None = setting(
        "COATCHECK_V1_SUNSET_AT",
        None,
        "until when v1 is meant to answer, which its answers then say in `Sunset`; it goes on after that",
        rules.moment,
    )


@dataclass(frozen=True, kw_only=True)
class Oidc:
    """Tokens of an issuer of yours, in the place of API keys."""

    issuer: str = setting(
        "COATCHECK_OIDC_ISSUER",
        "",
        "the issuer (OpenID Connect) whose tokens are taken, exactly as their `iss` says it: `https://login.example/`. "
        "Without it none are. See [access.md](access.md#tokens)",
        rules.ISSUER,
    )
    audience: str = setting(
        "COATCHECK_OIDC_AUDIENCE", "coatcheck", "what `aud` of a token must say, or have among others", rules.SAID
    )
    tenant_claim: str = setting(
        "COATCHECK_OIDC_TENANT_CLAIM",
        "sub",
        "the claim that names the tenant, which is made when it is first seen: `org_id`",
        rules.SAID,
    )
    tier_claim: str = setting(
        "COATCHECK_OIDC_TIER_CLAIM",
        "",
        "the claim that names the tier of a tenant that is made so; without it, or where a token does not have it, "
        "that is `free`",
    )
    scope_claim: str = setting(
        "COATCHECK_OIDC_SCOPE_CLAIM",
        "scope",
        "the claim with the scopes, by spaces or as a list; those that are none of ours, or an operator's, are not "
        "looked at",
        rules.SAID,
    )
