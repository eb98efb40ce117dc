"""Rows that are made up, to be tried one after the other, until the graph has a finite answer to one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from core import errors
from inference import schema
from inference.bundle import Bundle
from inference.given import Array
from inference.kinds.image import Tensors as Pictures
from inference.kinds.rows import Encoder
from inference.manifest import Field
from inference.pictures import Picture

PICTURE = "golden.png"
TEXT = "an example"
#: What stands for every number.
NUMBERS = (1, 0)
#: What stands for every size that is open: of a convolution, some are too small.
SIZES = (8, 1, 64)
#: Elements of a row that model.yaml, which may have 1 MiB, has room for.
MOST = 300_000

#: What a golden example says of its inputs, and what the encoder takes for them.
Example = tuple[dict[str, Any], Mapping[str, Any]]


def made(bundle: Bundle, encoder: Encoder) -> Iterator[Example]:
    """Raises BundleInvalid where one has no room in model.yaml."""
    if isinstance(encoder, Pictures):
        from PIL import Image

        form = encoder.form
        pixels = gradient(*form.shape)
        Image.fromarray(pixels.squeeze()).save(bundle.folder / PICTURE)
        yield {"file": PICTURE}, {encoder.field: Picture(form.width, form.height, form, pixels)}
        return
    fields = bundle.manifest.fields
    for size in SIZES if any(None in (field.shape or ()) for field in fields) else SIZES[:1]:
        for number in NUMBERS:
            row = {field.name: _value(bundle, field, number, size) for field in fields}
            yield {"inputs": row}, schema.validate_inputs(bundle.manifest, row)


def gradient(height: int, width: int, channels: int) -> Array:
    """Pixels [height, width, channels], brighter from left to right; of colours also from the top, and back."""
    down, across = np.mgrid[0:height, 0:width].astype(float)
    across, down = across / max(width - 1, 1), down / max(height - 1, 1)
    return (255 * np.stack([across, down, 1 - across][:channels], axis=-1)).astype(np.uint8)


def _value(bundle: Bundle, field: Field, number: int, size: int) -> Any:
    if field.enum:
        return field.enum[0]
    if field.shape is None:
        return _one(field.type, number)
    sizes = [size if each is None else each for each in field.shape]
    if np.prod(sizes, dtype=float) > MOST:
        issue = f"takes '{field.name}' of more than {MOST} elements, for which a golden example has no room"
        raise errors.BundleInvalid(f"{bundle.graphs[0]} {issue}")
    return np.full(sizes, _one(str(field.dtype), number), object).tolist()


def _one(type_: str, number: int) -> Any:
    return {"string": TEXT, "boolean": bool(number), "bool": bool(number)}.get(type_, number)
