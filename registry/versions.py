"""A version of a model, as the registry lists it and as it answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from inference.manifest import Manifest
from registry.routes import NONE, Routes


@dataclass(frozen=True)
class Deprecation:
    """Since when a version is not to be used any more, why, and until when it is meant to answer."""

    at: dt.datetime
    message: str | None
    sunset_at: dt.datetime | None


@dataclass(frozen=True)
class Version:
    """One published version of a model; `stable` marks the one that answers when nobody asks for another."""

    model: str
    version: str
    digest: str
    manifest: Manifest
    stable: bool
    deprecation: Deprecation | None = None

    @property
    def number(self) -> tuple[int, ...]:
        """By which versions have an order."""
        return tuple(map(int, self.version.split(".")))


@dataclass(frozen=True)
class Listed:
    """A model: its published versions by their numbers, who gets which, and the numbers of those that were removed."""

    versions: Mapping[str, Version]
    routes: Routes = NONE
    retired: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Mirror:
    """A shadow that is asked the same, and the pool that runs it."""

    name: str
    version: str
    pool: str


@dataclass(frozen=True)
class Resolved:
    """The version that answers, and why: `pinned` by the caller, by a rule (`canary NAME`, `experiment NAME/VARIANT`),
    or `stable`; and the shadows that are asked beside it."""

    model: str
    version: str
    digest: str
    manifest: Manifest
    route: str
    mirrors: tuple[Mirror, ...] = ()
