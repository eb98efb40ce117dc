"""Tensors, just as the graph gives them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from core import errors
from inference import axes, given, keys, nodes, tensors
from inference.answers.answer import FIRST, Answer, near
from inference.answers.single import rounded
from inference.faults import Fault
from inference.given import Array
from inference.keys import Key
from inference.manifest import Golden, Manifest, Tensor
from inference.output import Said
from inference.output import Tensors as Found

#: The floats of a golden tensor may differ by this much of their size, and small ones by this much, between machines
#: and providers.
TOLERANCE = 0.01
#: Elements that one run may give.
MOST_AT_ONCE = 1 << 22
#: Of the kinds of NumPy's types, those that may be handed over as one.
KINDS = {"f": "fiu", "i": "iu", "u": "iu", "b": "b", "O": "O"}
_TENSOR = {
    "name": keys.text(required=True),
    "description": keys.short(),
    "output": keys.text(allow_none=True),
    "dtype": keys.one_of(*tensors.DTYPES, required=True),
    "shape": keys.listed(keys.whole(0, 2**31, allow_none=True), required=True),
}


class Tensors(Answer):
    """Each of `tensors` from the output of its name, or the one that it says. Where that has one axis more, it is the
    rows', the first. A golden example says the first values of some of them, as many as it likes."""

    key = "tensors"
    own_keys: ClassVar[Mapping[str, Key]] = {"tensors": keys.listed(keys.mapping(_TENSOR), least=1)}
    golden_keys: ClassVar[Mapping[str, Key]] = {"tensors": keys.mapping(required=True)}
    said_as = Found

    def __init__(self, manifest: Manifest) -> None:
        super().__init__(manifest)
        self.outputs = [tensor.name for tensor in manifest.tensors]
        self._have_rows = [True] * len(manifest.tensors)

    def choose(self, graph: Path, gives: Sequence[Any]) -> None:
        manifest = self.manifest
        known = {item.name: item for item in gives}
        only = gives[0].name if len(gives) == len(manifest.tensors) == 1 else None
        self.outputs = [tensor.output or only or tensor.name for tensor in manifest.tensors]
        self._have_rows = []
        for name, tensor in zip(self.outputs, manifest.tensors, strict=True):
            if name not in known:
                fix = f"say with tensor {tensor.name} which of them it is, as output: {gives[0].name}"
                raise errors.BundleInvalid(f"{graph} gives {nodes.every(gives)}, and no '{name}': {fix}")
            what, shared = f"tensor {tensor.name}", manifest.shares_runs
            self._have_rows.append(
                axes.has_rows(graph, known[name], what, tensor.dtype, tensor.shape, takes=False, shared=shared)
            )

    def read(self, values: Sequence[Any], count: int) -> list[Array]:
        model, read = self.manifest.name, []
        for name, value, tensor, has_rows in zip(
            self.outputs, values, self.manifest.tensors, self._have_rows, strict=True
        ):
            found = np.asarray(value) if has_rows else np.asarray(value)[np.newaxis]
            if not given.fits(found.shape, (count, *tensor.shape)):
                wanted = given.sizes((count, *tensor.shape) if has_rows else tensor.shape)
                issue = f"as {given.described(np.asarray(value))}, but must give {tensor.dtype} {wanted}"
                raise errors.ModelError(f"{model} gave '{name}' {issue}")
            if found.dtype.kind == "f" and not np.isfinite(found).all():
                raise errors.ModelError(f"{model} gave '{name}' with a number that is not finite")
            read.append(found)
        for size, most in (
            (sum(item.size for item in read), MOST_AT_ONCE),
            (sum(item[:1].size for item in read), tensors.MOST),
        ):
            if size > most:
                raise errors.ModelError(f"{model} gave {size} elements; there may be {most}")
        return read

    def gathered(self, rows: Sequence[Any]) -> list[Array]:
        return [self._stacked(tensor, rows) for tensor in self.manifest.tensors]

    def _stacked(self, tensor: Tensor, rows: Sequence[Any]) -> Array:
        """Raises ModelError."""
        model = self.manifest.name
        # NumPy's own texts would be made of what is none, and have the room of the longest.
        texts = object if tensors.DTYPES[tensor.dtype].numpy.kind == "O" else None
        try:
            found = np.stack([np.asarray(row[tensor.name], texts) for row in rows])
            if texts and any(isinstance(item, list | tuple) for item in found.ravel()):
                raise ValueError("lists of different lengths")  # noqa: TRY301 - as NumPy says it of numbers
        except (TypeError, KeyError, IndexError, ValueError) as error:
            fix = "in a mapping for each row, of one shape for all: say max_batch: 1 where they differ"
            raise errors.ModelError(f"{model} must give {tensor.name} {fix}") from error
        dtype = tensors.DTYPES[tensor.dtype]
        if found.dtype.kind == "U":
            found = found.astype(object)
        if found.dtype.kind not in KINDS[dtype.numpy.kind]:
            issue = f"as {given.described(found)}, but must give {tensor.dtype}"
            raise errors.ModelError(f"{model} gave {tensor.name} {issue}")
        if not dtype.is_float and not dtype.allows_all(found.ravel().tolist()):
            raise errors.ModelError(f"{model} gave {tensor.name} with what is not {dtype.wanted}")
        return found.astype(dtype.numpy)

    def said(self, rows: Sequence[Mapping[str, Any]], runs: Sequence[Sequence[Array]]) -> list[Said]:
        return [
            Found(
                {
                    tensor.name: _shown(tensor, item[place])
                    for tensor, item in zip(self.manifest.tensors, run, strict=True)
                }
            )
            for run in runs
            for place in range(len(run[0]))
        ]

    @classmethod
    def broken_golden(cls, manifest: Manifest, golden: Golden) -> Iterator[Fault]:
        dtypes = {tensor.name: tensor.dtype for tensor in manifest.tensors}
        if not golden.answer["tensors"]:
            yield Fault(("tensors",), f"must not be empty: say the first values of {next(iter(dtypes))}")
        for name, values in golden.answer["tensors"].items():
            if name not in dtypes:
                yield Fault(("tensors", name), f"is none of the tensors: {', '.join(dtypes)}")
                continue
            try:
                tensors.check(values, dtypes[name], (None,))
            except tensors.Misfit as error:
                yield Fault(("tensors", name), f"{error}{f' at {error.place}' if error.place else ''}")

    @classmethod
    def missed(cls, golden: Golden, found: Found) -> str | None:
        for name, wanted in golden.answer["tensors"].items():
            data = found.tensors[name]["data"]
            if len(wanted) > len(data):
                return f"must give {len(wanted)} values of {name} at least, but gives {len(data)}"
            for place, (one, other) in enumerate(zip(wanted, data, strict=False), start=1):
                if not (near(one, other, TOLERANCE) if isinstance(other, float) else one == other):
                    return f"must give {one} as value {place} of {name}, but gives {other}"
        return None

    @classmethod
    def golden(cls, found: Found) -> dict[str, Any]:
        return {"tensors": {name: list(value["data"][:FIRST]) for name, value in found.tensors.items()}}

    @classmethod
    def json_schema(cls, manifest: Manifest) -> dict[str, Any]:
        each = {tensor.name: _schema(tensor) for tensor in manifest.tensors}
        whole = {"type": "object", "properties": each, "required": [*each]}
        return {"type": "object", "properties": {"tensors": whole}, "required": ["tensors"]}


def _shown(tensor: Tensor, value: Array) -> dict[str, Any]:
    data = value.ravel()
    listed = data.tolist() if tensor.dtype == "string" else rounded(data)
    return {"dtype": tensor.dtype, "shape": list(value.shape), "data": listed}


def _schema(tensor: Tensor) -> dict[str, Any]:
    sizes = [{"type": "integer", "minimum": 0} if size is None else {"const": size} for size in tensor.shape]
    described = {"description": tensor.description} if tensor.description else {}
    shape = {"type": "array", "prefixItems": sizes, "minItems": len(sizes), "maxItems": len(sizes)}
    data = {"type": "array", "items": dict(tensors.DTYPES[tensor.dtype].json), "maxItems": tensors.MOST}
    properties = {"dtype": {"const": tensor.dtype}, "shape": shape, "data": data}
    return {"type": "object", **described, "properties": properties, "required": [*properties]}
