"""What a model's routes may say, as a schema and as what holds between its parts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import marshmallow as ma

from core import errors
from inference import faults, keys
from inference.faults import Fault
from inference.promise import NAME, NAMES, VERSION, VERSIONS
from registry.routes import ALL, By, Canary, Experiment, Judge, Ramp, Routes, Shadow, Then, Variant

#: Of each list so many at most, and so many aliases.
MOST, MOST_ALIASES = 10, 50
MAX_WEIGHT = 1_000_000
#: Of a canary's judge and ramp.
MAX_TOLERANCE, MIN_LEVEL, MAX_LEVEL, MAX_REQUESTS = 10, 0.000001, 0.1, 1_000_000_000
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
_JUDGE = {
    "tolerance": keys.number(1, MAX_TOLERANCE),
    "level": keys.number(MIN_LEVEL, MAX_LEVEL),
    "acts": keys.flag(),
}
_RAMP = {
    "to": keys.listed(keys.number(0, ALL), least=1, required=True),
    "requests": keys.whole(1, MAX_REQUESTS),
    "then": keys.one_of(*Then),
}
_CANARY = {
    **_TO,
    "percent": _share(),
    "judge": keys.mapping(_JUDGE),
    "ramp": keys.mapping(_RAMP, allow_none=True),
}
_ROUTES = keys.Keys.from_dict(
    {
        "by": keys.one_of(*By),
        "canaries": keys.listed(keys.mapping(_CANARY)),
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
        tuple(_canary(item) for item in checked.get("canaries", ())),
        tuple(
            Experiment(item["name"], abs(item["percent"]), tuple(Variant(**each) for each in item["variants"]))
            for item in checked.get("experiments", ())
        ),
        dict(checked.get("aliases", {})),
        tuple(Shadow(**{**item, "percent": abs(item["percent"])}) for item in checked.get("shadows", ())),
    )


def _canary(item: Mapping[str, Any]) -> Canary:
    ramp = item.get("ramp")
    return Canary(
        item["name"],
        item["version"],
        abs(item["percent"]),  # -0.0 is one, too
        Judge(**item.get("judge", {})),
        ramp and Ramp(**{**ramp, "to": tuple(ramp["to"]), "then": Then(ramp.get("then", Then.HOLD))}),
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
            if not _is_of_steps(item["percent"]):
                yield Fault((name, place, "percent"), "must have at most two digits behind the point")
    yield from _ramps(found.get("canaries", ()))
    yield from _together(found)
    if found.get("experiments") and found.get("by", By.REQUEST) != By.CALLER:
        yield Fault(("by",), "must be caller where there are experiments: who takes part keeps its variant")
    for place, item in enumerate(found.get("experiments", ())):
        if len(item["variants"]) > MOST:
            yield Fault(("experiments", place, "variants"), f"must have at most {MOST} entries")
    yield from _aliases(found.get("aliases", {}))


def _together(found: Mapping[str, Any]) -> Iterator[Fault]:
    together = [*found.get("canaries", ()), *found.get("experiments", ())]
    if (total := round(sum(max(item["percent"], *_steps(item)) for item in together), 2)) > ALL:
        yield Fault(
            (), f"canaries and experiments have, or come to, {total:g} % of the traffic together; there are 100"
        )
    elif total == ALL and any(item.get("ramp") for item in found.get("canaries", ())):
        issue = "must leave the stable version something where a canary has a ramp, which grows by being compared with"
        yield Fault((), f"{issue} it; `then: promote` gives it the rest")


def _is_of_steps(percent: float) -> bool:
    """Whether it has two digits behind the point at most, but for what a float cannot say."""
    return abs(percent * _STEPS - round(percent * _STEPS)) < 1e-9


def _steps(canary: Mapping[str, Any]) -> list[float]:
    """The shares that it is to come to; 0 for none."""
    ramp: Mapping[str, Any] = canary.get("ramp") or {}
    return list(ramp.get("to", [0.0]))


def _ramps(canaries: Sequence[Mapping[str, Any]]) -> Iterator[Fault]:
    for place, item in enumerate(canaries):
        if not (ramp := item.get("ramp")):
            continue
        where = ("canaries", place, "ramp", "to")
        if len(ramp["to"]) > MOST:
            yield Fault(where, f"must have at most {MOST} entries")
        if not all(map(_is_of_steps, ramp["to"])):
            yield Fault(where, "must have at most two digits behind the point")
        if ramp["to"] != sorted({*ramp["to"]}) or ramp["to"][-1] < item["percent"]:
            # One that has come to its end is as it was said to become.
            yield Fault(where, "must rise from step to step, and not end below percent")
        if not item.get("judge", {}).get("acts", True):
            yield Fault(("canaries", place, "ramp"), "is for a canary whose judge acts: it grows by evidence")


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
