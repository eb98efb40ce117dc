"""Trees, sums and graphs as they stand in a file: each number where ONNX has it, and what cannot be read is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pytest

from inference.explain import forest, graph, linear, trees
from inference.explain.graph import Node, Unread
from inference.explain.trees import NotAdditive, Trees

#: A tree that asks whether a number is at most 1.
NEWER: dict[str, Any] = {
    "tree_roots": np.array([0]), "nodes_featureids": np.array([0]), "nodes_splits": np.array([1.0], np.float32),
    "nodes_modes": np.array([0]), "nodes_truenodeids": np.array([0]), "nodes_trueleafs": np.array([1]),
    "nodes_falsenodeids": np.array([1]), "nodes_falseleafs": np.array([1]), "leaf_targetids": np.array([0, 0]),
    "leaf_weights": np.array([2.0, 6.0], np.float32),
}  # fmt: skip
OLDER: dict[str, Any] = {
    "nodes_treeids": np.array([0, 0, 0, 7]), "nodes_nodeids": np.array([0, 1, 2, 0]),
    "nodes_modes": [b"BRANCH_LEQ", b"LEAF", b"LEAF", b"LEAF"], "nodes_featureids": np.array([0, 0, 0, 0]),
    "nodes_values": np.array([1.0, 0, 0, 0], np.float32), "nodes_truenodeids": np.array([1, 0, 0, 0]),
    "nodes_falsenodeids": np.array([2, 0, 0, 0]), "target_treeids": np.array([0, 0, 7]),
    "target_nodeids": np.array([1, 2, 0]), "target_ids": np.array([0, 0, 0]),
    "target_weights": np.array([2.0, 6.0, 1.0], np.float32),
}  # fmt: skip
CLASSES = {
    **{name.replace("target", "class"): value for name, value in OLDER.items()},
    "classlabels_strings": [b"a", b"b"],
}


def read(op: str, says: dict[str, Any], **more: Any) -> Trees:
    said = {name: value for name, value in {**says, **more}.items() if value is not None}
    return trees.of(Node(op, (), (), said))


def newer(**more: Any) -> Trees:
    return read("TreeEnsemble", NEWER, **more)


def older(**more: Any) -> Trees:
    return read("TreeEnsembleRegressor", OLDER, **more)


def margins(of: Trees, *rows: float) -> list[list[float]]:
    usual = np.zeros((1, 1), np.float32)
    found: list[list[float]] = (
        forest.Forest(of, usual, np.array([0])).margins(np.array([*rows], np.float32)[:, None]).tolist()
    )
    return found


def test_what_the_newer_operator_does_not_say_is_as_onnx_has_it() -> None:
    found = newer()
    assert (found.outputs, found.post, found.base.tolist(), found.mode) == (1, "NONE", [0], ["LEQ", "LEAF", "LEAF"])
    assert margins(found, 1, 2, np.nan) == [[2], [6], [6]]
    assert margins(newer(nodes_missing_value_tracks_true=np.array([1])), np.nan) == [[2]]
    assert [newer(post_transform=number).post for number in range(5)] == [*trees.POSTS]
    assert trees.POSTS == ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
    two = newer(n_targets=2, leaf_targetids=np.array([0, 1]))
    assert margins(two, 1, 2) == [[2, 0], [0, 6]]
    twice = newer(tree_roots=np.array([0, 0]))
    assert twice.values[:, 0].tolist() == [0, 2, 6]
    assert newer(tree_roots=np.array([0, 0]), aggregate_function=0).values[:, 0].tolist() == [0, 1, 3]


@pytest.mark.parametrize(
    ("number", "name", "passes"),
    [(0, "LEQ", [0, 1]), (1, "LT", [0]), (2, "GTE", [1, 2]), (3, "GT", [2]), (4, "EQ", [1]), (5, "NEQ", [0, 2])],
)
def test_a_node_asks_by_the_number_of_its_mode(number: int, name: str, passes: list[int]) -> None:
    by_number = newer(nodes_modes=np.array([number]))
    by_name = older(nodes_modes=[f"BRANCH_{name}".encode(), b"LEAF", b"LEAF", b"LEAF"])
    assert (by_number.mode[0], by_name.mode[0]) == (name, name)
    for row in range(3):
        assert margins(by_number, row) == [[2 if row in passes else 6]]
        assert margins(by_name, row) == [[3 if row in passes else 7]]


def test_the_older_operators_are_read_with_their_bases_and_averages() -> None:
    assert margins(older(), 1, 2) == [[3], [7]]
    assert (older().outputs, older().post) == (1, "NONE")
    assert margins(older(aggregate_function=b"AVERAGE"), 1, 2) == [[1.5], [3.5]]
    assert margins(older(base_values=np.array([0.5])), 1) == [[3.5]]
    assert margins(older(nodes_missing_value_tracks_true=np.array([1, 0, 0, 0])), np.nan) == [[3]]
    double = {"nodes_values": None, "nodes_values_as_tensor": np.array([1.0]).repeat(4)}
    assert margins(older(**double, target_weights=None, target_weights_as_tensor=np.array([2.0, 6, 1])), 1) == [[3]]
    assert margins(older(n_targets=2, target_ids=np.array([0, 1, 1])), 1, 2) == [[2, 1], [0, 7]]
    # Of two classes that share one number, it is that of the second, and so is the last base.
    classes = read("TreeEnsembleClassifier", CLASSES, post_transform=b"LOGISTIC", base_values=np.array([9, 0.5]))
    assert (classes.outputs, classes.post, margins(classes, 1)) == (1, "LOGISTIC", [[3.5]])
    numbered = {"classlabels_strings": None, "classlabels_int64s": np.array([0, 1]), "class_ids": np.array([0, 1, 1])}
    apart = read("TreeEnsembleClassifier", CLASSES, **numbered)
    assert (apart.outputs, margins(apart, 1, 2)) == (2, [[2, 1], [0, 7]])


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda: newer(aggregate_function=2), "combined by the least or the largest, which is no sum"),
        (lambda: newer(aggregate_function=3), "combined by the least or the largest, which is no sum"),
        (lambda: older(aggregate_function=b"MIN"), "its trees are combined by MIN, which is no sum"),
        (lambda: newer(nodes_modes=np.array([6])), "its TreeEnsemble has a MEMBER without membership_values"),
        (lambda: newer(nodes_splits=None), "its TreeEnsemble cannot be read: 'nodes_splits'"),
        (lambda: older(nodes_modes=None), "its TreeEnsembleRegressor cannot be read: 'nodes_modes'"),
    ],
    ids=range(6),
)
def test_what_is_no_sum_over_trees_is_told(made: Any, told: str) -> None:
    with pytest.raises(NotAdditive, match=told):
        made()


def chain(length: int) -> Trees:
    """A tree that asks one number after the other whether it is none, as long as none is."""
    inner = np.arange(length)
    every = 2 * length + 1
    yes, no = np.full(every, -1), np.full(every, -1)
    yes[:length], no[:length] = length + inner, [*range(1, length), 2 * length]
    feature = np.concatenate([inner, np.zeros(length + 1, np.int64)])
    values = np.concatenate([np.zeros(length), np.arange(1.0, length + 2)])[:, None]
    mode = ["LEQ"] * length + ["LEAF"] * (length + 1)
    split, missing = np.zeros(every), np.zeros(every, bool)
    return Trees(np.array([0]), feature, split, mode, {}, missing, yes, no, values, np.zeros(1), "NONE", 1)


def test_a_path_may_ask_for_so_many_features_and_is_looked_along_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = np.eye(2, 62)
    made = forest.Forest(chain(62), usual, np.arange(62))
    rows = np.stack([np.ones(62), np.eye(62)[61]])
    looked: list[int] = []
    # One leaf after the other.
    monkeypatch.setattr(forest, "PAIRS", len(usual))
    found, values = made.explain(rows, np.zeros(2, int), lambda: looked.append(1))
    assert found.tolist() == [[63], [1]]
    assert made.base.tolist() == [1.5]
    assert values.sum(axis=1) == pytest.approx([61.5, -0.5])
    assert len(looked) > 2 * 40
    with pytest.raises(NotAdditive, match="a path of its trees asks for more than 62 features"):
        forest.Forest(chain(63), np.eye(2, 63), np.arange(63))
    assert forest.MOST_PAIRS == 1 << 24


def test_a_sum_has_no_offset_where_none_is_said_and_weights_in_any_case() -> None:
    usual, players = np.zeros((1, 2)), np.arange(2)
    made = linear.Linear(Node("LinearRegressor", (), (), {"coefficients": np.array([2.0, -3.0])}), usual, players)
    assert (made.margins(np.ones((1, 2))).tolist(), made.base.tolist(), made.post) == ([[-1]], [0], "NONE")
    for said in ({}, {"coefficients": np.ones(3)}):
        with pytest.raises(NotAdditive, match="its LinearRegressor cannot be read: "):
            linear.Linear(Node("LinearRegressor", (), (), said), usual, players)


#: Of ONNX's types, NumPy's, and values at the ends of each.
TYPES: dict[int, tuple[str, list[Any]]] = {
    1: ("<f4", [0.5, -3e38]), 2: ("u1", [0, 255]), 3: ("i1", [-128, 127]), 5: ("<i2", [-(2**15), 2**15 - 1]),
    6: ("<i4", [-(2**31), 2**31 - 1]), 7: ("<i8", [-(2**63), 2**63 - 1]), 9: ("?", [True, False]),
    11: ("<f8", [0.1, -1e300]),
}  # fmt: skip


def written(folder: Path, **attributes: Any) -> Path:
    node = onnx.helper.make_node("Any", ["a", ""], ["b", "c"], domain="own", **attributes)
    takes = onnx.helper.make_tensor_value_info("a", 1, [None])
    gives = onnx.helper.make_tensor_value_info("b", 1, [None])
    made = onnx.helper.make_graph([node], "g", [takes], [gives])
    (folder / "model.onnx").write_bytes(onnx.helper.make_model(made).SerializeToString())
    return folder / "model.onnx"


def test_attributes_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = written(
        tmp_path, whole=-7, large=2**63 - 1, part=0.5, said="größe", wholes=[-1, 0, 300, -(2**63)], parts=[0.5, -2.0],
        names=["a", "é"], text=onnx.helper.make_tensor("t", 8, [1], ["x"]),  # type: ignore[list-item]
    )  # fmt: skip
    found = graph.read(path)
    [node] = found.nodes
    assert (found.inputs, node.op, node.inputs, node.outputs) == (("a",), "Any", ("a", ""), ("b", "c"))
    said = {name: each.tolist() if isinstance(each, np.ndarray) else each for name, each in node.attributes.items()}
    assert said == {
        "whole": -7, "large": 2**63 - 1, "part": 0.5, "said": "größe".encode(), "wholes": [-1, 0, 300, -(2**63)],
        "parts": [0.5, -2.0], "names": [b"a", "é".encode()], "text": None,
    }  # fmt: skip


@pytest.mark.parametrize("number", TYPES)
def test_tensors_of_every_type_are_read_however_they_were_written(tmp_path: Path, number: int) -> None:
    dtype, values = TYPES[number]
    wanted = np.array(values, dtype)
    raw = onnx.numpy_helper.from_array(wanted, "t")
    typed = onnx.helper.make_tensor("t", number, [2], wanted.tolist())
    assert (raw.data_type, bool(raw.raw_data), bool(typed.raw_data)) == (number, True, False)
    [node] = graph.read(written(tmp_path, raw=raw, typed=typed)).nodes
    for found in node.attributes.values():
        assert (found.dtype, found.tolist()) == (wanted.dtype, wanted.tolist())


@pytest.mark.parametrize(
    "data", [b"", b"\x3a\x05ab", b"\x3b", b"\x3a", b"\x3a\x02\x0a\x05", b"\x39ab", b"\x3a" + b"\xff" * 12, b"\x38\x01"],
    ids=["empty", "cut short", "another wire", "no size", "within", "fixed", "endless", "no graph"],
)  # fmt: skip
def test_what_is_no_graph_is_not_read(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(data)
    with pytest.raises(Unread, match=r"^is no ONNX graph$"):
        graph.read(tmp_path / "model.onnx")


def test_what_is_too_large_to_be_trees_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "model.onnx").open("wb") as stream:
        stream.truncate(256 * 1024**2 + 1)
    with pytest.raises(Unread, match=r"^is larger than 268435456 bytes$"):
        graph.read(tmp_path / "model.onnx")
