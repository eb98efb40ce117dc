"""What an engine is to whoever starts it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from local.child import Program


@dataclass(frozen=True)
class Engine:
    """`prepare` runs once before the first start; `ready` makes a real call and says whether it did
    what was asked; `program.answers` asks only for a sign of life."""

    url_name: str
    program: Program
    prepare: Callable[[], None]
    ready: Callable[[], bool]
