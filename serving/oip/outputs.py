"""From what was said to rows to tensors. What has no fixed shape is a text of JSON for each row, in v1's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core import database, errors
from inference import tensors
from inference.output import Embedding, Label, Numbers, Said, Tensors, Text
from jobs import told
from serving.oip.tensors import BYTES, DATATYPES, Tensor


def of(said: Sequence[Said]) -> dict[str, Tensor]:
    """By their names; raises InvalidInput where rows were answered with tensors of different shapes."""
    rows: Sequence[Any] = said
    match said[0]:
        case Label(scores=scores):
            found = [
                _tensor("prediction", "string", [row.label for row in rows]),
                _tensor("confidence", "float64", [row.confidence for row in rows]),
                _tensor("scores", "float64", [[row.scores[label] for label in scores] for row in rows]),
            ]
        case Numbers(values=values):
            found = [_tensor(name, "float64", [row.values[name] for row in rows]) for name in values]
        case Embedding():
            found = [_tensor("embedding", "float32", [row.vector for row in rows])]
        case Text():
            found = [_tensor("text", "string", [row.text for row in rows])]
        case Tensors(tensors=first):
            found = [_stacked(name, [row.tensors[name] for row in rows]) for name in first]
        case _:
            shown = [told.v1(row, "") for row in rows]
            found = [_tensor(name, "string", [database.dumps(row[name]) for row in shown]) for name in shown[0]]
    return {tensor.name: tensor for tensor in found}


def _tensor(name: str, dtype: str, values: Sequence[Any]) -> Tensor:
    datatype = DATATYPES[dtype]
    if datatype == BYTES:
        array = np.empty(len(values), object)
        array[:] = values
        return Tensor(name, datatype, array)
    return Tensor(name, datatype, np.array(values, tensors.DTYPES[dtype].numpy))


def _stacked(name: str, rows: Sequence[Mapping[str, Any]]) -> Tensor:
    shapes = {tuple(row["shape"]) for row in rows}
    if len(shapes) > 1:
        issue = "has another shape for each row, which one tensor cannot have: ask for one row at a time"
        raise errors.InvalidInput.field(f"outputs.{name}", issue)
    flat = [item for row in rows for item in row["data"]]
    made = _tensor(name, rows[0]["dtype"], flat)
    return Tensor(name, made.datatype, made.array.reshape((len(rows), *shapes.pop())))
