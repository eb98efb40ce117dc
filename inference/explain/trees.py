"""Trees as they stand in a graph: TreeEnsembleClassifier, TreeEnsembleRegressor, and TreeEnsemble of ai.onnx.ml 5."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from inference.explain.graph import Node

Array = np.ndarray[Any, Any]

OPS = ("TreeEnsembleClassifier", "TreeEnsembleRegressor", "TreeEnsemble")
#: The branch modes of TreeEnsemble, by their numbers; the older two have them as texts, BRANCH_ before each.
MODES = ("LEQ", "LT", "GTE", "GT", "EQ", "NEQ", "MEMBER")
#: What is made of the sums, by its number there.
POSTS = ("NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT")
_LEAF = "LEAF"


class NotAdditive(ValueError):
    """What the node gives is no sum over trees, or cannot be read as one."""


@dataclass(frozen=True)
class Trees:
    """All nodes of all trees: `yes` and `no` are the nodes that follow, -1 at a leaf; `leaves` has a row of values for
    each leaf, in the order of `values_of`."""

    roots: Array
    feature: Array
    split: Array
    mode: Sequence[str]
    members: Mapping[int, Array]  #: of a node whose mode is MEMBER
    missing_is_yes: Array
    yes: Array
    no: Array
    values: Array  #: [nodes, outputs]; only a leaf's count
    base: Array  #: [outputs]
    post: str
    outputs: int


def of(node: Node) -> Trees:
    """What a node holds; raises NotAdditive."""
    try:
        return _newer(node.attributes) if node.op == "TreeEnsemble" else _older(node)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise NotAdditive(f"its {node.op} cannot be read: {error}") from error


def _either(attributes: Mapping[str, Any], name: str) -> Any:
    """A list of floats, or of doubles where the graph has those."""
    found = attributes.get(name)
    return attributes.get(f"{name}_as_tensor") if found is None else found


def _older(node: Node) -> Trees:
    said, prefix = node.attributes, "class" if node.op == "TreeEnsembleClassifier" else "target"
    aggregate = said.get("aggregate_function", b"SUM")
    if aggregate not in (b"SUM", b"AVERAGE"):
        raise NotAdditive(f"its trees are combined by {aggregate.decode()}, which is no sum")
    keys = list(zip(said["nodes_treeids"].tolist(), said["nodes_nodeids"].tolist(), strict=True))
    place = {key: number for number, key in enumerate(keys)}
    mode = [name.decode().removeprefix("BRANCH_") for name in said["nodes_modes"]]
    leaf = np.array([name == _LEAF for name in mode])
    trees = said["nodes_treeids"].tolist()

    def following(name: str) -> Array:
        ids = said[name].tolist()
        return np.array([-1 if leaf[at] else place[trees[at], child] for at, child in enumerate(ids)])

    yes, no = following("nodes_truenodeids"), following("nodes_falsenodeids")
    ids = said[f"{prefix}_ids"]
    labels = next(
        (said[name] for name in ("classlabels_strings", "classlabels_int64s") if said.get(name) is not None), ()
    )
    outputs = len(labels) if prefix == "class" else int(said.get("n_targets") or 1)
    # Two classes may share one number: that of the second.
    single = prefix == "class" and outputs == 2 and len(np.unique(ids)) == 1
    outputs, ids = (1, np.zeros_like(ids)) if single else (outputs, ids)
    values = np.zeros((len(keys), outputs))
    weights = np.asarray(_either(said, f"{prefix}_weights"), float)
    of_tree, of_node = said[f"{prefix}_treeids"].tolist(), said[f"{prefix}_nodeids"].tolist()
    np.add.at(values, ([place[key] for key in zip(of_tree, of_node, strict=True)], ids), weights)
    roots = np.array([place[tree, at] for tree, at in _firsts(keys, yes, no)])
    if aggregate == b"AVERAGE":
        values /= len(roots)
    missing = said.get("nodes_missing_value_tracks_true")
    return Trees(
        roots, said["nodes_featureids"], np.asarray(_either(said, "nodes_values")), mode, {},
        np.zeros(len(keys), bool) if missing is None else missing.astype(bool), yes, no, values,
        _base(_either(said, "base_values"), outputs), said.get("post_transform", b"NONE").decode(), outputs,
    )  # fmt: skip


def _firsts(keys: Sequence[tuple[int, int]], yes: Array, no: Array) -> Iterator[tuple[int, int]]:
    """The node of each tree that no other leads to."""
    led = {*yes.tolist(), *no.tolist()}
    return (key for number, key in enumerate(keys) if number not in led)


def _base(said: Any, outputs: int) -> Array:
    if said is None:
        return np.zeros(outputs)
    found = np.asarray(said, float)
    # Of two classes that share one number, a second value is that of the same.
    return found[-1:] if outputs == 1 and len(found) == 2 else np.resize(found, outputs)


def _newer(said: Mapping[str, Any]) -> Trees:
    """Its leaves are lists of their own, behind the nodes here."""
    aggregate, outputs = said.get("aggregate_function", 1), int(said.get("n_targets", 1))
    if aggregate not in (0, 1):
        raise NotAdditive("its trees are combined by the least or the largest, which is no sum")
    inner, leaves = len(said["nodes_featureids"]), len(said["leaf_targetids"])

    def following(name: str, leaf: str) -> Array:
        ends = np.where(said[leaf] != 0, said[name] + inner, said[name])
        return np.concatenate([ends, np.full(leaves, -1)])

    values = np.zeros((inner + leaves, outputs))
    values[inner + np.arange(leaves), said["leaf_targetids"]] = said["leaf_weights"]
    if aggregate == 0:
        values /= len(said["tree_roots"])
    mode = [MODES[number] for number in said["nodes_modes"].tolist()] + [_LEAF] * leaves
    missing = said.get("nodes_missing_value_tracks_true")
    pad = np.zeros(leaves)
    return Trees(
        said["tree_roots"], np.concatenate([said["nodes_featureids"], pad.astype(np.int64)]),
        np.concatenate([said["nodes_splits"], pad.astype(said["nodes_splits"].dtype)]), mode,
        _members(mode, said.get("membership_values")),
        np.concatenate([pad[:0] if missing is None else missing, np.zeros(inner + leaves)])[: inner + leaves] != 0,
        following("nodes_truenodeids", "nodes_trueleafs"), following("nodes_falsenodeids", "nodes_falseleafs"),
        values, np.zeros(outputs), POSTS[said.get("post_transform", 0)], outputs,
    )  # fmt: skip


def _members(mode: Sequence[str], values: Array | None) -> dict[int, Array]:
    """The sets of the nodes that ask for one, which stand one after the other with NaN behind each."""
    asking = [number for number, name in enumerate(mode) if name == "MEMBER"]
    if not asking:
        return {}
    if values is None:
        raise NotAdditive("its TreeEnsemble has a MEMBER without membership_values")
    sets = np.split(values, np.flatnonzero(np.isnan(values)) + 1)
    return {number: found[~np.isnan(found)] for number, found in zip(asking, sets, strict=False)}
