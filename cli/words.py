"""How things are said: in plain sentences, without what would steer a terminal, and without a key."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

_KEY = re.compile(r"cck_([0-9a-f]{12})_[0-9a-f]*")
_SECRET = ("COATCHECK_API_KEY", "COATCHECK_ADMIN_KEY")
#: A shorter value is no key, and would be found in any text.
_LEAST = 8


def count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """The text with � for each character that a terminal would obey instead of showing it."""
    return "".join(char if char.isprintable() or "\udc80" <= char <= "\udcff" else "�" for char in text)


def hidden(text: str) -> str:
    """The text without keys: of one, only its public part is left."""
    for name in _SECRET:
        if len(value := os.environ.get(name, "").strip()) >= _LEAST:
            text = text.replace(value, f"${name}")
    return _KEY.sub(r"cck_\1_…", text)


def sentence(message: str, details: Mapping[str, Any], faults: Sequence[Mapping[str, Any]] = (), more: int = 0) -> str:
    """A message with all that is known about it: each fault by its field, and every other fact by its name."""
    told = [_fault(item) for item in faults or [details] if item]
    if more:
        told.append(f"and {more} more")
    return ": ".join(filter(None, (message, "; ".join(told))))


def _fault(facts: Mapping[str, Any]) -> str:
    """`text is too long (limit: 1000)`."""
    about = " ".join(str(facts[name]) for name in ("field", "issue") if name in facts)
    rest = ", ".join(f"{name}: {_fact(fact)}" for name, fact in facts.items() if name not in ("field", "issue"))
    return " ".join(filter(None, (about, f"({rest})" if rest else "")))


def _fact(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
