"""Whether a graph divides whole numbers in a way that can end the process that it runs in.

ONNX Runtime (1.31) answers a division by zero with an error. But the smallest int32 or int64 by -1 is a trap of the
processor, by which a client could end the API: an inline model may not come near it.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from core import errors
from inference import schema, tensors
from inference.device import CPU_PROVIDER
from inference.manifest import Field
from inference.model import GraphModel, Row, Rows
from inference.tensors import Dtype

#: Of a node, in ONNX Runtime's own profile, which has a line for each that was run: what it does, the type of what it
#: takes first, and that no byte of what it takes is a constant. By the line, as it escapes nothing in names.
OPERATOR = re.compile(r'"op_name" : "(Div|Mod)"')
TAKES = re.compile(r'"input_type_shape" : \[\{"(int32|int64)"')
NO_CONSTANT = '"parameter_size" : "0"'

#: The first, by -1, is the trap. A float that is too large for a whole number becomes it as well.
EXTREMES = (-(2**63), 2**63, -1, 0)
#: The bits of a whole number besides its sign: as many as are asked for, or of an int64 and an int32.
WIDTHS = (None, 63, 31)


def check(opened: GraphModel, rows: Rows, begins: Callable[[str], object]) -> None:
    """Raises BundleInvalid when two whole numbers are divided for one of these rows that are both made at run time; an
    extreme input may end the process. `begins` hears of every run."""
    [graph] = opened.bundle.graphs
    with tempfile.TemporaryDirectory() as scratch, _profile(opened, rows, begins, Path(scratch)).open() as profile:
        for line in profile:
            operator, takes = OPERATOR.search(line), TAKES.search(line)
            if operator and takes and NO_CONSTANT in line:
                raise errors.BundleInvalid(
                    f"{graph} divides {takes[1]} by {takes[1]} ({operator[1]}), neither of them a constant: the "
                    "smallest one by -1 would end the API. Say inline: false, divide by a constant, or divide floats"
                )
    for value, row in _extremes(opened, rows[0]):
        begins(f"an input with {value} for every number, or the nearest it may be,")
        with contextlib.suppress(errors.ModelError):
            opened.found([row])


def _extremes(opened: GraphModel, row: Row) -> Iterator[tuple[int, Row]]:
    """This row with an extreme, or the nearest that it takes, in each field of numbers."""
    manifest = opened.bundle.manifest
    for value in EXTREMES:
        other: Row = row
        for field in manifest.fields:
            if field.type in ("integer", "number"):
                other = next(_nearest(opened, other, field, value), other)
            elif field.dtype is not None:
                other = {**other, field.name: _filled(other[field.name], tensors.DTYPES[field.dtype], value)}
        yield value, other


def _filled(tensor: Any, dtype: Dtype, value: int) -> Any:
    """With this number, or the nearest that it takes, in each place; texts and flags stay as they are."""
    nearest = min(max(value, dtype.least), dtype.most)
    return tensors.changed(tensor, lambda _, __: nearest) if dtype.is_number else tensor


def _nearest(opened: GraphModel, row: Row, field: Field, value: int) -> Iterator[Row]:
    """The row with what the field's limits, and the bits of the graph's input, leave of it: the nearest first."""
    for bits in WIDTHS:
        cut = value if bits is None else min(max(value, -(2**bits)), 2**bits - 1)
        least = cut if field.minimum is None else max(cut, field.minimum)
        found = least if field.maximum is None else min(least, field.maximum)
        try:
            other = schema.validate_inputs(opened.bundle.manifest, {**row, field.name: found})
            opened.encode([other])
        except (errors.InvalidInput, errors.ModelError):
            continue
        yield other


def _profile(opened: GraphModel, rows: Rows, begins: Callable[[str], object], scratch: Path) -> Path:
    # See `Interrupt`.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_profiling = True
    options.profile_file_prefix = str(scratch / "profile")
    [graph] = opened.bundle.graphs
    session = onnxruntime.InferenceSession(str(graph), options, providers=[CPU_PROVIDER])
    for number, row in enumerate(rows, start=1):
        begins(f"golden example {number}, profiled,")
        session.run(None, opened.encode([row]))
    return Path(session.end_profiling())
