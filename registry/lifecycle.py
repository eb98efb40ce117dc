"""Which published version answers by default, and how one ends: it is deprecated, which is said with its answers, and
removed, which ends them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import sqlalchemy
from sqlalchemy import text

from core import audit, errors
from core.audit import Actor
from registry import routing, rules
from registry.routes import Routes

#: Whoever changes a model holds its row.
_MODEL = text("SELECT stable_version, routes FROM models WHERE name = :model FOR UPDATE")
_LISTED = text("""
SELECT version, deprecated_at FROM model_versions WHERE model = :model AND removed_at IS NULL ORDER BY created_at
""")
# Whoever is here has seen with the model's row held that the version stands. What was said before is said no more;
# since when it is deprecated stays.
_DEPRECATE = text("""
UPDATE model_versions SET deprecated_at = coalesce(deprecated_at, now()), deprecation = :message, sunset_at = :sunset_at
WHERE model = :model AND version = :version
""")
_UNDO = text("""
UPDATE model_versions SET deprecated_at = NULL, deprecation = NULL, sunset_at = NULL
WHERE model = :model AND version = :version
""")
_REMOVE = text("UPDATE model_versions SET removed_at = now() WHERE model = :model AND version = :version")


def make_stable(engine: sqlalchemy.Engine, model: str, version: str, by: Actor) -> str:
    """Answer with this version when nobody asks for another, everywhere within `catalog.CACHE_S`; returns the one
    before.

    Raises ModelNotFound, VersionNotFound, VersionConflict for one that is deprecated, or on trial, and InvalidInput
    where the model's routes do not go with it.
    """
    with engine.begin() as connection:
        return become_stable(connection, model, version, by)


def become_stable(connection: sqlalchemy.Connection, model: str, version: str, by: Actor) -> str:
    """The same where something else is changed as well."""
    before = _before(connection, model, version)
    routing.amend(connection, model, {"stable": version}, by)
    return before


def _before(connection: sqlalchemy.Connection, model: str, version: str) -> str:
    """The version that is stable until now; raises as `make_stable`."""
    found = _standing(connection, model, version)
    if found.known[version]:
        raise _is_deprecated(model, version)
    for part in found.parts(version):
        if part.startswith(("canary ", "shadow ")):
            canary = f"end that first, as with `coatcheck routes promote {model} {part.split()[1]}`"
            fix = canary if part.startswith("canary ") else "take that out of its routes first"
            raise errors.VersionConflict(f"{model} {version} is its {part}, and would be its stable version: {fix}")
    return found.stable


def _is_deprecated(model: str, version: str) -> errors.VersionConflict:
    """Why it cannot be the stable version."""
    fix = f"first say `coatcheck models deprecate {model} {version} --undo`"
    return errors.VersionConflict(f"{model} {version} is deprecated, and cannot be its stable version: {fix}")


def deprecate(
    engine: sqlalchemy.Engine,
    model: str,
    version: str,
    by: Actor,
    *,
    message: str | None,
    sunset_at: dt.datetime | None,
) -> bool:
    """Say with this version's answers that there are better ones; returns whether that was said before.

    Raises ModelNotFound, VersionNotFound, and VersionConflict for the stable version where there are others.
    """
    with engine.begin() as connection:
        before = _ending(connection, model, version, "deprecated")
        given = {"model": model, "version": version, "message": message, "sunset_at": sunset_at}
        connection.execute(_DEPRECATE, given)
        said = {"message": message, "sunset_at": sunset_at and sunset_at.isoformat()}
        _record(connection, by, "model.deprecate", model, version, **said)
    return before


def undo(engine: sqlalchemy.Engine, model: str, version: str, by: Actor) -> bool:
    """Say so no more; returns whether it was said. Raises ModelNotFound, VersionNotFound."""
    with engine.begin() as connection:
        found = _standing(connection, model, version)
        if found.known[version]:
            connection.execute(_UNDO, {"model": model, "version": version})
            _record(connection, by, "model.undo_deprecate", model, version)
    return found.known[version]


def remove(engine: sqlalchemy.Engine, model: str, version: str, by: Actor) -> None:
    """Let nobody ask for this version any more, for good: jobs that are accepted already are done, and its number stays
    taken. The last version takes the model with it.

    Raises ModelNotFound, VersionNotFound, and VersionConflict for the stable version where there are others.
    """
    with engine.begin() as connection:
        _ending(connection, model, version, "removed")
        connection.execute(_REMOVE, {"model": model, "version": version})
        _record(connection, by, "model.remove", model, version)


def _record(
    connection: sqlalchemy.Connection, by: Actor, action: str, model: str, version: str, **said: object
) -> None:
    audit.record(connection, by, action, f"model:{model}", after={"version": version, **said})


@dataclass(frozen=True)
class _Standing:
    """Of a model: its stable version, all there are, each with whether it is deprecated, and who gets which."""

    stable: str
    known: dict[str, bool]
    routes: Routes

    def parts(self, version: str) -> list[str]:
        """Those of the routes that lead to this version."""
        return [part for part, named in self.routes.versions() if named == version]


def _ending(connection: sqlalchemy.Connection, model: str, version: str, what: str) -> bool:
    """Whether it is deprecated; raises where it may not end."""
    found = _standing(connection, model, version)
    if version == found.stable and len(found.known) > 1:
        other = next(item for item in found.known if item != version)
        fix = f"make another one stable first, as with `coatcheck models stable {model} {other}`"
        raise errors.VersionConflict(f"{model} {version} is its stable version, and is not {what}: {fix}")
    if parts := found.parts(version):
        raise errors.VersionConflict(f"{model} {version} is its {parts[0]}, and is not {what}: change its routes first")
    return found.known[version]


def _standing(connection: sqlalchemy.Connection, model: str, version: str) -> _Standing:
    """Raises ModelNotFound, VersionNotFound."""
    row = connection.execute(_MODEL, {"model": model}).one_or_none()
    known = {item.version: item.deprecated_at is not None for item in connection.execute(_LISTED, {"model": model})}
    if row is None or not known:
        raise errors.ModelNotFound(f"There is no model {model!r}")
    if version not in known:
        raise errors.VersionNotFound(details={"field": "version", "issue": f"{model} has: {', '.join(known)}"})
    return _Standing(row.stable_version, known, rules.of(row.routes))
