"""What a graph gives to a row that is made up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from core import errors
from inference import kinds
from inference.bundle import Bundle
from inference.drafts import examples
from inference.kinds.rows import RowKind
from inference.opened import said

if TYPE_CHECKING:
    import onnxruntime


def answered(
    bundle: Bundle, graph: onnxruntime.InferenceSession, begins: Callable[[str], object]
) -> tuple[dict[str, Any], list[Any], float]:
    """What an example says of its inputs, what the graph gave to them and how many seconds that took; raises
    BundleInvalid where it answers none."""
    kind = cast("RowKind", kinds.find(bundle.manifest.kind))
    [path] = bundle.graphs
    if missing := [name for name in kind.files if not (bundle.folder / name).exists()]:
        raise errors.BundleInvalid(f"{path} is for {bundle.manifest.kind}, which need {missing[0]}: put it beside")
    try:
        encoder = kind.encoder(bundle, graph.get_inputs())
    except errors.BundleInvalid:
        raise
    # What reads a tokenizer raises nothing better.
    except Exception as error:
        raise errors.BundleInvalid(f"{path} cannot be handed rows: {said(error)}") from error
    issue = ""
    for shown, row in examples.made(bundle, encoder):
        inputs = encoder.encode([row])
        begins("a row that is made up")
        try:
            _run(graph, inputs)
            began = time.perf_counter()
            given = _run(graph, inputs)
        except errors.ModelError as error:
            issue = f"ONNX Runtime says: {error.message}"
            continue
        took_s = time.perf_counter() - began
        if all(np.isfinite(value).all() for value in given if getattr(value, "dtype", np.dtype(str)).kind == "f"):
            return shown, given, took_s
        issue = issue or "It gives a number that is not finite"
    tried = "a picture" if kind.content_types else "a row of ones, nor to one of zeros"
    raise errors.BundleInvalid(f"{path} has no answer to {tried}. {issue}")


def _run(graph: onnxruntime.InferenceSession, inputs: Mapping[str, Any]) -> list[Any]:
    """All that it gives; raises ModelError with what ONNX Runtime says."""
    try:
        return list(graph.run(None, dict(inputs)))
    except Exception as error:
        raise errors.ModelError(said(error)) from error
