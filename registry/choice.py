"""Which of the published models and versions a request means, and what is said where it means none."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping

from core import errors
from registry.versions import Resolved, Version

#: So many names are told, and so many that may have been meant.
TOLD, NEAR = 10, 3

Known = Mapping[str, Mapping[str, Version]]


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


def resolved(known: Known, name: str, version: str | None) -> Resolved:
    """The version that was asked for, else the stable one. Raises ModelNotFound, VersionNotFound."""
    versions = known.get(name)
    if versions is None:
        issue = f"'{name}' is not published{_meant(name, known)} There are {_listed(known)}"
        raise _leading(errors.ModelNotFound(details={"field": "model", "issue": issue}))
    if version is None:
        found: Version | None = next(item for item in versions.values() if item.stable)
    else:
        found = versions.get(version) or versions.get(version.removeprefix("v"))
    if found is None:
        issue = f"{name} has no version '{version}'{_meant(str(version), versions)} There are {_listed(versions)}"
        raise _leading(errors.VersionNotFound(details={"field": "model_version", "issue": issue}), name)
    route = "stable" if version is None else "pinned"
    return Resolved(found.model, found.version, found.digest, found.manifest, route)


def _leading(error: errors.CoatcheckError, *see: str) -> errors.CoatcheckError:
    error.see = see
    return error


def _meant(name: str, names: Collection[str]) -> str:
    near = difflib.get_close_matches(name, names, NEAR)
    return f"; did you mean {' or '.join(near)}?" if near else "."


def _listed(names: Collection[str]) -> str:
    """How many, and the first of them."""
    more = ", …" if len(names) > TOLD else ""
    return f"{len(names)}: {', '.join(list(names)[:TOLD])}{more}"
