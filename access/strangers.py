"""Who has no key, where that is allowed: all of them are one tenant, with the limits of its tier for each network."""

from __future__ import annotations

import threading
import uuid

import sqlalchemy
from cachetools import TTLCache, cached

from access import networks, tenants
from access.keys import CACHE_S, Caller
from access.tiers import Tier

#: The tenant, and the tier that it begins with; also what the ledger calls their key.
NAME = "anonymous"
SCOPES = frozenset({"predict", "models:read"})


class Strangers:
    """Those whom COATCHECK_ANONYMOUS lets in."""

    def __init__(self, engine: sqlalchemy.Engine) -> None:
        self._engine = engine
        self._tenant = cached(TTLCache(1, CACHE_S), lock=threading.Lock())(self._look_up)

    def caller(self, address: str) -> Caller:
        """One who comes from there; raises Unavailable."""
        tenant_id, tier = self._tenant()
        return Caller(tenant_id, tier, NAME, SCOPES, networks.of(address))

    @property
    def are_known(self) -> bool:
        """Whether nobody need be asked about them."""
        return self._tenant.cache_key() in self._tenant.cache

    def _look_up(self) -> tuple[uuid.UUID, Tier]:
        return tenants.at_sight(self._engine, NAME, NAME)
