"""Whether a graph takes what a kind of rows hands in and gives what it has to, as far as the graph says it itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core import errors
from inference.bundle import Bundle
from inference.model import PROBABILITIES, Model
from inference.opened import Opened

REGRESSION = (
    "one number a row: a model that gives a number is not supported yet, only one that gives a probability for each "
    f"label; if it is the probability of the second of two labels, give 1 - p beside p, as '{PROBABILITIES}'"
)
ZIPMAP = "turn zipmap off (skl2onnx: options={'zipmap': False}; onnxmltools: zipmap=False)"
#: In the type of what is a map for each row.
MAPS = "map("
#: NumPy's names of types as ONNX has them.
TYPES = {"float32": "float", "float64": "double", "object": "string"}
FLOATS = ("tensor(float)", "tensor(double)", "tensor(float16)")


def check_names(opened: Opened) -> None:
    """Raises BundleInvalid for an output that a graph does not have."""
    for path, session in opened.graphs:
        found = session.get_outputs()
        if missing := sorted(opened.OUTPUTS - {item.name for item in found}):
            if missing == [PROBABILITIES] and len(found) == 1 and _is_number(found[0]):
                raise errors.BundleInvalid(f"{path} gives {_one(found[0])}, {REGRESSION}")
            raise errors.BundleInvalid(
                f"{path} has no output '{missing[0]}', but {_all(found)}: {_instead(missing[0], found)}"
            )


def check_output(opened: Model) -> None:
    """Raises BundleInvalid when `probabilities` is not one number for each label."""
    [(path, session)] = opened.graphs
    given = next(item for item in session.get_outputs() if item.name == PROBABILITIES)
    labels = opened.bundle.manifest.labels
    wanted = f"but must give floats [rows, {len(labels)}], one for each label of model.yaml ({', '.join(labels)})"
    if not given.type.startswith("tensor"):
        raise errors.BundleInvalid(f"{path} gives {_one(given)}, {wanted}{f': {ZIPMAP}' if MAPS in given.type else ''}")
    if given.type not in FLOATS or (given.shape and not _agree(given.shape, (None, len(labels)))):
        if _is_number(given):
            raise errors.BundleInvalid(f"{path} gives {_one(given)}, {wanted}: {REGRESSION}")
        raise errors.BundleInvalid(f"{path} gives {_one(given)}, {wanted}")


def check_inputs(opened: Model, handed: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Raises BundleInvalid when the graph cannot take this, which is of one row."""
    [(path, session)] = opened.graphs
    takes, manifest = session.get_inputs(), opened.bundle.manifest
    if {item.name for item in takes} != set(handed):
        hands = ", ".join(
            f"'{name}' ({_type(value)} {_shape(('rows', *value.shape[1:]))})" for name, value in handed.items()
        )
        fix = _rename([item.name for item in takes], list(handed))
        raise errors.BundleInvalid(f"{path} takes {_all(takes)}, but '{manifest.kind}' hands in {hands}: {fix}")
    for item in takes:
        value = handed[item.name]
        if item.type != f"tensor({_type(value)})":
            raise errors.BundleInvalid(
                f"{path} takes {_one(item)}, but is handed {_type(value)}: export it with {_type(value)} for this input"
            )
        _check_rows(opened.bundle, item)
        if item.shape and not _agree(item.shape[1:], value.shape[1:]):
            shape = _shape(("rows", *value.shape[1:]))
            raise errors.BundleInvalid(f"{path} takes {_one(item)}, but the fields of model.yaml make {shape}")


def _check_rows(bundle: Bundle, item: Any) -> None:
    count = item.shape[0] if item.shape else None
    if isinstance(count, int) and (count > 1 or bundle.manifest.shares_runs):
        fix = "export it with a first axis of any size"
        fix = f"say max_batch: 1 in model.yaml, or {fix}" if count == 1 else fix
        raise errors.BundleInvalid(f"{bundle.graphs[0]} takes {_one(item)}, neither more nor fewer rows at once: {fix}")


def _is_number(item: Any) -> bool:
    """Whether an output is one number a row."""
    return item.type in FLOATS and bool(item.shape) and item.shape[1:] in ([], [1])


def _instead(name: str, found: Sequence[Any]) -> str:
    if any(MAPS in item.type for item in found):
        return ZIPMAP
    return f"name it '{name}'" if len(found) == 1 else f"name the one that it is '{name}'"


def _rename(takes: Sequence[str], handed: Sequence[str]) -> str:
    if len(takes) == len(handed) == 1:
        return f"name the graph's input '{handed[0]}'"
    if len(handed) == 1:
        return f"export it with one input '{handed[0]}' for all of it"
    return f"export it with the inputs {', '.join(handed)}, and no others"


def _agree(shape: Sequence[object], other: Sequence[int | None]) -> bool:
    """Sizes that a graph leaves open have a name or none."""
    return len(shape) == len(other) and all(
        size == mine or mine is None or not isinstance(size, int) for size, mine in zip(shape, other, strict=True)
    )


def _all(items: Sequence[Any]) -> str:
    return ", ".join(map(_one, items)) or "nothing"


def _one(item: Any) -> str:
    if not item.type.startswith("tensor("):
        return f"'{item.name}' ({'a list of maps' if MAPS in item.type else item.type})"
    kind = item.type.removeprefix("tensor(").removesuffix(")")
    return f"'{item.name}' ({kind} {_shape(item.shape)})"


def _shape(sizes: Sequence[object]) -> str:
    return f"[{', '.join(str(size) if isinstance(size, int) or size == 'rows' else '*' for size in sizes)}]"


def _type(value: np.ndarray[Any, Any]) -> str:
    return TYPES.get(str(value.dtype), str(value.dtype))
