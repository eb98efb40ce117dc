"""What a graph does to its columns before its trees see them is done before they are explained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.helper
import pytest

from core import errors
from tests.inference import shapley
from tests.inference.test_exact import USUAL, answering, drawn, explained, made, plain

DOUBLE, WHOLE, YES, HALF = 11, 7, 9, 10


def graph(takes: int, *types: int) -> bytes:
    """Trees that ask for whole numbers, behind casts to these types, and a float at last."""
    read = onnx.load_from_string(drawn(np.random.default_rng(3), "BRANCH_LEQ", 0))
    read.graph.input[0].type.tensor_type.elem_type = takes
    name = "features"
    for number, type_ in enumerate([*types, 1]):
        cast = onnx.helper.make_node("Cast", [name], [f"cast_{number}"], to=type_)
        read.graph.node.insert(number, cast)
        name = f"cast_{number}"
    read.graph.node[-1].input[0] = name
    return bytes(read.SerializeToString())


@pytest.mark.parametrize(
    ("takes", "types", "more"),
    [(DOUBLE, (), 1e-9), (1, (WHOLE,), 0.7), (1, (YES,), 1.0)],
    ids=["doubles, of which a float is the split", "whole numbers", "yes or no"],
)
def test_what_a_cast_rounds_is_explained_as_the_trees_see_it(
    takes: int, types: tuple[int, ...], more: float, tmp_path: Path
) -> None:
    usual = np.random.default_rng(0).integers(2, size=(USUAL, 5)).astype(float)
    opened = made(tmp_path / "b", graph(takes, *types), usual, 0)
    for at in range(3):
        row = usual[at] + more
        why, _ = explained(opened, row)
        wanted = shapley.against(answering(opened, "", plain), row, usual, [[place] for place in range(5)])
        assert why.scores == pytest.approx(wanted, abs=1e-5)
        assert why.additivity_error < 1e-5


def test_a_cast_to_a_type_that_is_not_known_is_not_said_to_be_exact(tmp_path: Path) -> None:
    usual = np.random.default_rng(0).integers(2, size=(USUAL, 5)).astype(float)
    opened = made(tmp_path / "b", graph(1, HALF), usual, 0)
    with pytest.raises(errors.BundleInvalid, match=r"a Cast to type 10 stands before.*say method: sampled"):
        explained(opened, usual[0])
