"""Reading JSON (RFC 8259) that strangers wrote."""

from __future__ import annotations

from typing import Any

import orjson

#: Lists and objects in each other: what compares and writes JSON later on recurses, and ends at a few hundred.
MAX_LEVELS = 64


class NestedTooDeep(ValueError):
    """Lists and objects are in each other more than MAX_LEVELS deep."""

    def __init__(self) -> None:
        super().__init__(f"is nested more than {MAX_LEVELS} levels deep")


def loads(text: bytes) -> Any:
    """What a JSON text says, without NaN and lone surrogates; raises orjson.JSONDecodeError and NestedTooDeep."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        if "depth limit" in error.msg:
            raise NestedTooDeep from error
        raise
    # Without so many brackets there is nothing to look for, and few texts have them.
    if text.count(b"[") + text.count(b"{") > MAX_LEVELS and _is_deeper(found):
        raise NestedTooDeep
    return found


def _is_deeper(value: Any) -> bool:
    """Level by level, so that no depth can exhaust the stack."""
    level = [value]
    for _ in range(MAX_LEVELS):
        inner = (item.values() if isinstance(item, dict) else item for item in level)
        level = [item for items in inner for item in items if isinstance(item, (dict, list))]
        if not level:
            return False
    return True
