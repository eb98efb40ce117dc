"""What a model's routes may say, as a schema and as what holds between its parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import marshmallow as ma

from core import errors
from inference import faults, keys
from inference.faults import Fault
from inference.promise import NAME, NAMES, VERSION, VERSIONS
from registry.routes import ALL, By, Canary, Experiment, Routes, Shadow, Variant

#: Of each list so many at most, and so many aliases.
MOST, MOST_ALIASES = 10, 50
MAX_WEIGHT = 1_000_000
_LISTS = ("canaries", "experiments", "shadows")
#: A share has at most two digits behind the point.
_STEPS = 100


def _share() -> keys.Key:
    return keys.number(0, ALL, required=True)


_NAMED = {"name": keys.named(NAME, NAMES)}
_TO = {**_NAMED, "version": keys.named(VERSION, VERSIONS)}
_VARIANT = {**_TO, "weight": keys.whole(1, MAX_WEIGHT, required=True)}
_EXPERIMENT = {
    **_NAMED,
    "percent": _share(),
    "variants": keys.listed(keys.mapping(_VARIANT), least=2, required=True),
}
_ROUTES = keys.Keys.from_dict(
    {
        "by": keys.one_of(*By),
        "canaries": keys.listed(keys.mapping({**_TO, "percent": _share()})),
        "experiments": keys.listed(keys.mapping(_EXPERIMENT)),
        "shadows": keys.listed(keys.mapping({**_TO, "percent": _share()})),
        "aliases": keys.mapping(),
    }
)


def read(raw: object) -> Routes:
    """What somebody wrote; raises InvalidInput with every fault."""
    if not isinstance(raw, Mapping):
        raise errors.InvalidInput.field("routes", "must be a mapping")
    try:
        found = _ROUTES().load(raw)
    except ma.ValidationError as error:
        raise _broken(faults.of(error.messages)) from None
    if broken := list(_between(found)):
        raise _broken(broken)
    return of(found)


def of(checked: Mapping[str, Any]) -> Routes:
    """Of what `read` has let through, now or when it was stored."""
    return Routes(
        By(checked.get("by", By.REQUEST)),
        tuple(Canary(**item) for item in checked.get("canaries", ())),
        tuple(
            Experiment(item["name"], item["percent"], tuple(Variant(**each) for each in item["variants"]))
            for item in checked.get("experiments", ())
        ),
        dict(checked.get("aliases", {})),
        tuple(Shadow(**item) for item in checked.get("shadows", ())),
    )


def _broken(found: Iterator[Fault] | list[Fault]) -> errors.InvalidInput:
    told = [{"field": ".".join(map(str, fault.path)) or "routes", "issue": fault.issue} for fault in found]
    return errors.InvalidInput(errors=told)


def _between(found: Mapping[str, Any]) -> Iterator[Fault]:
    for name in _LISTS:
        if len(found.get(name, ())) > MOST:
            yield Fault((name,), f"must have at most {MOST} entries")
    yield from _twice(found)
    for name in _LISTS:
        for place, item in enumerate(found.get(name, ())):
            if round(item["percent"] * _STEPS, 6) % 1:
                yield Fault((name, place, "percent"), "must have at most two digits behind the point")
    together = [*found.get("canaries", ()), *found.get("experiments", ())]
    if (total := round(sum(item["percent"] for item in together), 2)) > ALL:
        yield Fault((), f"canaries and experiments have {total:g} % of the traffic together; there are 100")
    if found.get("experiments") and found.get("by", By.REQUEST) != By.CALLER:
        yield Fault(("by",), "must be caller where there are experiments: who takes part keeps its variant")
    for place, item in enumerate(found.get("experiments", ())):
        if len(item["variants"]) > MOST:
            yield Fault(("experiments", place, "variants"), f"must have at most {MOST} entries")
    yield from _aliases(found.get("aliases", {}))


def _twice(found: Mapping[str, Any]) -> Iterator[Fault]:
    """A name is what an answer says; of all rules of a model it is of one."""
    names = Counter(item["name"] for name in _LISTS for item in found.get(name, ()))
    for name, count in names.items():
        if count > 1:
            yield Fault(("name",), f"'{name}' is of {count} rules; each needs its own")
    for place, item in enumerate(found.get("experiments", ())):
        for name, count in Counter(each["name"] for each in item["variants"]).items():
            if count > 1:
                yield Fault(("experiments", place, "variants"), f"'{name}' is of {count} variants")


def _aliases(found: Mapping[Any, Any]) -> Iterator[Fault]:
    if len(found) > MOST_ALIASES:
        yield Fault(("aliases",), f"must have at most {MOST_ALIASES} entries")
    for name, version in list(found.items())[:MOST_ALIASES]:
        # `v2` is a range of versions already.
        if not isinstance(name, str) or not re.match(NAME, name) or (name[0] == "v" and name[1:].isdigit()):
            yield Fault(("aliases", str(name)), f"must be named by {NAMES}, and not like a version")
        if not isinstance(version, str) or not re.match(VERSION, version):
            yield Fault(("aliases", str(name)), f"must be {VERSIONS}")
