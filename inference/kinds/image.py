"""Pictures, brought to the size that a graph takes, as a tensor of their pixels."""

from __future__ import annotations

import base64
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core import errors
from inference import keys, nodes, schema
from inference.decoders.pixels import FITS
from inference.faults import Fault
from inference.keys import Key
from inference.kinds.rows import RowKind
from inference.manifest import Golden, Manifest
from inference.pictures import Form

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.images import Images

MAX_SIDE = 4096
#: That one run may take.
MOST_NUMBERS = 2**28
#: How many numbers a pixel has.
CHANNELS = {"RGB": 3, "BGR": 3, "L": 1}
LAYOUTS = {"NCHW": (0, 3, 1, 2), "NHWC": (0, 1, 2, 3)}
#: Of the types that a graph may take them in, NumPy's.
TYPES: Mapping[str, Any] = {"float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8}
#: What is done to pixels; where they are whole numbers, nothing is.
FLOATS_ONLY = ("scale", "mean", "deviation")
#: The largest golden picture, in bytes, that is shown as an example.
MOST_SHOWN = 4096


class Tensors:
    """[N, channels, height, width] or [N, height, width, channels] of pixels, for the graph's only input; without N
    where it has three axes."""

    def __init__(self, bundle: Bundle, takes: Sequence[Any]) -> None:
        [graph], [field], options = bundle.graphs, bundle.manifest.fields, bundle.manifest.options
        if len(takes) != 1:
            raise errors.BundleInvalid(f"{graph} takes {nodes.every(takes)}: export it with one input for the picture")
        [item] = takes
        if nodes.kind(item) not in TYPES:
            fix = f"export it with one of {', '.join(TYPES)} for this input"
            raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}: {fix}")
        self.field = field.name
        self._input = str(item.name)
        order = str(options.get("channels", "RGB"))
        layout = str(options.get("layout", "NCHW"))
        self._alone = len(item.shape) == len("CHW")
        if self._alone and bundle.manifest.shares_runs:
            fix = "say max_batch: 1 in model.yaml, or export it with a first axis of any size"
            raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, with no axis for rows: {fix}")
        axes = layout.removeprefix("N") if self._alone else layout
        height, width = _size(graph, item, axes, options.get("size"), CHANNELS[order])
        fit, background = options.get("fit", "stretch"), options.get("background", 255)
        self.form = Form(height, width, CHANNELS[order], fit, background)
        if (most := MOST_NUMBERS // (height * width * CHANNELS[order])) < bundle.manifest.max_batch:
            raise errors.BundleInvalid(f"{bundle.folder}: max_batch must be at most {most} for pictures of that size")
        self._backwards = order == "BGR"
        self._axes = LAYOUTS[layout]
        self._table = _table(graph, item, options, CHANNELS[order])

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        pixels = np.stack([row[self.field].pixels for row in rows])
        if self._backwards:
            pixels = pixels[..., ::-1]
        if self._table is not None:
            pixels = self._table[pixels, np.arange(pixels.shape[-1])]
        handed = np.ascontiguousarray(pixels.transpose(self._axes))
        return {self._input: handed[0] if self._alone else handed}


def _size(graph: Path, item: Any, axes: str, said: Sequence[int] | None, channels: int) -> tuple[int, int]:
    """The height and width of pictures, by model.yaml or the graph; raises BundleInvalid where neither says it, or they
    do not agree."""
    by_graph = dict(zip(axes, item.shape, strict=False))
    height, width = said or (by_graph.get("H"), by_graph.get("W"))
    if not isinstance(height, int) or not isinstance(width, int):
        issue = "which does not say how large pictures are: say options.size, as [height, width]"
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
    if max(height, width) > MAX_SIDE:
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}; a side of pictures may have {MAX_SIDE}")
    made = {"N": None, "C": channels, "H": height, "W": width}
    if item.shape and not nodes.agree(item.shape, [made[axis] for axis in axes]):
        shape = nodes.shape(["rows" if axis == "N" else made[axis] for axis in axes])
        issue = f"but options of model.yaml make {shape}: say layout, channels and size as the graph has them"
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
    return height, width


