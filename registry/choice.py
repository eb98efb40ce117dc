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


def resolved(known: Known, name: str, asked: str | None) -> Resolved:
    """The version that was asked for, else the stable one. Raises ModelNotFound, VersionNotFound."""
    found = _stable(known, name) if asked is None else version(known, name, asked)
    route = "stable" if asked is None else "pinned"
    return Resolved(found.model, found.version, found.digest, found.manifest, route)


def versions(known: Known, name: str) -> Mapping[str, Version]:
    """All of a model; raises ModelNotFound."""
    found = known.get(name)
    if found is None:
        issue = f"'{name}' is not published{_meant(name, known)} There are {_listed(known)}"
        raise _leading(errors.ModelNotFound(details={"field": "model", "issue": issue}))
    return found


def version(known: Known, name: str, asked: str) -> Version:
    """Raises ModelNotFound, VersionNotFound."""
    there = versions(known, name)
    found = there.get(asked) or there.get(asked.removeprefix("v"))
    if found is None:
        issue = f"{name} has no version '{asked}'{_meant(asked, there)} There are {_listed(there)}"
        raise _no_version(name, issue)
    return found


def _stable(known: Known, name: str) -> Version:
    """Raises ModelNotFound, VersionNotFound."""
    there = versions(known, name)
    found = next((item for item in there.values() if item.stable), None)
    if found is None:
        raise _no_version(name, f"{name} has no stable version. There are {_listed(there)}")
    return found


def _no_version(name: str, issue: str) -> errors.CoatcheckError:
    return _leading(errors.VersionNotFound(details={"field": "model_version", "issue": issue}), name)


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
