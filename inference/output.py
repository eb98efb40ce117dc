"""What a model says to one input, in a form that knows nothing of how it is stored or shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import errors

#: Numbers and texts that the answers to one list may have together, each an object of its own.
MOST_ELEMENTS = 1 << 22


@dataclass(frozen=True, slots=True)
class Explanation:
    """How much each feature moved what the model gave for `output` from its usual value, `base_value`, to `value`, by
    Shapley; `std_errors` are None where that is exact, `additivity_error` is how far all of it together is from what
    the model answers, `evaluations` how many rows the model was asked for it, and `cut_short` whether there was no time
    for as many as were wanted."""

    algorithm: str
    output: str
    scale: str
    features: Sequence[str]
    scores: Sequence[float]
    std_errors: Sequence[float] | None
    base_value: float
    value: float
    additivity_error: float
    evaluations: int
    cut_short: bool = False


@dataclass(frozen=True, slots=True)
class Label:
    """`label` is the likeliest one, or the manifest's `below_threshold`; `confidence` is its probability, `scores` that
    of every label, as far as it is known."""

    label: str
    confidence: float
    scores: Mapping[str, float]
    explained: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """The values of the manifest's `numbers`, by their names."""

    values: Mapping[str, float]
    explained: Explanation | None = None


@dataclass(frozen=True, slots=True)
class Embedding:
    """As many numbers as the manifest's `embedding` says."""

    vector: Sequence[float]


@dataclass(frozen=True, slots=True)
class Object:
    """What a class in Python gives, by the names of the manifest's `record`; plain values of JSON."""

    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Tags:
    """The manifest's `tags` that are likely enough, the likeliest first; `scores` are those of all, as far as they are
    known."""

    tags: Sequence[str]
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Text:
    """What was written."""

    text: str


@dataclass(frozen=True, slots=True)
class Tensors:
    """The manifest's `tensors` by their names: of each its `dtype`, its `shape`, and its elements as `data`, the last
    axis first."""

    tensors: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Boxes:
    """What was found, the surest first: of each the `label`, the `confidence`, and as `box` its left, top, right and
    bottom."""

    boxes: Sequence[Mapping[str, Any]]


#: The answer to a row.
Said = Label | Tags | Numbers | Embedding | Text | Tensors | Boxes | Object


def reasons(said: object) -> Explanation | None:
    """Why it was said, if that was asked for too."""
    return said.explained if isinstance(said, Label | Numbers) else None


def elements(said: Iterable[object], before: int = 0) -> int:
    """How many elements these answers have with those before them, of models that may give any number; raises
    BatchTooLarge for more than MOST_ELEMENTS."""
    count = before + sum(map(_of_one, said))
    if count > MOST_ELEMENTS:
        issue = f"is answered by more than {MOST_ELEMENTS} elements in all: hand in fewer at a time, or a file of rows"
        raise errors.BatchTooLarge.field("inputs", issue)
    return count


def _of_one(said: object) -> int:
    match said:
        case Embedding(vector):
            return len(vector)
        case Tensors(tensors):
            return sum(len(tensor["data"]) for tensor in tensors.values())
    return 0


def is_whole(said: object) -> bool:
    """Whether more time would make it no better."""
    why = reasons(said)
    return why is None or not why.cut_short


@dataclass(frozen=True, slots=True)
class Record:
    """What was found in a whole file, by names of the model's kind: segments, or pages with their lines."""

    found: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a model gives as a file beside what it found."""

    name: str
    content_type: str
    data: bytes
