"""What a class in Python gives is told as JSON has it, up to each limit and not beyond it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from inference.plain import MOST_DEEP, NotPlain, plain

ROOM = 1 << 20


class Loud(str):
    """A text that says something else of itself."""

    def __str__(self) -> str:
        return "loud"


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [nested(MOST_DEEP), -(2**63), 2**64 - 1, 0.5, True, None, "é", {"a": {"b": [1, "c"]}}, [], {}],
    ids=["deep", "least", "most", "number", "boolean", "nothing", "text", "mapping", "no list", "no mapping"],
)
def test_what_json_has_stays_as_it_is(value: Any) -> None:
    found = plain(value, ROOM, "it")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        ((1, 2), [1, 2]), (np.arange(3), [0, 1, 2]), (np.float32(0.5), 0.5), ([np.bool_(True)], [True]),
        ({"a": (1,)}, {"a": [1]}),
    ],
    ids=["tuple", "array", "number of NumPy", "boolean of NumPy", "within"],
)  # fmt: skip
def test_what_is_nearly_json_becomes_it(value: Any, becomes: Any) -> None:
    found = plain(value, ROOM, "it")
    assert found == becomes
    assert type(found) is type(becomes)


def test_a_text_that_says_something_else_of_itself_is_a_plain_one() -> None:
    assert type(plain(Loud("a"), ROOM, "it")) is str


@pytest.mark.parametrize(
    ("value", "issue"),
    [
        (nested(MOST_DEEP + 1), "is nested deeper than 64"),
        (-(2**63) - 1, "it is a whole number of more than 64 bits"),
        (2**64, "it is a whole number of more than 64 bits"),
        ([0, float("inf")], r"it\[1\] is a number that is not finite"),
        ({"a": float("nan")}, r"it\.a is a number that is not finite"),
        ({1: 2}, "it has a key that is no text, but a int"),
        ({"\ud800": 1}, "it has a lone surrogate"),
        ({"a": ["\ud800"]}, r"it\.a\[0\] has a lone surrogate"),
        ({"a": {1}}, r"it\.a is a set, for which JSON has no form"),
    ],
    ids=range(9),
)
def test_what_json_does_not_have_is_told_with_its_place(value: Any, issue: str) -> None:
    with pytest.raises(NotPlain, match=issue):
        plain(value, ROOM, "it")


def test_it_may_have_as_many_bytes_as_there_is_room_for_and_not_one_more() -> None:
    assert plain("abc", 5, "it") == "abc"
    with pytest.raises(NotPlain, match=r"it has 5 bytes as JSON; it may have 4"):
        plain("abc", 4, "it")
