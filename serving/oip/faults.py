"""An error as one text, which is all of it that the protocol's clients read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def text(error: Mapping[str, Any]) -> str:
    """What went wrong, and with which field, of an error's body."""
    faults = error.get("errors") or [error["details"]]
    told = [f"{fault['field']} {fault['issue']}" for fault in faults if {"field", "issue"} <= fault.keys()]
    return ": ".join([error["message"], *(["; ".join(told)] if told else [])])
