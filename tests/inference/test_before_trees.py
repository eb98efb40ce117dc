"""What a graph does to its columns before its trees see them is done before they are explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import orjson
import pytest

from core import errors
from inference import bundle, model
from inference.explain.wanted import Wanted
from inference.output import Label
from tests import graphs
from tests.inference import shapley
from tests.inference.test_exact import USUAL, answering, drawn, explained, made, plain, row_of

DOUBLE, WHOLE, YES, HALF, TEXT = 11, 7, 9, 10, 8


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
    [(DOUBLE, (), 1e-9), (1, (WHOLE,), 0.7), (1, (YES,), 1.0), *((1, (bits,), 0.7) for bits in (2, 3, 5, 6))],
    ids=["doubles, of which a float is the split", "whole numbers", "yes or no", "uint8", "int8", "int16", "int32"],
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


def test_a_node_that_changes_nothing_may_stand_before_trees(tmp_path: Path) -> None:
    read = onnx.load_from_string(drawn(np.random.default_rng(3), "BRANCH_LEQ", 0))
    read.graph.node.insert(0, onnx.helper.make_node("Identity", ["features"], ["same"]))
    read.graph.node[-1].input[0] = "same"
    usual = np.random.default_rng(0).integers(3, size=(USUAL, 5)).astype(float)
    plainly = made(tmp_path / "plain", drawn(np.random.default_rng(3), "BRANCH_LEQ", 0), usual, 0)
    found, _ = explained(made(tmp_path / "b", bytes(read.SerializeToString()), usual, 0), usual[0])
    assert found == explained(plainly, usual[0])[0]


def test_of_a_probability_that_is_a_sum_the_first_label_has_what_the_second_has_not(tmp_path: Path) -> None:
    read = onnx.load_from_string(drawn(np.random.default_rng(3), "BRANCH_LEQ", 0))
    [weights] = [each for each in read.graph.node[0].attribute if each.name == "target_weights"]
    weights.floats[:] = [weight / 10 for weight in weights.floats]
    rows = np.random.default_rng(0).integers(3, size=(30, 5)).astype(float)
    opened = made(tmp_path / "b", bytes(read.SerializeToString()), rows[:USUAL], 2)
    outputs = set()
    for row in rows[USUAL:]:
        why, said = explained(opened, row)
        outputs.add(why.output)
        wanted = shapley.against(answering(opened, why.output, plain), row, rows[:USUAL], [[at] for at in range(5)])
        assert why.scores == pytest.approx(wanted, abs=1e-5)
        assert isinstance(said, Label)
        assert why.scale == "probability"
        assert why.value == pytest.approx(said.confidence, abs=1e-5)
        assert why.additivity_error < 1e-5
    assert outputs == {"l0", "l1"}


def told(folder: Path, takes: dict[str, int], nodes: list[Any], row: dict[str, Any]) -> str:
    """Why a graph of a line has no exact explanation."""
    line = onnx.helper.make_node(
        "LinearRegressor", ["floats"], ["half"], domain="ai.onnx.ml", coefficients=[2.0], intercepts=[1.0]
    )
    inputs = [onnx.helper.make_tensor_value_info(name, type_, [None, 1]) for name, type_ in takes.items()]
    gives = onnx.helper.make_tensor_value_info("price", 1, [None, 1])
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("ai.onnx.ml", 3)]
    of = onnx.helper.make_graph([nodes[0], line, *nodes[1:]], "g", inputs, [gives])
    read = onnx.helper.make_model(of, opset_imports=versions, ir_version=10)
    fields = [{"name": name, "type": "string" if type_ == TEXT else "number"} for name, type_ in takes.items()]
    graphs.bundle(
        folder, read.SerializeToString(), labels=None, numbers=[{"name": "price"}], fields=fields,
        golden=[{"inputs": row, "prediction": 0}], explanation=["shap"],
        explain={"method": "exact", "background": "usual.jsonl"},
    )  # fmt: skip
    (folder / "usual.jsonl").write_bytes(orjson.dumps(row))
    opened = model.open_model(bundle.load(folder))
    assert isinstance(opened, model.Model)
    with pytest.raises(errors.BundleInvalid) as caught:
        opened.explained([row], opened.predict([row]))
    return caught.value.message.removeprefix(f"{folder / 'model.onnx'} has no exact explanation: ")


def test_what_is_not_one_matrix_of_numbers_has_no_exact_reasons(tmp_path: Path) -> None:
    node = onnx.helper.make_node
    add = node("Add", ["half", "more"], ["price"])
    several = told(tmp_path / "a", {"x": 1, "more": 1}, [node("Identity", ["x"], ["floats"]), add], {"x": 1, "more": 2})
    assert several == "its graph has several inputs; say method: sampled, which asks the model"
    same = node("Identity", ["half"], ["price"])
    texts = told(tmp_path / "b", {"said": TEXT}, [node("Cast", ["said"], ["floats"], to=1), same], {"said": "2"})
    assert texts == "its graph takes texts; say method: sampled, which asks the model"
    twice = node("LinearRegressor", ["half"], ["price"], domain="ai.onnx.ml", coefficients=[2.0])
    two = told(tmp_path / "d", {"x": 1}, [node("Identity", ["x"], ["floats"]), twice], {"x": 1})
    assert two.startswith("it has 2 nodes that add up trees or columns, and needs one; say method: sampled")
    before = told(tmp_path / "c", {"x": 1}, [node("Abs", ["x"], ["floats"]), same], {"x": 1})
    assert before == "Abs stands before its LinearRegressor; say method: sampled, which asks the model"


def test_exact_reasons_are_done_at_once(tmp_path: Path) -> None:
    usual = np.random.default_rng(0).integers(3, size=(USUAL, 5)).astype(float)
    opened = made(tmp_path / "b", drawn(np.random.default_rng(3), "BRANCH_LEQ", 0), usual, 0)
    heard: list[float] = []
    rows = [row_of(usual[0])]
    opened.explained(rows, opened.predict(rows), wanted=Wanted(progress=heard.append))
    assert heard == [1.0]
