"""Tensors of any type and shape, as the graph takes them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from core import errors
from inference import axes, tensors
from inference.faults import Fault
from inference.given import Array
from inference.keys import Key
from inference.kinds.rows import RowKind
from inference.kinds.tabular import unmatched
from inference.manifest import Field, Manifest

if TYPE_CHECKING:
    import onnxruntime

    from inference.bundle import Bundle
    from inference.model import Model


class Tensors:
    """Each input of the graph with the field that names it; the only one with the only field. Where an input has one
    axis more than the field, that is the rows', the first; where it has as many, each row has a run of its own."""

    def __init__(self, bundle: Bundle, takes: Sequence[Any]) -> None:
        [graph] = bundle.graphs
        fields = bundle.manifest.fields
        only = takes[0].name if len(takes) == len(fields) == 1 else None
        by_input: dict[str, Field] = {}
        for field in fields:
            name = field.input or only or field.name
            if name in by_input:
                issue = f"fields {by_input[name].name} and {field.name} both go into '{name}', which takes one"
                raise errors.BundleInvalid(f"{bundle.folder}: {issue}")
            by_input[name] = field
        known = {item.name: item for item in takes}
        if by_input.keys() != known.keys():
            raise errors.BundleInvalid(unmatched(graph, takes, {name: [field] for name, field in by_input.items()}))
        shared = bundle.manifest.shares_runs
        self._inputs = [
            (
                name,
                field,
                axes.has_rows(
                    graph,
                    known[name],
                    f"field {field.name}",
                    str(field.dtype),
                    field.shape or (),
                    takes=True,
                    shared=shared,
                ),
            )
            for name, field in by_input.items()
        ]

    def encode(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
        return {name: _array(field, rows, has_rows=has_rows) for name, field, has_rows in self._inputs}


def _array(field: Field, rows: Sequence[Mapping[str, Any]], *, has_rows: bool) -> Array:
    made = [tensors.array(row[field.name], str(field.dtype), field.shape or ()) for row in rows]
    if has_rows:
        return np.stack(made)
    [alone] = made
    return alone


class TensorKind(RowKind):
    """A row has a tensor for each input."""

    names_inputs = True
    field_types = ("tensor",)
    option_keys: ClassVar[Mapping[str, Key] | None] = {}

    def __init__(self) -> None:
        """Its encoder needs to see what the graph takes."""

    def encoder(self, bundle: Bundle, takes: Sequence[Any]) -> Tensors:
        return Tensors(bundle, takes)

    def broken(self, manifest: Manifest) -> Iterator[Fault]:
        yield from super().broken(manifest)
        for place, field in enumerate(manifest.fields):
            if not field.always:
                yield Fault(("fields", place, "required"), "must be true, or the field needs a default")

    def opened(self, bundle: Bundle, *sessions: onnxruntime.InferenceSession) -> Model:
        from inference.shaped import Shaped

        return Shaped(bundle, *sessions, kind=self)
