"""Named numbers, in the order of the manifest's fields."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference.faults import Fault
from inference.keys import Key
from inference.kinds.rows import RowKind
from inference.manifest import Manifest

if TYPE_CHECKING:
    from inference.bundle import Bundle


class Tabular:
    """One matrix `features`, float32 [N, fields]; NaN, the missing value of ONNX's trees, for what was left out."""

    def __init__(self, bundle: Bundle) -> None:
        self._columns = [field.name for field in bundle.manifest.fields]

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        # NumPy makes NaN of None.
        return {"features": np.array([[row[name] for name in self._columns] for row in rows], dtype=np.float32)}


class TabularKind(RowKind):
    """Rows of numbers have the same digits in any company, and many times the speed: they share a run."""

    #: A second one adds up the trees of a forest in another order.
    one_thread = True
    option_keys: ClassVar[Mapping[str, Key] | None] = {}

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        for place, field in enumerate(manifest.fields):
            if field.type == "string":
                issue = "must be a number, an integer or a boolean: tabular takes no text"
                yield Fault(("fields", place, "type"), issue)
