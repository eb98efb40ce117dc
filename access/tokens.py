"""Tokens of the configured issuer (OpenID Connect): JWTs that stand in the place of an API key."""

from __future__ import annotations

import contextlib
import hashlib
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import jwt
import sqlalchemy
from cachetools import TTLCache, cached

from access import keys, strangers, tenants, tiers
from access.issuer import ALGORITHMS, Issuer
from access.keys import Caller
from access.tiers import Tier
from core import errors
from core.setting_doors import Oidc

#: Characters of a token; longer ones are not read.
LONGEST = 8192
#: Between the issuer's clock and ours.
LEEWAY_S = 60
#: What a token may be for: all but what is an operator's.
SCOPES = keys.SCOPES - {"admin", "metrics", "keys"}


class Tokens:
    """Verifies tokens, remembering each for a few seconds, as keys are."""

    def __init__(self, engine: sqlalchemy.Engine, oidc: Oidc) -> None:
        self._engine, self._oidc, self._issuer = engine, oidc, Issuer(oidc.issuer)
        self._caller = cached(TTLCache(keys.CACHE_MAX, keys.CACHE_S), lock=threading.Lock())(self._read)

    def verify(self, token: str) -> Caller:
        """Who it speaks for. Raises Unauthorized in the same words whatever is wrong with it, Forbidden for a good one
        whose claims name no tenant or tier, Unavailable."""
        return self._caller(token)

    def knows(self, token: str) -> bool:
        """Whether nobody need be asked about it."""
        return self._caller.cache_key(token) in self._caller.cache

    def _read(self, token: str) -> Caller:
        if len(token) > LONGEST:
            raise errors.Unauthorized
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            if not isinstance(kid, str):
                raise errors.Unauthorized
            claims = self._claims(token, self._issuer.key(kid))
        except (jwt.PyJWTError, ValueError, OverflowError) as error:  # of numbers beyond any clock, too
            raise errors.Unauthorized from error
        return self._caller_of(claims)

    def _claims(self, token: str, key: jwt.PyJWK) -> Mapping[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            audience=self._oidc.audience,
            issuer=self._oidc.issuer,
            leeway=LEEWAY_S,
            options={"require": ["exp", "aud", "iss", "sub"], "enforce_minimum_key_length": True},
        )

    def _caller_of(self, claims: Mapping[str, Any]) -> Caller:
        tenant_id, tier = self._tenant(claims)
        said = claims.get(self._oidc.scope_claim)
        scopes = said.split() if isinstance(said, str) else said if isinstance(said, list) else ()
        subject = hashlib.sha256(claims["sub"].encode(errors="surrogatepass")).hexdigest()[:16]
        return Caller(tenant_id, tier, f"oidc:{subject}", frozenset(scope for scope in SCOPES if scope in scopes))

    def _tenant(self, claims: Mapping[str, Any]) -> tuple[uuid.UUID, Tier]:
        """The tenant that they name, with the tier that it has; the one that they name is for a new one. Raises
        Forbidden, Unavailable."""
        oidc = self._oidc
        name, tier = claims.get(oidc.tenant_claim), claims.get(oidc.tier_claim, tiers.DEFAULT)
        if isinstance(name, str) and isinstance(tier, str) and name != strangers.NAME:
            with contextlib.suppress(errors.InvalidInput):
                return tenants.at_sight(self._engine, name, tier)
        named = " and ".join(f"'{claim}'" for claim in (oidc.tenant_claim, oidc.tier_claim) if claim)
        raise errors.Forbidden(f"What the token says of {named} is no tenant, or no tier, that there can be")
