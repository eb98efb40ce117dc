"""What is read of a body, and what is said of one that cannot be."""

from __future__ import annotations

from typing import Any

import pytest

from api import parsing
from core import errors


@pytest.mark.parametrize("number", [2**64 - 1, -(2**63), 2**63, 10**18, -(10**18), 0])
def test_whole_numbers_of_64_bits_are_read_as_they_are(number: int) -> None:
    assert parsing.read(b'{"a": %d}' % number) == {"a": number}


@pytest.mark.parametrize(
    "number", [2**64, -(2**63) - 1, 10**20, -(10**19), 10**24, 10**25, -(10**24), 10**30, 123456789 * 10**50]
)
def test_those_that_nothing_holds_are_refused_and_quoted_in_part(number: int) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        parsing.read(b'{"a": [%d]}' % number)
    issue = "holds a whole number that does not fit 64 bits"
    assert caught.value.details == {"field": "body", "issue": issue, "received": str(number)[:25]}


@pytest.mark.parametrize("body", [b'{"a": "1111111111111111111111111"}', b"[1.0000000000000000000000000001]"])
def test_many_digits_elsewhere_are_no_such_number(body: bytes) -> None:
    assert parsing.read(body)


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ({"_schema": ["Invalid input type."]}, [("body", "must be a JSON object")]),
        ({"a": ["Unknown field."]}, [("a", "is not a known field")]),
        ({"a": {"b": {0: ["Not a valid string."]}}}, [("a.b.0", "must be a string")]),
        ({"a": {"_schema": ["Not a valid mapping type."]}}, [("a", "must be an object")]),
        (
            {"a": ["Missing data for required field.", "must be odd"], "c": ["Field may not be null."]},
            [("a", "is required"), ("a", "must be odd"), ("c", "must not be null")],
        ),
        (["Not a valid list."], [("body", "must be a list")]),
        ({"a": ["Not a valid boolean."]}, [("a", "must be true or false")]),
        ({"a": ["Not a valid integer."]}, [("a", "must be a whole number")]),
        ({"a": ["Not a valid number."]}, [("a", "must be a number")]),
        ({"a": ["Shorter than minimum length 1."]}, [("a", "must not be empty")]),
        *(({"a": [f"Not a valid {kind}."]}, [("a", parsing._MOMENT)]) for kind in ("aware datetime", "datetime")),
    ],
)
def test_each_fault_is_told_by_its_place_and_in_our_words(messages: Any, said: list[tuple[str, str]]) -> None:
    error = parsing.refused(messages)
    assert (error.details["field"], error.details["issue"]) == said[0]
    assert [(item["field"], item["issue"]) for item in error.errors] == said
    assert parsing.refused(["x"], root="query").details["field"] == "query"
