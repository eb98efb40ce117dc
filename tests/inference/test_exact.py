"""SHAP values from the graph alone: those that Shapley's definition gives, for whatever trees and sums there are."""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import onnx
import onnx.helper
import onnxmltools
import orjson
import pytest
from onnxmltools.convert.common.data_types import FloatTensorType as FloatTensorOfTools
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import make_classification, make_regression
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core import errors
from inference import bundle, check, model
from inference.explain import forest, trees
from inference.explain import graph as graphs_of
from inference.interrupt import Interrupt
from inference.output import Explanation, Label, Numbers
from tests import graphs
from tests.inference import shapley

Array = np.ndarray[Any, Any]
NAMES = ["a", "b", "c", "d", "e"]
USUAL = 7


def logit(probability: Array) -> Array:
    return np.log(probability / (1 - probability))


def plain(value: Array) -> Array:
    return value


def data(classes: int) -> tuple[Array, Array]:
    if classes == 0:
        found = make_regression(200, 5, random_state=1)
    else:
        found = make_classification(
            200, 5, n_informative=4, n_redundant=1, n_classes=classes, n_clusters_per_class=1, random_state=1
        )
    return found[0].astype(np.float32), found[1]


#: Of each kind of model: how many classes it is trained with, and what its scores add up to, of its probability.
TRAINED: dict[str, tuple[Any, int, Callable[[Array], Array]]] = {
    "boosted": (GradientBoostingClassifier(n_estimators=15, random_state=0), 2, logit),
    "forest": (RandomForestClassifier(8, max_depth=6, random_state=0), 2, plain),
    "forest of three": (RandomForestClassifier(8, random_state=0), 3, plain),
    "forest of numbers": (RandomForestRegressor(8, random_state=0), 0, plain),
    "logistic": (LogisticRegression(), 2, logit),
    "scaled": (make_pipeline(StandardScaler(), LogisticRegression()), 2, logit),
    "line": (LinearRegression(), 0, plain),
    "scaled line": (make_pipeline(StandardScaler(), LinearRegression()), 0, plain),
}


def made(folder: Path, graph: bytes, usual: Array, classes: int, **explain: Any) -> model.Model:
    """A bundle of such a model, opened, with these rows as the usual ones."""
    says: dict[str, Any] = {"labels": [f"l{number}" for number in range(classes)]}
    golden: dict[str, Any] = {"prediction": "l0", "confidence": 0.5}
    if not classes:
        says, golden = {"labels": None, "numbers": [{"name": "price"}]}, {"prediction": 0}
    graphs.bundle(
        folder, graph, fields=[{"name": name, "type": "number", "required": False} for name in NAMES],
        golden=[{"inputs": row_of(usual[0]), **golden}], explanation=["shap"],
        explain={"method": "exact", "background": "usual.jsonl", **explain}, **says,
    )  # fmt: skip
    (folder / "usual.jsonl").write_bytes(b"\n".join(orjson.dumps(row_of(row)) for row in usual))
    opened = model.open_model(bundle.load(folder))
    assert isinstance(opened, model.Model)
    return opened


def row_of(values: Array) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else float(value) for name, value in zip(NAMES, values, strict=True)}


def explained(opened: model.Model, row: Array) -> tuple[Explanation, Label | Numbers]:
    [said] = opened.explained([row_of(row)], opened.predict([row_of(row)]))
    assert isinstance(said, Label | Numbers)
    assert said.explained is not None
    return said.explained, said


