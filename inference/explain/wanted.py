"""What is said of reasons beside whose they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Hears how much of what was planned is done, up to 1.
Progress = Callable[[float], object]
#: What a row is worth to the model with only some of its features, which are true in the key's bytes.
Known = dict[bytes, float]


@dataclass(frozen=True)
class Wanted:
    """How exactly they are wanted of a model that has to be asked, and who hears how far it is. What is `known` of each
    row, where that is given, is not asked again; what is asked is known from then on."""

    tolerance: float = 0.0
    progress: Progress = lambda _: None
    known: Sequence[Known] | None = None


ALL = Wanted()
