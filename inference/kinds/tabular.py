"""Named values, in columns as the graph takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core import errors
from inference import nodes
from inference.keys import Key
from inference.kinds.rows import RowKind
from inference.manifest import Field

if TYPE_CHECKING:
    from inference.bundle import Bundle

#: Of the types that a column may have in ONNX: NumPy's, and which types of fields can be handed in.
NUMBERS = ("number", "integer", "boolean")
WHOLE = ("integer", "boolean")
COLUMNS: Mapping[str, tuple[Any, Sequence[str]]] = {
    "float": (np.float32, NUMBERS),
    "double": (np.float64, NUMBERS),
    "int64": (np.int64, WHOLE),
    "int32": (np.int32, WHOLE),
    "bool": (np.bool_, ("boolean",)),
    "string": (np.object_, ("string",)),
}
#: What stands for a value that was left out: NaN, the missing value of ONNX's trees, and the empty text.
MISSING: Mapping[str, Any] = {"float": np.nan, "double": np.nan, "string": ""}


class Columns:
    """The fields that one input of the graph takes, in their order: [rows, fields], or [rows] of one."""

    def __init__(self, item: Any, fields: Sequence[Field]) -> None:
        self.name = str(item.name)
        self._names = [field.name for field in fields]
        self._kind = nodes.kind(item)
        self._flat = len(item.shape) == 1

    def array(self, rows: Sequence[Mapping[str, Any]]) -> np.ndarray[Any, Any]:
        missing = MISSING.get(self._kind)
        found = [[missing if (value := row[name]) is None else value for name in self._names] for row in rows]
        try:
            made = np.array(found, dtype=COLUMNS[self._kind][0])
        except OverflowError as error:
            issue = f"holds a whole number that does not fit {self._kind}"
            raise errors.ModelError(f"{' or '.join(self._names)} {issue}, as the model takes it") from error
        return made.reshape(len(rows)) if self._flat else made


class Tabular:
    """Each input of the graph with the fields that name it; all of them with the only one there is."""

    def __init__(self, bundle: Bundle, takes: Sequence[Any]) -> None:
        [graph] = bundle.graphs
        only = takes[0].name if len(takes) == 1 else None
        by_input: dict[str, list[Field]] = {}
        for field in bundle.manifest.fields:
            by_input.setdefault(field.input or only or field.name, []).append(field)
        known = {item.name: item for item in takes}
        if by_input.keys() != known.keys():
            raise errors.BundleInvalid(unmatched(graph, takes, by_input))
        for name, fields in by_input.items():
            _check(graph, known[name], fields)
        self._columns = [Columns(known[name], fields) for name, fields in by_input.items()]

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        return {columns.name: columns.array(rows) for columns in self._columns}


def unmatched(graph: Path, takes: Sequence[Any], by_input: Mapping[str, Sequence[Field]]) -> str:
    names = {item.name for item in takes}
    if not names:
        return f"{graph} takes nothing: export it with an input for the fields"
    if strangers := [name for name in by_input if name not in names]:
        field = by_input[strangers[0]][0].name
        fix = f"say with field {field} which of them it belongs to, as input: {takes[0].name}"
        return f"{graph} takes {nodes.every(takes)}, and no '{strangers[0]}': {fix}"
    idle = next(item for item in takes if item.name not in by_input)
    return f"{graph} takes {nodes.one(idle)}, which no field of model.yaml names: say input: {idle.name} with those"


def _check(graph: Path, item: Any, fields: Sequence[Field]) -> None:
    """Raises BundleInvalid where an input cannot take these fields."""
    kind = nodes.kind(item)
    if kind not in COLUMNS:
        fix = f"export it with one of {', '.join(COLUMNS)} for this input"
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}: {fix}")
    if item.shape and not nodes.agree(item.shape, (None, len(fields))) and not (len(item.shape) == len(fields) == 1):
        issue = f"but the fields of model.yaml make {nodes.shape(('rows', len(fields)))}"
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
    for field in fields:
        if field.type not in COLUMNS[kind][1]:
            issue = f"but field {field.name} is {field.type}: it takes {' or '.join(COLUMNS[kind][1])}"
            raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
        if kind not in MISSING and not field.always:
            issue = f"and {field.name} may be left out, for which {kind} has no value: say required, or a default"
            raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
        for value in (*field.enum, *(() if field.default is None else (field.default,))):
            try:
                np.array([value], dtype=COLUMNS[kind][0])
            except OverflowError as error:
                issue = f"which cannot hold {value}, as field {field.name} may be"
                raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}") from error


class TabularKind(RowKind):
    """Rows of numbers have the same digits in any company, and many times the speed: they share a run."""

    #: A second one adds up the trees of a forest in another order.
    one_thread = True
    names_inputs = True
    features = "fields"
    option_keys: ClassVar[Mapping[str, Key] | None] = {}

    def __init__(self) -> None:
        """Its encoder needs to see what the graph takes."""

    def encoder(self, bundle: Bundle, takes: Sequence[Any]) -> Tabular:
        return Tabular(bundle, takes)