def answering(opened: model.Model, output: str, scale: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """What the graph answers to rows for this output, on that scale."""
    place = [*opened.bundle.manifest.labels].index(output) if opened.bundle.manifest.labels else 0
    return lambda rows: scale(opened.scores([row_of(row) for row in rows])[:, place].astype(float))


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("groups", [{}, {"both": ["b", "d"]}])
def test_values_are_those_of_the_definition(name: str, groups: dict[str, list[str]], tmp_path: Path) -> None:
    estimator, classes, scale = TRAINED[name]
    rows, target = data(classes)
    trained = to_onnx(
        estimator.fit(rows, target), initial_types=[("features", FloatTensorType([None, 5]))],
        options={"zipmap": False} if classes else None, target_opset=17,
    )  # fmt: skip
    opened = made(tmp_path / "b", trained.SerializeToString(), rows[:USUAL], classes, groups=groups)
    columns = [[0], [1, 3], [2], [4]] if groups else [[0], [1], [2], [3], [4]]
    for row in rows[20:26]:
        why, _ = explained(opened, row)
        wanted = shapley.against(answering(opened, why.output, scale), row, rows[:USUAL], columns)
        assert why.features == (["a", "both", "c", "e"] if groups else NAMES)
        assert why.scores == pytest.approx(wanted, abs=2e-4 * max(1.0, *map(abs, wanted)))
        assert (why.std_errors, why.evaluations) == (None, 0)
        assert why.additivity_error < 1e-4
        assert why.value == pytest.approx(why.base_value + sum(why.scores))


@pytest.mark.usefixtures("no_garbage_collected")
def test_a_model_that_was_explained_goes_with_the_last_who_holds_it(tmp_path: Path) -> None:
    rows, target = data(0)
    line = to_onnx(LinearRegression().fit(rows, target), rows[:1], target_opset=17)
    opened = made(tmp_path / "b", line.SerializeToString(), rows[:USUAL], 0)
    explained(opened, rows[0])
    left = weakref.ref(opened)
    del opened
    assert left() is None


@pytest.mark.parametrize("classes", [0, 2])
def test_what_lightgbm_has_made_is_read_too(classes: int, tmp_path: Path) -> None:
    rows, target = data(classes)
    estimator = lightgbm.LGBMClassifier if classes else lightgbm.LGBMRegressor
    trained = onnxmltools.convert_lightgbm(
        estimator(n_estimators=10, verbose=-1).fit(rows, target), target_opset=15,
        initial_types=[("features", FloatTensorOfTools([None, 5]))], **({"zipmap": False} if classes else {}),
    )  # fmt: skip
    opened = made(tmp_path / "b", trained.SerializeToString(), rows[:USUAL], classes)
    for row in rows[20:23]:
        why, _ = explained(opened, row)
        scale = logit if classes else plain
        wanted = shapley.against(answering(opened, why.output, scale), row, rows[:USUAL], [[at] for at in range(5)])
        assert why.scores == pytest.approx(wanted, abs=2e-4)
        assert why.algorithm == "trees"


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def drawn(random: np.random.Generator, mode: str, missing: int, depth: int = 3) -> bytes:
    """A regressor of two full trees that ask for whole numbers in one way, so that equality is met."""
    inner, every = 2**depth - 1, 2 ** (depth + 1) - 1
    ids = [*range(every)] * 2
    leaf = [node >= inner for node in ids]
    of_leaf = [(tree, node) for tree in (0, 1) for node in range(inner, every)]
    node = onnx.helper.make_node(
        "TreeEnsembleRegressor", ["features"], ["price"], domain="ai.onnx.ml", n_targets=1,
        nodes_treeids=[0] * every + [1] * every, nodes_nodeids=ids,
        nodes_featureids=[0 if end else int(random.integers(5)) for end in leaf],
        nodes_modes=["LEAF" if end else mode for end in leaf],
        nodes_values=[0.0 if end else float(random.integers(3)) for end in leaf],
        nodes_truenodeids=[0 if end else 2 * at + 1 for at, end in zip(ids, leaf, strict=True)],
        nodes_falsenodeids=[0 if end else 2 * at + 2 for at, end in zip(ids, leaf, strict=True)],
        nodes_missing_value_tracks_true=[0 if end else missing for end in leaf],
        target_treeids=[tree for tree, _ in of_leaf], target_nodeids=[at for _, at in of_leaf],
        target_ids=[0] * len(of_leaf), target_weights=random.normal(size=len(of_leaf)).tolist(), base_values=[0.5],
    )  # fmt: skip
    return whole([node], 3)


def whole(nodes: list[Any], version: int) -> bytes:
    takes = onnx.helper.make_tensor_value_info("features", 1, [None, 5])
    gives = onnx.helper.make_tensor_value_info("price", 1, [None, 1])
    versions = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("ai.onnx.ml", version)]
    made_of = onnx.helper.make_graph(nodes, "g", [takes], [gives])
    return bytes(onnx.helper.make_model(made_of, opset_imports=versions, ir_version=10).SerializeToString())


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("missing", [0, 1])
def test_every_way_to_branch_and_what_is_missing_are_read_as_onnx_means_them(
    mode: str, missing: int, tmp_path: Path
) -> None:
    random = np.random.default_rng(3)
    rows = random.integers(3, size=(12, 5)).astype(np.float32)
    rows[random.random(rows.shape) < 0.2] = np.nan
    opened = made(tmp_path / "b", drawn(random, mode, missing), rows[:USUAL], 0)
    for row in rows[USUAL:]:
        why, said = explained(opened, row)
        wanted = shapley.against(answering(opened, "", plain), row, rows[:USUAL], [[at] for at in range(5)])
        assert why.scores == pytest.approx(wanted, abs=1e-5)
        assert isinstance(said, Numbers)
        assert why.value == pytest.approx(said.values["price"], abs=1e-4)


