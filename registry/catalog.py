"""Which model versions exist, and which one answers."""

from __future__ import annotations

import functools
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy
import structlog
from sqlalchemy import text

from core import audit, database, errors
from core.audit import Actor
from inference import bundle, trial
from inference.manifest import Manifest
from registry import choice, listing, rules
from registry.routes import NONE, Routes, Unit
from registry.shelf import bundle_key
from registry.versions import Deprecation, Listed, Mirror, Resolved, Version
from storage.objects import Store

log = structlog.get_logger()

T = TypeVar("T")

#: How old what a process believes may be: the bound on how fast a change reaches everyone, while the database answers
#: within what is left of it after LOOK_S, when a process looks again; so long at most one waits for who looks.
CACHE_S, LOOK_S, _WAIT_S = 1.0, 0.5, 1.0
#: Who answers without ever waiting has somebody look before that is over.
_AHEAD_S = LOOK_S / 2

_VERSIONS = text("""
SELECT model, version, digest, CASE WHEN removed_at IS NULL THEN manifest END AS manifest,
  version = stable_version AS stable, deprecated_at, deprecation, sunset_at, routes
FROM model_versions JOIN models ON name = model ORDER BY model, model_versions.created_at
""")
_REMOVED = text("""
SELECT digest, manifest FROM model_versions WHERE model = :model AND version = :version AND removed_at IS NOT NULL
""")


