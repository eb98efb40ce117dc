"""Tenants, their tiers and their keys, made as operators make them."""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from access import keys, tiers
from tests.conftest import Platform


@dataclass(frozen=True)
class Key:
    """A key and whose it is."""

    tenant: str
    token: str

    @property
    def id(self) -> str:
        return self.token.split("_")[1]

    @property
    def secret(self) -> str:
        return self.token.split("_")[2][:48]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}


def name(what: str) -> str:
    """One that nobody has."""
    return f"{what}-{uuid.uuid4().hex}"[:40]


def tier(platform: Platform, **limits: Any) -> str:
    """A tier of its own: `pro` but for what is given."""
    made = name("tier")
    tiers.create(platform.engine, made, like="pro", given=limits)
    return made


def key(
    platform: Platform,
    *,
    tenant: str | None = None,
    tier: str | None = None,
    scopes: Collection[str] = keys.CLIENT,
) -> Key:
    """A new key; without a tenant, of a new one, which is `pro` unless it is said otherwise."""
    owner = tenant or name("tenant")
    tier = tier or (None if tenant else "pro")
    return Key(owner, keys.create(platform.engine, tenant=owner, name="made", scopes=scopes, tier=tier))


def written(key_id: str, secret: str) -> str:
    """A key of these parts in its true form, with the CRC-32 of both at its end."""
    return f"cck_{key_id}_{secret}{zlib.crc32(f'{key_id}_{secret}'.encode()):08x}"