@pytest.mark.parametrize("aggregate", [0, 1])
def test_the_newer_operator_is_read_with_its_sets(aggregate: int, tmp_path: Path) -> None:
    def tensor(values: list[float], kind: int) -> Any:
        return onnx.helper.make_tensor("t", kind, [len(values)], values)

    nan = float("nan")
    node = onnx.helper.make_node(
        "TreeEnsemble", ["features"], ["price"], domain="ai.onnx.ml", n_targets=1, aggregate_function=aggregate,
        post_transform=0, tree_roots=[0, 2], nodes_featureids=[0, 1, 2],
        nodes_splits=tensor([0.0, 1.0, 0.0], 1), nodes_modes=tensor([6, 0, 6], 2), nodes_truenodeids=[1, 0, 3],
        nodes_trueleafs=[0, 1, 1], nodes_falsenodeids=[2, 1, 4], nodes_falseleafs=[1, 1, 1],
        leaf_targetids=[0, 0, 0, 0, 0], leaf_weights=tensor([5.0, -2.0, 1.0, 4.0, 3.0], 1),
        membership_values=tensor([0.0, 2.0, nan, 1.0, nan], 1),
    )  # fmt: skip
    rows = np.random.default_rng(0).integers(3, size=(14, 5)).astype(np.float32)
    opened = made(tmp_path / "b", whole([node], 5), rows[:USUAL], 0)
    for row in rows[USUAL:]:
        why, _ = explained(opened, row)
        wanted = shapley.against(answering(opened, "", plain), row, rows[:USUAL], [[at] for at in range(5)])
        assert why.scores == pytest.approx(wanted, abs=1e-5)


def read_trees(trained: Any) -> trees.Trees:
    node = next(node for node in trained.graph.node if "Tree" in node.op_type)
    said = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
    lists = {name: value for name, value in said.items() if isinstance(value, list) and not isinstance(value[0], bytes)}
    return trees.of(graphs_of.Node(node.op_type, (), (), said | {name: np.array(lists[name]) for name in lists}))


def test_long_paths_are_worth_what_short_ones_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, target = data(2)
    trained = to_onnx(RandomForestClassifier(5, random_state=0).fit(rows, target), rows[:1], target_opset=17)
    read = read_trees(trained)
    kept = forest.Forest(read, rows[:USUAL], np.arange(5))
    monkeypatch.setattr(forest, "TABLES_BYTES", 0)
    paired = forest.Forest(read, rows[:USUAL], np.arange(5))
    outputs = np.arange(20) % kept.base.size
    for by_tables, by_pairs in zip(kept.explain(rows[:20], outputs), paired.explain(rows[:20], outputs), strict=True):
        assert by_tables == pytest.approx(by_pairs)


