"""What a query would cost, told from its text: it is refused before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
)

from core import errors

#: Of a query: words and signs, fields one inside the other, and values in the answer if all lists are full.
MOST_TOKENS, MOST_DEPTH, MOST_VALUES = 1000, 8, 10_000
#: Of a list so many at most; and as many are counted where a list has no `first`.
MOST_ITEMS, SHORT = 100, 10
#: As many are counted of these.
_OF_NONE = {"models": 20, "versions": 20, "fields": 30}
#: Fields that are lists of objects.
_LISTS = frozenset({"items", "versions", "fields", "canaries", "experiments", "shadows", "variants", "aliases"})
#: Fields that are more than one value, or take longer: as many as they take to make.
_WHOLE = {
    "model": 10, "version": 10, "labels": 20, "enum": 10, "example": 20, "inputSchema": 100, "outputSchema": 100,
    "card": 200, "trial": 50, "report": 500, "__schema": 500, "__type": 50,
}  # fmt: skip


def check(document: DocumentNode, variables: Mapping[str, Any]) -> None:
    """Raises InvalidInput for a valid query that is too deep or would answer too much."""
    count = _Count(document, variables)
    for node in document.definitions:
        if isinstance(node, OperationDefinitionNode):
            values, depth = count.of(node.selection_set, SHORT)
            if depth > MOST_DEPTH:
                raise _refused(f"is {depth} fields deep; at most {MOST_DEPTH} are allowed")
            if values > MOST_VALUES:
                raise _refused(f"may answer {min(values, 10**12):,} values; at most {MOST_VALUES:,} are allowed")


def _refused(issue: str) -> errors.InvalidInput:
    return errors.InvalidInput.field("query", issue)


class _Count:
    """Values and depth of what is selected. Each fragment is looked at once, however often it is spread."""

    def __init__(self, document: DocumentNode, variables: Mapping[str, Any]) -> None:
        self._variables = variables
        self._fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, FragmentDefinitionNode)
        }
        self._known: dict[tuple[str, int], tuple[int, int]] = {}
        self._renaming: dict[str, bool] = {}

    def of(self, selected: SelectionSetNode | None, items: int) -> tuple[int, int]:
        """`items` is what a list here holds that says nothing of it."""
        found = [self._one(node, items) for node in (selected.selections if selected else ())]
        return sum(values for values, _ in found), max((depth for _, depth in found), default=0)

    def _one(self, node: Any, items: int) -> tuple[int, int]:
        if isinstance(node, FragmentSpreadNode):
            return self._spread(node.name.value, items)
        if isinstance(node, InlineFragmentNode):
            return self.of(node.selection_set, items)
        name = node.name.value
        if name.startswith("__"):
            # What there is to ask for: how deep that goes is a rule of graphql-core's own, and how wide is ours.
            if name != "__typename" and (node.alias or self._renames(node.selection_set)):
                raise _refused("asks for the schema under other names: leave out the aliases")
            return _WHOLE.get(name, 1), 1
        first = self._first(node)
        values, depth = self.of(node.selection_set, first or SHORT)
        times = (first or items) if name in _LISTS else 1
        return _WHOLE.get(name, 1) + times * values, 1 + depth

    def _renames(self, selected: SelectionSetNode | None) -> bool:
        """Whether something in it is asked for under another name, and so perhaps again and again."""
        return any(
            self._is_renaming(node.name.value) if isinstance(node, FragmentSpreadNode)
            else bool(getattr(node, "alias", None)) or self._renames(getattr(node, "selection_set", None))
            for node in (selected.selections if selected else ())
        )  # fmt: skip

    def _is_renaming(self, name: str) -> bool:
        """Of a fragment, which is looked at once."""
        if name not in self._renaming:
            self._renaming[name] = self._renames(self._fragments[name].selection_set)
        return self._renaming[name]

    def _spread(self, name: str, items: int) -> tuple[int, int]:
        if (name, items) not in self._known:
            self._known[name, items] = self.of(self._fragments[name].selection_set, items)
        return self._known[name, items]

    def _first(self, node: FieldNode) -> int | None:
        """How many are asked for; None where it is not said."""
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                said = self._variables.get(value.name.value) if isinstance(value, VariableNode) else None
                if isinstance(value, IntValueNode):
                    said = int(value.value)
                return said if isinstance(said, int) and 0 <= said <= MOST_ITEMS else MOST_ITEMS
        return _OF_NONE.get(node.name.value)
