"""What a query would cost, to the last value."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping

import graphql
import pytest

from api.graphql import cost
from core import errors

#: What is taken for one value more than its own fields: of each version of each model, a hundred of a hundred.
OF_EACH = "{ models(first: 100) { items { versions(first: 100) { %s } } } }"
WHOLE: Mapping[str, int] = {
    "digest": 1, "__typename": 1, "labels": 20, "enum": 10, "example": 20, "inputSchema": 100, "outputSchema": 100,
    "card": 200, "trial": 50, "report": 500, "version": 10, "usage { units }": 2, "model { name }": 11,
    "__schema { a }": 500, "__type { a }": 50,
    # Lists that say nothing of their length: as long as what is around them is said to be, or ten; of fields thirty.
    "canaries { name }": 101, "routes { canaries { name } }": 12, "routes { aliases { name } }": 12,
    "routes { shadows { report } }": 5002, "routes { experiments { variants { name } } }": 112,
    "fields { name }": 31, "fields { enum }": 301, "... on Version { labels card }": 220,
}  # fmt: skip


def told(query: str, **variables: object) -> int:
    """How many values a query that may answer too many is said to have."""
    with pytest.raises(errors.InvalidInput) as caught:
        cost.check(graphql.parse(query), variables)
    assert caught.value.details["field"] == "query"
    found = re.fullmatch(r"may answer ([\d,]+) values; at most 10,000 are allowed", caught.value.details["issue"])
    assert found, caught.value.details
    return int(found[1].replace(",", ""))


@pytest.mark.parametrize("field", WHOLE)
def test_each_field_is_as_many_values_as_it_takes_to_make(field: str) -> None:
    assert told(OF_EACH % field) == 2 + 100 * (1 + 100 * WHOLE[field])


def test_a_part_is_as_long_as_is_asked_for_and_twenty_where_nothing_is() -> None:
    models = "{ models%s { items { versions(first: 100) { inputSchema } } } }"
    for said, items in (("", 20), ("(first: 7)", 7), ("(first: 100)", 100), ("(first: 101)", 100), ("(first: -1)", 100),
                        ("(after: \"a\")", 20), ("(after: \"a\", first: 7)", 7)):  # fmt: skip
        assert told(models % said) == 2 + items * (1 + 100 * 100), said
    assert told("{ models(first: 100) { items { versions { inputSchema } } } }") == 2 + 100 * (1 + 20 * 100)
    by_variable = f"query ($n: Int) {models % '(first: $n)'}"
    for given, items in ((7, 7), (100, 100), (101, 100), (-1, 100), ("7", 100), (None, 100)):
        assert told(by_variable, n=given) == 2 + items * (1 + 100 * 100), given
    assert told(by_variable) == 2 + 100 * (1 + 100 * 100)


@pytest.mark.parametrize(("more", "refused"), [(98, False), (99, True)])
def test_ten_thousand_values_are_answered_and_one_more_is_not(more: int, refused: bool) -> None:
    names, others = (" ".join(f"{to}{number}: a" for number in range(count)) for to, count in (("n", 99), ("o", more)))
    with pytest.raises(errors.InvalidInput) if refused else contextlib.nullcontext():
        cost.check(graphql.parse(f"{{ models(first: 100) {{ items {{ {names} }} }} {others} }}"), {})


def test_each_of_several_operations_is_judged_by_itself() -> None:
    part = "{ models(first: 50) { items { versions(first: 99) { digest } } } }"
    cost.check(graphql.parse(f"query a {part} query b {part} query c {part}"), {})
    assert told(f"query a {part} query b {OF_EACH % 'digest'}") == 2 + 100 * (1 + 100)


def test_fragments_count_as_often_as_they_are_spread_up_to_a_number_that_can_be_told() -> None:
    leaf = "fragment f0 on Query { " + " ".join(f"a{number}: models {{ next }}" for number in range(9)) + " } "
    doubled = " ".join(f"fragment f{n} on Query {{ ...f{n - 1} ...f{n - 1} }}" for n in range(1, 61))
    assert told(f"{{ ...f10 }} {leaf} {doubled}") == 2**10 * 9 * 2
    assert told(f"{{ ...f60 }} {leaf} {doubled}") == 10**12
    # The same fragment in a longer list is more.
    asked = "{ models { ...m } more: models(first: 100) { ...m } }"
    both = f"{asked} fragment m on Models {{ items {{ versions(first: 100) {{ inputSchema }} }} }}"
    assert told(both) == 4 + (20 + 100) * (1 + 100 * 100)


@pytest.mark.parametrize(
    "query",
    [
        "{ models { items { versions { %s } } } }",
        "{ models { items { versions { ... on Version { %s } } } } }",
        "{ models { items { versions { name ...f } } } } fragment f on Version { %s }",
    ],
)
def test_depth_is_told_wherever_it_is(query: str) -> None:
    cost.check(graphql.parse(query % "a { b { c { d { e } } } }"), {})
    with pytest.raises(errors.InvalidInput) as caught:
        cost.check(graphql.parse(query % "a { b { c { d { e { f } } } } }"), {})
    assert caught.value.details["issue"] == "is 9 fields deep; at most 8 are allowed"