def test_trees_that_ask_nothing_have_nothing_to_share(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = random.normal(size=(USUAL, 5)).astype(np.float32)
    why, said = explained(made(tmp_path / "b", drawn(random, "BRANCH_LEQ", 0, depth=0), rows, 0), rows[0])
    assert isinstance(said, Numbers)
    assert why.scores == [0.0] * 5
    assert why.base_value == pytest.approx(said.values["price"])


def test_rows_are_worked_on_a_few_at_a_time_where_there_are_many_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    read = read_trees(onnx.load_from_string(drawn(np.random.default_rng(0), "BRANCH_LEQ", 0, depth=0)))
    rows = np.zeros((9, 5), np.float32)
    # Two rows of them, though none asks for anything.
    monkeypatch.setattr(forest, "BLOCK", 2 * len(read.roots))
    assert [len(block) for block in forest.Forest(read, rows, np.arange(5))._blocks(rows)] == [2, 2, 2, 2, 1]


def test_rows_together_have_the_reasons_that_each_has_alone(tmp_path: Path) -> None:
    rows, target = data(3)
    estimator = RandomForestClassifier(8, random_state=0).fit(rows, target)
    trained = to_onnx(estimator, rows[:1], options={"zipmap": False}, target_opset=17)
    opened = made(tmp_path / "b", trained.SerializeToString(), rows[:USUAL], 3)
    together = [row_of(row) for row in rows[20:60]]
    said = opened.explained(together, opened.predict(together))
    assert {one.label for one in said if isinstance(one, Label)} == {"l0", "l1", "l2"}
    for row, one in zip(rows[20:60], said, strict=True):
        alone, _ = explained(opened, row)
        assert isinstance(one, Label)
        assert one.explained.output == alone.output
        assert one.explained.scores == pytest.approx(alone.scores)
        assert one.explained.additivity_error == pytest.approx(alone.additivity_error, abs=1e-6)


def test_trees_that_would_take_seconds_for_each_input_are_not_for_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, target = data(2)
    read = read_trees(to_onnx(RandomForestClassifier(5, random_state=0).fit(rows, target), rows[:1], target_opset=17))
    monkeypatch.setattr(forest, "TABLES_BYTES", 0)
    leaves = len(forest.Forest(read, rows[:1], np.arange(5))._long)
    monkeypatch.setattr(forest, "MOST_PAIRS", leaves * USUAL)
    forest.Forest(read, rows[:USUAL], np.arange(5))
    with pytest.raises(trees.NotAdditive, match=f"{leaves} long paths times {USUAL + 1} usual rows"):
        forest.Forest(read, rows[: USUAL + 1], np.arange(5))


def test_a_graph_that_is_more_than_its_trees_is_not_said_to_be_exact(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    read = onnx.load_from_string(drawn(random, "BRANCH_LEQ", 0))
    read.graph.node[0].output[0] = "half"
    read.graph.node.append(onnx.helper.make_node("Mul", ["half", "half"], ["price"]))
    rows = random.normal(size=(USUAL, 5)).astype(np.float32)
    opened = made(tmp_path / "b", read.SerializeToString(), rows, 0)
    with pytest.raises(errors.BundleInvalid, match=r"is more than its TreeEnsembleRegressor.*say method: sampled"):
        explained(opened, rows[0])


def test_a_graph_without_trees_says_what_it_needs_at_push(tmp_path: Path) -> None:
    folder = graphs.bundle(
        tmp_path / "b", explanation=["shap"], explain={"method": "exact", "background": "usual.jsonl"}
    )
    (folder / "usual.jsonl").write_text('{"x": 1, "y": 2}')
    with pytest.raises(errors.BundleInvalid, match=r"it has no nodes that add up.*say method: sampled"):
        check.check(bundle.load(folder))


def test_what_is_no_graph_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(graphs_of.Unread):
        graphs_of.read(tmp_path / "model.onnx")


def test_exact_reasons_end_when_they_are_to(tmp_path: Path) -> None:
    features, labels = data(2)
    trained = RandomForestClassifier(8, max_depth=6, random_state=0).fit(features, labels)
    graph = to_onnx(trained, features[:1], options={"zipmap": False}, target_opset=17).SerializeToString()
    opened = made(tmp_path / "forest", graph, features[:USUAL], 2)
    rows, interrupt = [row_of(row) for row in features[:3]], Interrupt()
    said = opened.predict(rows)
    interrupt.set()
    with pytest.raises(errors.ModelInterrupted):
        opened.explained(rows, said, interrupt)


def test_nodes_that_lead_in_a_circle_are_no_tree() -> None:
    rows, target = data(2)
    trained = to_onnx(RandomForestClassifier(2, max_depth=2, random_state=0).fit(rows, target), rows[:1])
    read = read_trees(trained)
    turned = np.where(read.yes >= 0, read.roots[0], read.yes)
    with pytest.raises(trees.NotAdditive, match="no trees"):
        forest.Forest(dataclasses.replace(read, yes=turned), rows[:USUAL], np.arange(5))