def _table(graph: Path, item: Any, options: Mapping[str, Any], channels: int) -> np.ndarray[Any, Any] | None:
    """What becomes of each of the 256 values of a pixel, by channel, worked out in doubles and rounded once; None where
    they stay what they are. Raises BundleInvalid."""
    said = [name for name in FLOATS_ONLY if name in options]
    if TYPES[nodes.kind(item)] is np.uint8:
        if said:
            issue = f"takes {nodes.one(item)}, pixels from 0 to 255 as they are: leave out options.{said[0]}"
            raise errors.BundleInvalid(f"{graph} {issue}, or export it with floats")
        return None
    mean = np.array(options.get("mean", [0] * channels))
    deviation = np.array(options.get("deviation", [1] * channels))
    with np.errstate(over="ignore"):
        values = (np.arange(256)[:, None] * options.get("scale", 1 / 255) - mean) / deviation
        table: np.ndarray[Any, Any] = values.astype(TYPES[nodes.kind(item)])
    if not np.isfinite(table).all():
        issue = f"which cannot hold {np.abs(values).max():g}, as scale, mean and deviation make of pixels"
        raise errors.BundleInvalid(f"{graph} takes {nodes.one(item)}, {issue}")
    return table


class ImageKind(RowKind):
    """Rows with one field, a picture in base64, or a file that is one; a golden example names a file of the bundle."""

    content_types = schema.PICTURES
    takes_rows = True
    field_types = ("image",)
    option_keys: ClassVar[Mapping[str, Key] | None] = {
        "size": keys.listed(keys.whole(1, MAX_SIDE), least=2),
        "layout": keys.one_of(*LAYOUTS),
        "channels": keys.one_of(*CHANNELS),
        "scale": keys.number(),
        "mean": keys.listed(keys.number()),
        "deviation": keys.listed(keys.number()),
        "fit": keys.one_of(*FITS),
        "background": keys.whole(0, 255),
    }

    def __init__(self) -> None:
        """Its encoder needs to see what the graph takes."""

    def encoder(self, bundle: Bundle, takes: Sequence[Any]) -> Tensors:
        return Tensors(bundle, takes)

    def keys_of_golden(self, raw: Mapping[str, Any]) -> Mapping[str, Key]:
        said = {name: key for name, key in super().keys_of_golden(raw).items() if name != "inputs"}
        return {"file": keys.text(required=True), **said}

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from super().broken(manifest)
        if len(manifest.fields) != 1 or not manifest.fields[0].required or manifest.fields[0].enum:
            yield Fault(("fields",), "must hold one field, the picture, as {name: image, type: image}")
        options = manifest.options
        if len(options.get("size", ())) > 2:
            yield Fault(("options", "size"), "must be the height and the width, in pixels")
        order = options.get("channels", "RGB")
        for name in ("mean", "deviation"):
            if len(options.get(name, CHANNELS[order] * [0])) != CHANNELS[order]:
                yield Fault(("options", name), f"must have {CHANNELS[order]} entries, one for each channel of {order}")
        if options.get("scale") == 0:
            yield Fault(("options", "scale"), "must not be 0, by which all pictures are the same")
        for place, value in enumerate(options.get("deviation", ())):
            if value <= 0:
                yield Fault(("options", "deviation", place), "must be more than 0")

    def inputs(self, folder: Path, manifest: Manifest, golden: Golden) -> dict[str, Any]:
        [field], path = manifest.fields, folder / str(golden.file)
        return {field.name: base64.b64encode(path.read_bytes()).decode()}

    def with_example(self, folder: Path, manifest: Manifest) -> Manifest:
        first, *others = manifest.golden
        if (folder / str(first.file)).stat().st_size > MOST_SHOWN:
            return manifest
        first = dataclasses.replace(first, inputs=self.inputs(folder, manifest, first))
        return dataclasses.replace(manifest, golden=(first, *others))

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Images:
        from inference.images import Images

        return Images(bundle, *sessions, kind=self)
