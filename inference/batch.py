"""Whether the rows of a batch leave each other alone: who else asks at the same moment is nobody's business."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from core import errors
from inference import schema
from inference.manifest import Field, Manifest
from inference.model import Model
from inference.opened import why

#: So much a score may differ in company: the last digits of floats, which are added up in another order there.
TOLERANCE = 0.001
SAY = "Say max_batch: 1 in model.yaml, or"
EXPORT = f"{SAY} export the graph with a first axis of any size"
MEND = f"{SAY} mend the graph: a Softmax or a mean over the first axis and dynamic quantisation do that"

Row = Mapping[str, Any]


def check(opened: Model, rows: Sequence[Row]) -> None:
    """Raises BundleInvalid when one of these rows, which are all answered alone, is not answered so beside the next."""
    [graph] = opened.bundle.graphs
    for pair in pairwise(rows if len(rows) > 1 else [*rows, _another(opened, rows[0])]):
        alone = np.concatenate([opened.scores([row]) for row in pair])
        try:
            together = opened.scores(pair)
        except errors.ModelError as error:
            issue = "answers each of two rows alone, but not both at once"
            raise errors.BundleInvalid(f"{graph} {issue}: {why(error)}. {EXPORT}") from error
        if (apart := np.abs(alone - together).max()) > TOLERANCE:
            issue = f"gives a row other scores beside another row than alone, {apart:.4f} apart"
            raise errors.BundleInvalid(f"{graph} {issue}. {MEND}")


def _another(opened: Model, row: Row) -> Row:
    """A row that is not the same, where the fields have room for one and the model answers it."""
    manifest = opened.bundle.manifest
    other = {field.name: next(_others(manifest, row, field), row[field.name]) for field in manifest.fields}
    try:
        opened.scores([other])
    except errors.ModelError:
        return row
    return other


def _others(manifest: Manifest, row: Row, field: Field) -> Iterator[Any]:
    """Other values that a field may have."""
    values: list[Any] = []
    match now := row[field.name]:
        case bool():
            values = [not now]
        case str():
            values = [*field.enum, now[::-1]]
        case int() | float():
            values = [*field.enum, now + 1, now - 1]
    for value in values:
        if value == now:
            continue
        try:
            yield schema.validate_inputs(manifest, {**row, field.name: value})[field.name]
        except errors.InvalidInput:
            continue
