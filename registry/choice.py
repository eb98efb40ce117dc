"""Which of the published models and versions a request means, and what is said where it means none."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Mapping

from core import errors
from registry.routes import Unit
from registry.versions import Listed, Mirror, Resolved, Version

#: So many names are told, and so many that may have been meant by one that is not longer than this.
TOLD, NEAR, LONGEST = 10, 3, 64

Known = Mapping[str, Listed]

#: What a caller may pin: a version, or the newest of those that begin so.
_RANGE = re.compile(r"v?([0-9]{1,9}(?:\.[0-9]{1,9}){0,2})")


def default(known: Known, chosen: str) -> str:
    """The model of a request that names none: the one that was chosen for that, or else the only one there is. Raises
    InvalidInput, and ModelNotFound where there is none at all."""
    name = chosen or next(iter(known), "")
    if name in known and (chosen or len(known) == 1):
        return name
    if not known:
        raise _leading(errors.ModelNotFound(details={"field": "model", "issue": "no model is published yet"}))
    unset = "no default is set" if not chosen else f"the default that is set, '{chosen}', is not published"
    issue = f"is required: {unset}. There are {_listed(known)}"
    raise _leading(errors.InvalidInput.field("model", issue))


def resolved(known: Known, name: str, asked: str | None, unit: Unit | None = None) -> Resolved:
    """The version that was asked for, else the one that a rule gives this unit, else the stable one. Raises
    ModelNotFound, VersionNotFound."""
    if asked is not None:
        return _resolved(version(known, name, asked), "pinned")
    found = model(known, name)
    if unit is not None and (taken := found.routes.taken(name, unit)) is not None and taken[0] in found.versions:
        return _resolved(found.versions[taken[0]], taken[1])
    return _resolved(_stable(found, name), "stable", () if unit is None else mirrors(found, name, unit.request))


def mirrors(found: Listed, name: str, request: str) -> tuple[Mirror, ...]:
    """The shadows that are asked what a request to the stable version asks."""
    return tuple(
        Mirror(shadow.name, shadow.version, found.versions[shadow.version].manifest.pool)
        for shadow in found.routes.shadows
        if shadow.version in found.versions and shadow.takes(name, request)
    )


def _resolved(found: Version, route: str, mirrored: tuple[Mirror, ...] = ()) -> Resolved:
    return Resolved(found.model, found.version, found.digest, found.manifest, route, mirrored)


def model(known: Known, name: str) -> Listed:
    """Raises ModelNotFound."""
    found = known.get(name)
    if found is None:
        issue = f"'{name}' is not published{_meant(name, known)} There are {_listed(known)}"
        raise _leading(errors.ModelNotFound(details={"field": "model", "issue": issue}))
    return found


def version(known: Known, name: str, asked: str) -> Version:
    """The one of this number or alias, or the newest of those whose numbers begin so, that is not deprecated if there
    is such a one. Raises ModelNotFound, VersionNotFound, VersionRetired."""
    there = model(known, name)
    found = there.versions.get(there.routes.aliases.get(asked, asked)) or _newest(there, asked)
    if found is None and (number := asked.removeprefix("v")) in there.retired:
        raise _retired(there, name, number)
    if found is None:
        names = [*there.versions, *there.routes.aliases]
        issue = f"{name} has no version '{asked}'{_meant(asked, names)} There are {_listed(there.versions)}"
        raise _no_version(name, issue)
    return found


def _retired(there: Listed, name: str, number: str) -> errors.CoatcheckError:
    """With what to use in its place: the newest that begins with the same number, or else the stable one."""
    use = _newest(there, number.partition(".")[0]) or _stable(there, name)
    issue = f"{name} {number} was removed; use {use.version}"
    return _leading(errors.VersionRetired(details={"field": "model_version", "issue": issue}), name)


def _newest(there: Listed, asked: str) -> Version | None:
    if (match := _RANGE.fullmatch(asked)) is None:
        return None
    begins = tuple(map(int, match[1].split(".")))
    fitting = [item for item in there.versions.values() if item.number[: len(begins)] == begins]
    return max(fitting, key=lambda item: (item.deprecation is None, item.number), default=None)


def _stable(there: Listed, name: str) -> Version:
    """Raises VersionNotFound."""
    found = next((item for item in there.versions.values() if item.stable), None)
    if found is None:
        raise _no_version(name, f"{name} has no stable version. There are {_listed(there.versions)}")
    return found


def _no_version(name: str, issue: str) -> errors.CoatcheckError:
    return _leading(errors.VersionNotFound(details={"field": "model_version", "issue": issue}), name)


def _leading(error: errors.CoatcheckError, *see: str) -> errors.CoatcheckError:
    error.see = see
    return error


def _meant(name: str, names: Collection[str]) -> str:
    if len(name) > LONGEST:  # no name is, and to compare one of megabytes takes seconds
        return "."
    near = difflib.get_close_matches(name, names, NEAR)
    return f"; did you mean {' or '.join(near)}?" if near else "."


def _listed(names: Collection[str]) -> str:
    """How many, and the first of them."""
    more = ", …" if len(names) > TOLD else ""
    return f"{len(names)}: {', '.join(list(names)[:TOLD])}{more}"
