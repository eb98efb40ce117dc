"""Values of Python as JSON has them, and nothing that JSON would only nearly say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import orjson

#: What lists and mappings may be nested in each other.
MOST_DEEP = 64


class NotPlain(ValueError):
    """Says where in the value what stands that JSON does not have."""


def plain(value: object, most_bytes: int, at: str) -> Any:
    """The same value in lists, mappings with texts as keys, texts, numbers, booleans and None, of at most so many bytes
    of JSON; what has a `tolist`, as arrays and numbers of NumPy have, is what that gives. `at` says what it is. Raises
    NotPlain."""
    found = _plain(value, at, 0)
    if (size := len(orjson.dumps(found))) > most_bytes:
        raise NotPlain(f"{at} has {size} bytes as JSON; it may have {most_bytes}")
    return found


def _plain(value: object, at: str, depth: int) -> Any:
    if depth > MOST_DEEP:
        raise NotPlain(f"{at[:100]}… is nested deeper than {MOST_DEEP}")
    match value:
        case None | bool():
            return value
        case str():
            return _text(value, at)
        case int() | float():
            return _number(value, at)
        case Mapping():
            return {_key(key, at): _plain(item, f"{at}.{key}", depth + 1) for key, item in value.items()}
        case list() | tuple():
            return [_plain(item, f"{at}[{place}]", depth + 1) for place, item in enumerate(value)]
    if hasattr(value, "tolist"):
        return _plain(value.tolist(), at, depth + 1)
    raise NotPlain(f"{at} is a {type(value).__name__}, for which JSON has no form")


def _number(value: float, at: str) -> float:
    if isinstance(value, int):
        if not -(2**63) <= value < 2**64:
            raise NotPlain(f"{at} is a whole number of more than 64 bits")
        return int(value)
    if not math.isfinite(value):
        raise NotPlain(f"{at} is a number that is not finite")
    return float(value)


def _key(key: object, at: str) -> str:
    if not isinstance(key, str):
        raise NotPlain(f"{at} has a key that is no text, but a {type(key).__name__}")
    return _text(key, at)


def _text(text: str, at: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise NotPlain(f"{at} has a lone surrogate, which is not a character") from error
    # A subclass may say anything of itself.
    return str(text)
