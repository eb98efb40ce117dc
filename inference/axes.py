"""Whether an input or an output of a graph is a row's tensor, as model.yaml says it, and has an axis for the rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from core import errors
from inference import nodes, tensors


def has_rows(graph: Path, item: Any, what: str, dtype: str, shape: tensors.Shape, *, takes: bool, shared: bool) -> bool:
    """Whether it has one axis more than the tensor, the first; raises BundleInvalid where it is another tensor, or has
    no axis for the rows that a run is `shared` by. An input that leaves a size open takes one that is said, an output
    that says one gives it where any may come."""
    whole = f"{graph} {'takes' if takes else 'gives'} {nodes.one(item)}"
    if item.type != f"tensor({tensors.DTYPES[dtype].onnx})":
        fitting = [name for name, known in tensors.DTYPES.items() if item.type == f"tensor({known.onnx})"]
        fix = f"say dtype: {fitting[0]}" if fitting else f"export it with one of {', '.join(tensors.DTYPES)}"
        raise errors.BundleInvalid(f"{whole}, but {what} is {dtype}: {fix}")
    has = [size if isinstance(size, int) else None for size in item.shape]
    # A graph that says no shape at all looks like one that has a single value.
    if _agree(has[1:], shape, takes=takes) if has else shape:
        return True
    if not _agree(has, shape, takes=takes):
        fits = " or ".join(dict.fromkeys(map(tensors.shown, (has[1:], has))))
        raise errors.BundleInvalid(f"{whole}, but {what} has shape {tensors.shown(shape)}: say {fits}")
    if shared:
        issue = f"with no axis for the rows beside those of {what}, {tensors.shown(shape)}"
        fix = "say max_batch: 1 in model.yaml, or export it with a first axis of any size"
        raise errors.BundleInvalid(f"{whole}, {issue}: {fix}")
    return False


def _agree(has: tensors.Shape, shape: tensors.Shape, *, takes: bool) -> bool:
    pairs = zip(has, shape, strict=False)
    return len(has) == len(shape) and all(size in (None, mine) or (mine is None and not takes) for size, mine in pairs)
