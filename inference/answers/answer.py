"""What is asked of a kind of answers: whatever differs between what graphs give is said by one of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from inference.faults import Fault
from inference.given import Array
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Said

#: So many of the first numbers say which vector it is.
FIRST = 4


class Answer(ABC):
    """Made for each opened bundle, used by many threads."""

    #: The key of model.yaml that says what the answers are, all keys that go with it, and those of a golden example.
    key: ClassVar[str]
    own_keys: ClassVar[Mapping[str, Key]]
    golden_keys: ClassVar[Mapping[str, Key]]
    #: Whether they are made of numbers from 0 to 1.
    probabilities: ClassVar[bool] = False
    #: What its answers are.
    said_as: ClassVar[type]
    #: The outputs of the graph that it is made of, by their names; what a class gives is one.
    outputs: Sequence[str] = ("predict",)

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    @abstractmethod
    def choose(self, graph: Path, gives: Sequence[Any]) -> None:
        """Find what it is made of among the outputs of a graph; raises BundleInvalid where none of them can be it."""

    @abstractmethod
    def read(self, values: Sequence[Any], count: int) -> list[Array]:
        """What one run of so many rows gave as `outputs`, as arrays of which the first axis is the row; raises
        ModelError."""

    def read_apart(self, runs: Sequence[Sequence[Any]]) -> list[list[Array]]:
        """The same of several runs of one row each, one after the other; raises as `read`."""
        return [self.read(values, 1) for values in runs]

    @abstractmethod
    def gathered(self, rows: Sequence[Any]) -> list[Array]:
        """What a class in Python gave to each of these rows, as `read` takes it of a graph; raises ModelError."""

    @abstractmethod
    def said(self, rows: Sequence[Mapping[str, Any]], runs: Sequence[Sequence[Array]]) -> list[Said]:
        """The answers to rows that were in these runs, one after the other."""

    @classmethod
    def broken(cls, manifest: Manifest) -> Iterator[Fault]:  # noqa: ARG003 - of those that have none
        """The rules between its keys that a manifest breaks."""
        yield from ()

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:  # noqa: ARG003 - the same
        """Those that the answer of a golden example breaks, with paths that begin in the example."""
        yield from ()

    @classmethod
    @abstractmethod
    def missed(cls, golden: Golden, found: Any) -> str | None:
        """What the model had to answer to an example and what it `found` instead, if it did."""

    @classmethod
    @abstractmethod
    def golden(cls, found: Any) -> dict[str, Any]:
        """What was `found`, as a golden example says it, which it does not miss."""

    @classmethod
    def hint(cls, answered: Iterable[tuple[Golden, Any]]) -> str:  # noqa: ARG003 - the same
        """What is to be said behind a miss, seeing how every example is answered, as far as it is asked."""
        return ""

    @classmethod
    @abstractmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        """An answer in the words of v1, as JSON Schema 2020-12."""


def near(wanted: float, found: float, tolerance: float) -> bool:
    """Whether two numbers are the same but for their last digits: within the tolerance, of large ones of their size."""
    return bool(abs(wanted - found) <= tolerance * max(1.0, abs(wanted)))