class Catalog:
    """The registry as one process sees it, at most CACHE_S old; may be shared by threads."""

    def __init__(self, engine: sqlalchemy.Engine, store: Store, default: str = "") -> None:
        """`default` is the model that answers where none is named."""
        self._engine = engine
        self._store = store
        self._default = default
        self._lock = threading.Lock()
        self._known: tuple[float, choice.Known] = (0.0, {})
        self._slow = False

    def known(self, *, anew: bool = False) -> choice.Known:
        """All there is, at most CACHE_S old, or no older than this call; raises Unavailable."""
        return self._read_now() if anew else self._read()

    def versions(self) -> list[Version]:
        return [version for model in self._read().values() for version in model.versions.values()]

    def resolve(self, name: str | None, version: str | None, unit: Unit | None = None) -> Resolved:
        """The version that answers for a model, by its rules where there is a unit; raises ModelNotFound,
        VersionNotFound, VersionRetired, Unavailable, and InvalidInput where none is named and none is the default."""

        def look(known: choice.Known) -> Resolved:
            return choice.resolved(known, name or choice.default(known, self._default), version, unit)

        return self._found(look)

    @property
    def is_due(self) -> bool:
        """Whether somebody had better look ahead: who asks later may have to look."""
        return time.monotonic() - self._known[0] >= _AHEAD_S

    def look_ahead(self) -> None:
        """Look, where that is due, before anybody has to; raises Unavailable where nothing is known at all."""
        self._younger(_AHEAD_S)

    def remembered(self, name: str | None, version: str | None, unit: Unit) -> Resolved | None:
        """The version that answers, as it is known here; None where no such version is, or somebody has to look now or
        in a moment."""
        read_at, known = self._known
        if time.monotonic() - read_at >= LOOK_S * 0.9:
            return None
        try:
            return choice.resolved(known, name or choice.default(known, self._default), version, unit)
        except (errors.NotFound, errors.InvalidInput):
            return None

    def mirrors(self, name: str, request: str) -> tuple[Mirror, ...]:
        """The shadows that are asked what a request to the stable version asks, at most CACHE_S old."""
        model = self._read().get(name)
        return choice.mirrors(model, name, request) if model else ()

    def model(self, name: str) -> list[Version]:
        """Its versions, one of which is stable; raises ModelNotFound, Unavailable."""
        return self._found(lambda known: list(choice.model(known, name).versions.values()))

    def version(self, name: str, version: str) -> Version:
        """Raises ModelNotFound, VersionNotFound, Unavailable."""
        return self._found(lambda known: choice.version(known, name, version))

    def _found(self, look: Callable[[choice.Known], T]) -> T:
        """What is seen in all that is known, read once."""
        try:
            return look(self._read())
        except (errors.NotFound, errors.InvalidInput):
            # It may have been published since: that something is not there, only the database knows.
            return look(self._read_now())

    def removed(self, name: str, version: str) -> Resolved | None:
        """That version, if it was there and was removed: nobody can ask for it, and jobs that were accepted before are
        done with it. Raises Unavailable."""
        with database.reading(self._engine) as connection:
            row = connection.execute(_REMOVED, {"model": name, "version": version}).one_or_none()
        if row is None:
            return None
        return Resolved(name, version, row.digest, _manifest(database.dumps(row.manifest)), "pinned")

    def deprecation(self, name: str, version: str) -> Deprecation | None:
        """What is to be said with its answers, at most CACHE_S old."""
        found = self.listed(name, version)
        return found.deprecation if found else None

    def listed(self, name: str, version: str) -> Version | None:
        """That version, if it is published, at most CACHE_S old."""
        model = self._read().get(name)
        return model.versions.get(version) if model else None

    def routes(self, name: str) -> Routes:
        """Who gets which version of a model, at most CACHE_S old."""
        model = self._read().get(name)
        return model.routes if model else NONE

    def publish(
        self,
        loaded: bundle.Bundle,
        *,
        stable: bool = False,
        by: Actor | None = None,
        wanted: Callable[[], bool] = trial.always,
        fence: Callable[[sqlalchemy.Connection], bool] = lambda _: True,
    ) -> bool:
        """Check a bundle, store it and list it, `by` whom if not by who runs this program; False when just this one is
        already there.

        The first version of a model becomes its stable one. Raises BundleInvalid, also when the version is taken,
        VersionConflict when it is to be stable and is deprecated or on trial, InvalidInput when the model's routes do
        not go with that, and ModelInterrupted when it is not `wanted` any more, or `fence`, asked where it is listed,
        does not let it pass.
        """
        manifest = loaded.manifest
        if self.removed(manifest.name, manifest.version):
            raise errors.BundleInvalid(
                f"{manifest.name} {manifest.version} was removed",
                details={"field": "version", "issue": "stays taken; raise it"},
            )
        with self._engine.begin() as connection:
            published = listing.published(connection, manifest)
        # What was published was tried, and is tried again by every process that opens it.
        if published is None:
            trial.run(loaded, wanted)
        elif published != loaded.digest:
            raise listing.taken(manifest, published)
        with tempfile.TemporaryFile() as file:
            bundle.write(loaded, file)
            file.seek(0)
            self._store.put_file(bundle_key(loaded.digest), file)
        try:
            with self._engine.begin() as connection:
                if not fence(connection):
                    raise errors.ModelInterrupted
                new = listing.add(connection, loaded, stable=stable, by=by or audit.operator())
        except errors.BundleInvalid:
            # Somebody was faster. A digest is of one version, so nobody needs what was stored.
            self._store.delete_all(bundle_key(loaded.digest))
            raise
        self._forget()
        return new

    def _forget(self) -> None:
        """Read again what was just written here."""
        with self._lock:
            self._known = (0.0, self._known[1])

    def _read(self) -> choice.Known:
        return self._younger(LOOK_S)

    def _younger(self, older_s: float) -> choice.Known:
        read_at, known = self._known
        if time.monotonic() - read_at < older_s:
            return known
        if not self._turn(read_at, known):
            return known
        try:
            read_at, known = self._known
            if (now := time.monotonic()) - read_at >= older_s:
                before, known = known, self._or_before()
                self._slow = known is before or time.monotonic() - now > CACHE_S - LOOK_S
                # As old as the question, not as the answer; and who has none is left alone for a while.
                self._known = (time.monotonic() if known is before else now, known)
            return known
        finally:
            self._lock.release()

    def _turn(self, read_at: float, known: choice.Known) -> bool:
        """Whether it is this thread that reads, with the lock held; if not, what is known is good enough: somebody else
        reads, and it is young, or the database takes long to answer."""
        if self._lock.acquire(blocking=not known):
            return True
        if self._slow or time.monotonic() - read_at < CACHE_S:
            return False
        if not self._lock.acquire(timeout=_WAIT_S):
            self._slow = True
            return False
        return True

    def _read_now(self) -> choice.Known:
        """No older than this call; raises Unavailable."""
        asked_at = time.monotonic()
        with self._lock:
            if self._known[0] < asked_at:
                now = time.monotonic()
                self._known = (now, self._query())
            return self._known[1]

    def _or_before(self) -> choice.Known:
        """A model does not stop existing because the database blinks."""
        try:
            return self._query()
        except errors.Unavailable as error:
            if not self._known[1]:
                raise
            log.warning("catalog_stale", error=error.message)
            return self._known[1]

    def _query(self) -> choice.Known:
        with database.reading(self._engine) as connection:
            rows = connection.execute(_VERSIONS).all()
        models = {name: list(of) for name, of in itertools.groupby(rows, lambda row: str(row.model))}
        return {name: listed for name, of in models.items() if (listed := _listed(of)).versions}


def _listed(rows: Sequence[Any]) -> Listed:
    """Of the rows of one model."""
    versions = {row.version: _version(row) for row in rows if row.manifest is not None}
    return Listed(versions, rules.of(rows[0].routes), frozenset(row.version for row in rows) - versions.keys())


def _version(row: Any) -> Version:
    ends = row.deprecated_at and Deprecation(row.deprecated_at, row.deprecation, row.sunset_at)
    return Version(row.model, row.version, row.digest, _manifest(database.dumps(row.manifest)), row.stable, ends)


# More than are ever listed: with one less, none would be found again, as all are asked for in turn.
@functools.lru_cache(maxsize=10_000)
def _manifest(stored: str) -> Manifest:
    return Manifest.from_dict(database.loads(stored))
