"""Explanations without a single question to the model: its graph is trees, or linear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import proxy

import numpy as np

from core import errors
from inference.explain import background, forest, graph, linear, players, trees
from inference.explain.link import Link
from inference.explain.wanted import Wanted
from inference.output import Explanation

if TYPE_CHECKING:
    from inference.interrupt import Interrupt
    from inference.manifest import Explain
    from inference.model import GraphModel

Array = np.ndarray[Any, Any]
Row = Mapping[str, Any]

#: So far what is read from the graph may be from what the graph answers, relative to numbers above 1.
TOLERANCE = 1e-3
FIX = "say method: sampled, which asks the model"


class Exact:
    """Made once for an opened model, used by many threads; raises BundleInvalid where its graph is something else."""

    def __init__(self, model: GraphModel, says: Explain, outputs: Sequence[str]) -> None:
        bundle = model.bundle
        # The model holds this: else it would be there until the garbage is collected, however long nobody asks it.
        self._model: GraphModel = proxy(model)
        self._outputs, self._players = outputs, players.of(bundle.manifest, says.groups)
        usual = background.rows(bundle, str(says.background))
        try:
            self._node, self._before = _only(graph.read(bundle.graphs[0]))
            columns = self._columns(usual)
            player_of = np.array(self._players.of_columns([field.name for field in bundle.manifest.fields]))
            self._sums, post = _sums(self._node, columns, player_of)
            answers = model.scores(usual)
            self._link = Link(post, len(self._sums.base), answers.shape[1], bool(bundle.manifest.labels))
        except (trees.NotAdditive, graph.Unread) as error:
            raise errors.BundleInvalid(f"{bundle.graphs[0]} has no exact explanation: {error}; {FIX}") from error
        off = float(_off(self._link.answered(self._sums.margins(columns)), answers).max())
        if off > TOLERANCE:
            issue = f"is more than its {self._node.op}, whose sums are off by {off:.3g}"
            raise errors.BundleInvalid(f"{bundle.graphs[0]} {issue}; {FIX}")

    def explain(
        self,
        rows: Sequence[Row],
        answers: Array,
        interrupt: Interrupt | None,
        wanted: Wanted,
    ) -> list[Explanation]:
        """Of rows with the numbers that the model gave to them, [rows, numbers], why the largest of each is what it
        is; raises ModelInterrupted."""

        def between() -> None:
            if interrupt and interrupt.is_set:
                raise errors.ModelInterrupted

        chosen = answers.argmax(axis=1)
        at, factor, summand = (np.array(part) for part in zip(*map(self._link.sum_for, chosen.tolist()), strict=True))
        margins, values = self._sums.explain(self._columns(rows), at, between)
        scores, base = factor[:, None] * values, factor * self._sums.base[at] + summand
        told, every = base + scores.sum(axis=1), np.arange(len(rows))
        margins[every, at] = (told - summand) / factor
        off = _off(self._link.answered(margins), answers)[every, chosen]
        wanted.progress(1.0)
        algorithm = "trees" if self._node.op in trees.OPS else "linear"
        return [
            Explanation(
                algorithm=algorithm, output=self._outputs[answer], scale=self._link.scale,
                features=self._players.names, scores=shares, std_errors=None,
                base_value=usual, value=value, additivity_error=far, evaluations=0,
            )
            for answer, shares, usual, value, far in zip(
                chosen.tolist(), scores.tolist(), base.tolist(), told.tolist(), off.tolist(), strict=True
            )
        ]  # fmt: skip

    def _columns(self, rows: Sequence[Row]) -> Array:
        """What the node takes; raises NotAdditive where the graph has several inputs."""
        given = self._model.encode(rows)
        if len(given) != 1:
            raise trees.NotAdditive("its graph has several inputs")
        [found] = given.values()
        found = found.reshape(len(rows), -1)
        if found.dtype.kind not in "fiub":
            raise trees.NotAdditive("its graph takes texts")
        for node in self._before:
            found = _through(node, found)
        return found.astype(np.float64 if found.dtype == np.float64 else np.float32)


def _sums(node: graph.Node, columns: Array, player_of: Array) -> tuple[forest.Forest | linear.Linear, str]:
    """What the node adds up, and what it makes of it."""
    if node.op in linear.OPS:
        found = linear.Linear(node, columns, player_of)
        return found, found.post
    made = trees.of(node)
    return forest.Forest(made, columns, player_of), made.post


def _only(read: graph.Graph) -> tuple[graph.Node, list[graph.Node]]:
    """The one node that adds up, and what casts or scales the columns on their way there; raises NotAdditive."""
    adding = [node for node in read.nodes if node.op in (*trees.OPS, *linear.OPS)]
    if len(adding) != 1:
        raise trees.NotAdditive(f"it has {len(adding) or 'no'} nodes that add up trees or columns, and needs one")
    made_by = {name: node for node in read.nodes for name in node.outputs}
    name, before = adding[0].inputs[0], list[graph.Node]()
    while name not in read.inputs:
        node = made_by.pop(name, None)
        if node is None or node.op not in ("Cast", "Identity", "Scaler"):
            raise trees.NotAdditive(f"{node.op if node else 'a constant'} stands before its {adding[0].op}")
        if node.op == "Cast" and node.attributes.get("to") not in graph.DTYPES:
            raise trees.NotAdditive(f"a Cast to type {node.attributes.get('to')} stands before its {adding[0].op}")
        before += [node] if node.op != "Identity" else []
        name = node.inputs[0]
    return adding[0], before[::-1]


def _through(node: graph.Node, columns: Array) -> Array:
    """The columns as a Cast or a Scaler gives them on: what is rounded there may fall on another side of a split."""
    if node.op == "Cast":
        # What a missing value is as a whole number, no standard says.
        with np.errstate(invalid="ignore"):
            return columns.astype(graph.DTYPES[node.attributes["to"]])
    offset, scale = (np.asarray(node.attributes[name], np.float32) for name in ("offset", "scale"))
    found: Array = ((columns - offset) * scale).astype(np.float32)
    return found


def _off(found: Array, wanted: Array) -> Array:
    """How far numbers are from each other, of large ones relative to their size."""
    gap: Array = np.abs(found - wanted) / np.maximum(1.0, np.abs(wanted))
    return gap
