"""Whether a graph takes what a kind of rows hands in and gives what it has to, as far as the graph says it itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core import errors
from inference import nodes
from inference.bundle import Bundle
from inference.model import GraphModel
from inference.opened import Opened


def check_names(opened: Opened) -> None:
    """Raises BundleInvalid for an output that a graph does not have."""
    for path, session in opened.graphs:
        found = session.get_outputs()
        if missing := sorted(opened.OUTPUTS - {item.name for item in found}):
            fix = f"name {'it' if len(found) == 1 else 'the one that it is'} '{missing[0]}'"
            raise errors.BundleInvalid(f"{path} has no output '{missing[0]}', but {nodes.every(found)}: {fix}")


def check_inputs(opened: GraphModel, handed: Mapping[str, np.ndarray[Any, Any]]) -> None:
    """Raises BundleInvalid when the graph cannot take this, which is of one row."""
    [(path, session)] = opened.graphs
    takes, manifest = session.get_inputs(), opened.bundle.manifest
    if {item.name for item in takes} != set(handed):
        hands = ", ".join(
            f"'{name}' ({nodes.type_of(value)} {nodes.shape(('rows', *value.shape[1:]))})"
            for name, value in handed.items()
        )
        fix = _rename([item.name for item in takes], list(handed))
        raise errors.BundleInvalid(f"{path} takes {nodes.every(takes)}, but '{manifest.kind}' hands in {hands}: {fix}")
    for item in takes:
        value = handed[item.name]
        kind = nodes.type_of(value)
        if item.type != f"tensor({kind})":
            issue = f"but is handed {kind}: export it with {kind} for this input"
            raise errors.BundleInvalid(f"{path} takes {nodes.one(item)}, {issue}")
        _check_rows(opened.bundle, item, value.shape)
        if item.shape and not nodes.agree(item.shape[1:], value.shape[1:]):
            shape = nodes.shape(("rows", *value.shape[1:]))
            raise errors.BundleInvalid(f"{path} takes {nodes.one(item)}, but the fields of model.yaml make {shape}")


def _check_rows(bundle: Bundle, item: Any, handed: Sequence[int]) -> None:
    """That there may be as many as a run is handed; of one without an axis for them there are as it says."""
    count = item.shape[0] if item.shape else None
    if isinstance(count, int) and (count != handed[0] or bundle.manifest.shares_runs):
        fix = "export it with a first axis of any size"
        fix = f"say max_batch: 1 in model.yaml, or {fix}" if count == 1 else fix
        raise errors.BundleInvalid(
            f"{bundle.graphs[0]} takes {nodes.one(item)}, neither more nor fewer rows at once: {fix}"
        )


def _rename(takes: Sequence[str], handed: Sequence[str]) -> str:
    if len(takes) == len(handed) == 1:
        return f"name the graph's input '{handed[0]}'"
    if len(handed) == 1:
        return f"export it with one input '{handed[0]}' for all of it"
    return f"export it with the inputs {', '.join(handed)}, and no others"
