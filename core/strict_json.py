"""Reading JSON (RFC 8259) that strangers wrote."""

from __future__ import annotations

import json
import re
from typing import Any

import orjson

#: Lists and objects in each other: what compares and writes JSON later on recurses, and ends at a few hundred.
MAX_LEVELS = 64

#: What Python and its libraries write for numbers that JSON does not have.
_NO_NUMBER = re.compile("NaN|Infinity")
#: Only then is a second look needed; strings match as well, and are let through by it.
_LONG_NUMBER = re.compile(rb"[0-9]{19}")


class NotJson(ValueError):
    """Says what is wrong with a text, and where."""


class NestedTooDeep(NotJson):
    """Lists and objects are in each other more than MAX_LEVELS deep."""

    def __init__(self) -> None:
        super().__init__(f"is nested more than {MAX_LEVELS} levels deep")


class NumberTooLong(NotJson):
    """A whole number is out of the bounds of 64 bits; these are its first `digits`."""

    def __init__(self, digits: str) -> None:
        super().__init__("holds a whole number that does not fit 64 bits")
        self.digits = digits


def loads(text: bytes) -> Any:
    """What a JSON text says, without NaN, lone surrogates and numbers that would be rounded; raises NotJson."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise _refused(text, error) from error
    # Without so many brackets there is nothing to look for, and few texts have them.
    if text.count(b"[") + text.count(b"{") > MAX_LEVELS and _is_deeper(found):
        raise NestedTooDeep
    if _LONG_NUMBER.search(text):
        json.loads(text, parse_int=_exact)
    return found


def _exact(digits: str) -> int:
    """orjson reads what does not fit 64 bits as a rounded float; raises NumberTooLong instead."""
    # The first 25 of more are out of bounds as well, and are read without much ado.
    if not -(2**63) <= int(digits[:25]) < 2**64:
        raise NumberTooLong(digits[:25])
    return int(digits)


def _refused(text: bytes, error: orjson.JSONDecodeError) -> NotJson:
    if "depth limit" in error.msg:
        return NestedTooDeep()
    try:
        characters = text.decode()
    except UnicodeDecodeError as undecoded:
        at = _place(text[: undecoded.start].decode(), text)
        return NotJson(f"is not UTF-8, as JSON must be: byte 0x{text[undecoded.start]:02X} {at}")
    at = _place(characters[: error.pos], text)
    if number := _NO_NUMBER.match(characters, error.pos):
        return NotJson(f"is not valid JSON: {number[0]} {at} is no JSON number; a field without a value is left out")
    return NotJson(f"is not valid JSON: {error.msg} {at}")


def _place(before: str, text: bytes) -> str:
    """Where it goes on behind `before`; what is all on one line needs no number of it."""
    column = len(before) - before.rfind("\n")
    return f"at line {before.count(chr(10)) + 1}, column {column}" if b"\n" in text.strip() else f"at column {column}"


def _is_deeper(value: Any) -> bool:
    """Level by level, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(MAX_LEVELS):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
        if not level:
            return False
    return True
