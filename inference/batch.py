"""Whether the rows of a batch leave each other alone: who else asks at the same moment is nobody's business."""

from __future__ import annotations

import functools
import math
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, islice, pairwise, repeat
from typing import Any

import numpy as np

from core import errors
from inference import schema, tensors
from inference.answers.records import same
from inference.given import Array
from inference.manifest import Field, Manifest
from inference.model import Model, Row
from inference.opened import why
from inference.tensors import Dtype

#: So much a score may differ in company, and a number by this part of the largest: the last digits of floats, which are
#: added up in another order there.
TOLERANCE = 0.001
#: The largest batch that is tried, if there are not more examples: enough for what only happens in company of many.
LARGEST = 64
#: By how much a number differs from row to row.
STEPS = (1, -3, 10)
#: What may stand in a field that an example leaves out.
ANY: Mapping[str, Sequence[Any]] = {"number": (1.0, 0.0), "integer": (1, 0), "boolean": (True,), "string": ("x", "xx")}
#: PNGs of one pixel, which is black, white or gray.
PICTURES = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4DwABAQEAHLCMmQAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg==",
)
#: Numbers are compared by the largest of them all, and this where they are all smaller.
SMALLEST = 1e-6
#: So much of a row is shown.
MAX_SHOWN = 200
#: How the answers to the rows at these places are others than alone, if they are.
Apart = Callable[[Sequence[int], Any], str]
SAY = "Say max_batch: 1 in model.yaml, or"


def check(opened: Model, rows: Sequence[Row], begins: Callable[[str], object]) -> None:
    """Raises BundleInvalid when one of these rows, which are all answered alone, is not answered so beside others: the
    next one, and as many as a batch may hold, the same rows again and again. `begins` hears of every run."""
    company = [*rows, *_variants(opened, rows[0], begins)]
    alone = [opened.found([row])[0] for row in company]
    scales = [_scale(opened, same) for same in zip(*alone, strict=True)]
    for places in _batches(len(company), opened.bundle.manifest.max_batch):
        begins(f"a batch of {len(places)} rows like the golden examples")
        try:
            together = opened.found([company[place] for place in places])
        except errors.ModelError as error:
            issue = f"answers each of {len(places)} rows alone, but not all at once"
            raise errors.BundleInvalid(f"{opened.named} {issue}: {why(error)}. {SAY} {opened.EXPORT}") from error
        pairs = zip((alone[place] for place in places), together, strict=True)
        if (apart := max(_apart(one, other, scales) for one, other in pairs)) > TOLERANCE:
            what, far = ("other scores", f", {apart:.4f} apart") if math.isfinite(apart) else ("another answer", "")
            issue = f"gives a row {what} beside another row than alone{far}, in a batch of {len(places)}"
            raise errors.BundleInvalid(f"{opened.named} {issue}. {SAY} {opened.MEND}")


def _scale(opened: Model, alone: Sequence[Array]) -> Any:
    """What the differences of an output are measured by: the largest of its numbers, each of its own place where all
    rows have the same places."""
    if opened.gives_probabilities or alone[0].dtype.kind not in "fiu":
        return 1.0
    sizes = [np.abs(one.astype(float)) for one in alone]
    if len({one.shape for one in alone}) == 1:
        return np.maximum(np.max(sizes, axis=0), SMALLEST)
    return max(SMALLEST, *(float(one.max(initial=0)) for one in sizes))


def _apart(alone: Sequence[Array], together: Sequence[Array], scales: Sequence[Any]) -> float:
    """The largest difference, output by output; infinite where it is no matter of digits."""
    far = 0.0
    for one, other, scale in zip(alone, together, scales, strict=True):
        if np.shape(one) != np.shape(other):
            return math.inf
        if one.dtype.kind in "fiu":
            far = max(far, float((np.abs(one.astype(float) - other.astype(float)) / scale).max(initial=0)))
        elif not all(same(*pair, TOLERANCE) for pair in zip(one.flat, other.flat, strict=True)):
            return math.inf
    return far


def _batches(count: int, most: int) -> Iterator[list[int]]:
    """By their places: neighbours, and a batch of the most, in which no row stands only beside the same ones."""
    yield from map(list, pairwise(range(count))) if count > 1 else [[0, 0]]
    draw = random.Random(count)  # noqa: S311 - the same for every push
    again = chain.from_iterable(draw.sample(range(count), count) for _ in repeat(None))
    yield list(islice(again, min(most, max(count, LARGEST))))


def _variants(opened: Model, row: Row, begins: Callable[[str], object]) -> Iterator[Row]:
    """Rows that are not the same, where the fields have room for them and the model answers them: each field is moved
    by another amount, as a graph may not see what is the same for all."""
    manifest = opened.bundle.manifest
    for number in range(len(STEPS)):
        other = {
            field.name: next(_others(manifest, row, field, number + place), row[field.name])
            for place, field in enumerate(manifest.fields)
        }
        begins(f"an input like golden example 1, {_shown(other)},")
        try:
            opened.found([other])
        except errors.ModelError:
            continue
        if other != row:
            yield other


def _moved(dtype: Dtype, number: int, value: Any, place: int) -> Any:
    """Another element of a tensor, which may be the same where there is no room."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return f"{value}x"
    moved = value + STEPS[(number + place) % len(STEPS)]
    return min(max(moved, dtype.least), dtype.most)


def _shown(row: Row) -> str:
    text = ", ".join(f"{name}: {value}" for name, value in row.items())
    return f"{{{text}}}" if len(text) <= MAX_SHOWN else f"{{{text[:MAX_SHOWN]}…}}"


def _others(manifest: Manifest, row: Row, field: Field, number: int) -> Iterator[Any]:
    """Other values that a field may have."""
    values: list[Any] = []
    match now := row[field.name]:
        case _ if field.dtype is not None:
            values = [tensors.changed(now, functools.partial(_moved, tensors.DTYPES[field.dtype], number))]
        case bool():
            values = [not now]
        case str() if field.type == "image":
            values = [PICTURES[number % len(PICTURES)]]
        case str():
            values = [*field.enum, now[::-1], f"{now}x"]
        case None:
            values = [*field.enum, *filter(None, (field.minimum, field.maximum)), *ANY[field.type]]
        case int() | float():
            step = STEPS[number % len(STEPS)]
            values = [*field.enum, now + step, now - step]
    for value in values:
        if value == now:
            continue
        try:
            yield schema.validate_inputs(manifest, {**row, field.name: value})[field.name]
        except errors.InvalidInput:
            continue
