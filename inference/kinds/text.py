"""Text that the model itself takes apart: strings go straight into the ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from inference import keys
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.rows import RowKind
from inference.manifest import Manifest

if TYPE_CHECKING:
    from inference.bundle import Bundle


def read(manifest: Manifest) -> str:
    """The name of the field with the text."""
    return str(manifest.options.get("field", "text"))


class Text:
    """One string column of shape [N, 1], or [N], lower-cased, white space folded: the graph's only input, or `text`."""

    def __init__(self, bundle: Bundle, takes: Sequence[Any]) -> None:
        self._field = read(bundle.manifest)
        self._name = str(takes[0].name) if len(takes) == 1 else "text"
        self._flat = len(takes) == 1 and len(takes[0].shape) == 1

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        column = np.empty((len(rows), 1), dtype=object)
        # NUL would end the string inside ONNX Runtime.
        column[:, 0] = [" ".join(row[self._field].replace("\0", " ").lower().split()) for row in rows]
        return {self._name: column.reshape(len(rows)) if self._flat else column}


class TextKind(RowKind):
    """Texts are of different lengths: in one run the longest pads the others, which changes their last digits, and on a
    CPU takes longer than a run for each."""

    apart = True
    features = "words"
    option_keys: ClassVar[Mapping[str, Key] | None] = {"field": keys.text()}

    def __init__(self) -> None:
        """Its encoder needs to see what the graph takes."""

    def encoder(self, bundle: Bundle, takes: Sequence[Any]) -> Any:
        return Text(bundle, takes)

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from super().broken(manifest)
        name = read(manifest)
        if not any(field.name == name and field.type == "string" and field.always for field in manifest.fields):
            needs = f"must have a string '{name}', required or with a default"
            yield Fault(("fields",), f"{needs}: {manifest.kind} reads that one, or another that options.field names")
