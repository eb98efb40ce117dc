"""Dataclasses that are read from the environment: each field declares once what its variable is and may be."""

from __future__ import annotations

import dataclasses
import datetime as dt
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import environs

from core import errors
from core import setting_rules as rules

T = TypeVar("T")
Rule = Callable[[Any], object]


def setting(
    variable: str,
    default: object,
    means: str,
    rule: Rule | Sequence[Rule] | None = None,
    *,
    items: Callable[[str], object] | None = None,
    secret: bool = False,
) -> Any:
    """A field that is read from `variable`, required if its default is MISSING; `items` reads each item of a list."""
    metadata = {"variable": variable, "means": means, "rule": rule, "items": items}
    return dataclasses.field(default=default, repr=not secret, metadata=metadata)


def settings_of(kind: Any) -> Iterator[dataclasses.Field[Any]]:
    """Every setting, of it and of the groups in it."""
    types = typing.get_type_hints(kind)
    for item in dataclasses.fields(kind):
        group = types[item.name]
        yield from settings_of(group) if dataclasses.is_dataclass(group) else (item,)


def read(kind: type[T]) -> T:
    """Raises SettingsInvalid naming every variable that is missing or wrong."""
    env = environs.Env(eager=False)
    found: T = _made(env, kind)
    try:
        env.seal()
    except environs.EnvValidationError as error:
        # By variable, as `seal` gives them.
        raise errors.SettingsInvalid(rules.told(cast(Mapping[str, Any], error.error_messages))) from error
    return found


def _made(env: environs.Env, kind: Any) -> Any:
    types = typing.get_type_hints(kind)
    return kind(**{item.name: _value(env, item, types[item.name]) for item in dataclasses.fields(kind)})


def _value(env: environs.Env, item: dataclasses.Field[Any], kind: Any) -> Any:
    if dataclasses.is_dataclass(kind):
        return _made(env, kind)
    variable, rule = item.metadata["variable"], item.metadata["rule"]
    default: Any = ... if item.default is dataclasses.MISSING else item.default
    if typing.get_origin(kind) is tuple:
        listed = env.list(variable, default, subcast=item.metadata["items"], validate=rule)
        # What is wrong is None until everything that is wrong is told at once.
        return tuple(map(typing.get_args(kind)[0], listed or ()))
    if kind == Path | None:
        return rules.path(env.str(variable, default, validate=rule))
    if kind == dt.datetime | None:
        return rules.moment(env.str(variable, default, validate=rule))
    readers: Mapping[object, Callable[..., Any]] = {
        str: env.str,
        int: env.int,
        float: env.float,
        bool: env.bool,
        Path: env.path,
    }
    return readers[kind](variable, default, validate=rule)
