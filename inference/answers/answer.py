"""What is asked of a kind of answers: whatever differs between what graphs give is said by one of these."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import orjson

from inference import nodes
from inference.faults import Fault
from inference.keys import Key
from inference.manifest import Golden, Manifest
from inference.output import Said

if TYPE_CHECKING:
    from inference.opened import Floats


class Answer(ABC):
    """Made for each opened bundle, used by many threads. A graph gives it a row of floats for each input."""

    #: The key of model.yaml that says what the floats are, all keys that go with it, and those of a golden example.
    key: ClassVar[str]
    own_keys: ClassVar[Mapping[str, Key]]
    golden_keys: ClassVar[Mapping[str, Key]]
    #: Whether the floats are from 0 to 1.
    probabilities: ClassVar[bool] = False
    #: What its answers are.
    said_as: ClassVar[type]

    def __init__(self, manifest: Manifest) -> None:
        self.manifest = manifest

    @property
    @abstractmethod
    def width(self) -> int:
        """How many floats there are for each input."""

    @property
    @abstractmethod
    def wanted(self) -> str:
        """What the graph must give, in words."""

    def fits(self, item: Any) -> bool:
        """Whether an output of the graph can be it, as far as its type and shape say."""
        return self.fits_exactly(item)

    def fits_exactly(self, item: Any) -> bool:
        """Whether it is just as `wanted` says."""
        return item.type in nodes.FLOATS and (not item.shape or nodes.agree(item.shape, (None, self.width)))

    def floats(self, given: Any) -> Any:
        """What the graph gave, as an array if it can be one."""
        return given

    @abstractmethod
    def said(self, rows: Sequence[Mapping[str, Any]], matrix: Floats) -> list[Said]:
        """The answers, of finite floats [rows, width]."""

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


def rounded(matrix: Floats) -> list[list[float]]:
    """With the seven digits that a float32 has; more of a double."""
    wide = matrix.astype(np.float32) if matrix.dtype == np.float16 else matrix
    found: list[list[float]] = orjson.loads(orjson.dumps(np.ascontiguousarray(wide), option=orjson.OPT_SERIALIZE_NUMPY))
    return found
