"""Settings that differ from others."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any, TypeVar

T = TypeVar("T")


def name_of(setting: dataclasses.Field[Any]) -> str:
    """As its variable, in small letters and without our prefix."""
    return setting.metadata["variable"].removeprefix("COATCHECK_").lower()


def changed(settings: T, **given: Any) -> T:
    """With some, by their names, in place of what they were."""
    found = _changed(settings, given)
    assert not given, given
    return found


def _changed(settings: T, given: dict[str, Any]) -> T:
    types, new = typing.get_type_hints(type(settings)), {}
    for item in dataclasses.fields(settings):  # type: ignore[arg-type]
        if dataclasses.is_dataclass(types[item.name]):
            new[item.name] = _changed(getattr(settings, item.name), given)
        elif name_of(item) in given:
            new[item.name] = given.pop(name_of(item))
    return dataclasses.replace(settings, **new)  # type: ignore[type-var]
