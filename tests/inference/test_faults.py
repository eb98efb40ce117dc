"""Mistakes in model.yaml as whole sentences: each word of each is looked at."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from core import errors
from inference import faults
from inference.faults import UNKNOWN, Fault

LONG = "x" * 61
CUT = f"{'x' * 60}…"


def sentence(raw: dict[str, Any], *path: str | int, issue: str) -> str:
    return faults.told("here", raw, [Fault(path, issue)]).removeprefix("here: ")


@pytest.mark.parametrize(
    ("value", "issue", "says"),
    [
        (None, "must be a text", "must be a text, but is empty"),
        (True, "must be a text",
         "must be a text, but is true; YAML reads yes, no, on and off as true and false: put it in quotes"),
        (5, "must be a text", "must be a text, but is the number 5; put it in quotes"),
        (0.5, "must be a text", "must be a text, but is the number 0.5; put it in quotes"),
        (dt.date(2026, 1, 1), "must be a text", "must be a text, but is the date 2026-01-01; put it in quotes"),
        ([1], "must be a text", "must be a text, but is a list"),
        ({"a": 1}, "must be a text", "must be a text, but is a mapping"),
        ("a", "must be a list", "must be a list, but is the text 'a'; write [a]"),
        (LONG, "must be a list", f"must be a list, but is the text '{CUT}'; write [{CUT}]"),
        (5, "must be a list", "must be a list, but is the number 5"),
        ("1e-3", "must be a number", "must be a number, but is the text '1e-3'; YAML takes it for a text: write 0.001"),
        ("1e30", "must be a number",
         "must be a number, but is the text '1e30'; YAML takes it for a text: write 1.0e+30"),
        ("1,5", "must be a number", "must be a number, but is the text '1,5'"),
        (True, "must be a number", "must be a number, but is true"),
        ("yes", "must be true or false", "must be true or false, but is the text 'yes'"),
        ("a", "must not be blank", "must not be blank"),
        (None, "must not be empty", "must not be empty"),
        ("a" * 2000, "must have at most 1000 characters", "must have at most 1000 characters"),
        (5, "is missing", "is missing"),
        ("text", "must be a mapping", "must be a mapping, but is the text 'text'"),
        ("other", "must be one of a, b", "must be one of a, b, but is the text 'other'"),
        (5, "must be one of a, b", "must be one of a, b, but is the number 5"),
        *((name, "must be one of a, b", f"must be one of a, b, but is the text '{name}'{instead}")
          for name, instead in faults.INSTEAD.items()),
    ],
    ids=str,
)  # fmt: skip
def test_a_value_is_shown_where_it_has_to_be_another_with_what_usually_helps(
    value: object, issue: str, says: str
) -> None:
    assert sentence({"key": value}, "key", issue=issue) == f"key {says}"


@pytest.mark.parametrize(
    ("words", "write"),
    [
        (("float", "double", "float32", "float64", "decimal", "numeric"), "; write number"),
        (("int", "int32", "int64", "long"), "; write integer"),
        (("str", "text", "varchar", "category", "enum"), "; write string"),
        (("bool",), "; write boolean"),
        (("classification", "classifier", "table", "csv"), "; write tabular, or text for one text a row"),
        (("sklearn", "scikit-learn", "pytorch", "torch", "joblib", "pickle"), "; write python"),
        (("regression", "regressor"),
         "; write tabular, and numbers in place of labels"),
    ],
)  # fmt: skip
def test_what_other_tools_call_it_is_known(words: tuple[str, ...], write: str) -> None:
    assert {word: faults.INSTEAD[word] for word in words} == dict.fromkeys(words, write)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("summary",), "summary"), (("options", "field"), "field of options"), ((LONG,), CUT),
        (("fields", 1, "minimum"), "minimum of field 2 (age)"), (("fields", 0, "type"), "type of field 1"),
        (("fields", 0), "field 1"), (("fields", 1), "field 2 (age)"), (("fields", 9), "field 10"),
        (("fields", 1, "enum", 2), "enum value 3 of field 2 (age)"), (("labels", 0), "label 1"),
        (("golden", 0, "inputs", "x"), "x of inputs of golden example 1"),
        (("golden", 1, "segments", 2, "end"), "end of segment 3 of golden example 2"),
        (("golden", 0, "lines", 1), "line 2 of golden example 1"), (("others", 0), "others 1"), ((), "it"),
    ],
    ids=str,
)  # fmt: skip
def test_a_place_is_said_from_the_inside_out(path: tuple[str | int, ...], place: str) -> None:
    raw = {"fields": [{"name": 5}, {"name": "age"}]}
    assert sentence(raw, *path, issue="is wrong") == f"{place} is wrong"


def test_a_field_with_a_long_name_is_called_by_its_beginning() -> None:
    assert sentence({"fields": [{"name": LONG}]}, "fields", 0, issue="is wrong") == f"field 1 ({CUT}) is wrong"


@pytest.mark.parametrize(
    ("key", "known", "says"),
    [
        ("inlne", "inline, pool", "is unknown; did you mean inline?"),
        ("INLINE", "inline, pool", "is unknown; did you mean inline?"),
        ("colour", "inline, pool", "is unknown; there are: inline, pool"),
        ("colour", "", "is unknown"),
    ],
)
def test_an_unknown_key_is_told_what_it_was_probably_to_be_or_which_there_are(key: str, known: str, says: str) -> None:
    assert sentence({key: 1}, key, issue=f"{UNKNOWN}{known}") == f"{key} {says}"


def test_what_is_there_under_a_name_that_is_nearly_right_is_not_missing_as_well() -> None:
    found = [
        Fault(("fields",), "is missing: say it"),
        Fault(("feilds",), f"{UNKNOWN}fields"),
        Fault(("golden", 0, "fields"), "is missing"),
        Fault(("fields",), "is wrong"),
    ]
    said = faults.told("here", {"feilds": []}, found).splitlines()
    assert said == [
        "here:",
        "  feilds is unknown; did you mean fields?",
        "  fields of golden example 1 is missing",
        "  fields is wrong",
    ]


@pytest.mark.parametrize("more", [-1, 0, 1, 2])
def test_of_many_mistakes_some_are_told_and_how_many_there_are_besides(more: int) -> None:
    most = errors.MAX_FAULTS
    found = [Fault((f"key{number}",), "is wrong") for number in range(most + more)]
    first, *said = faults.told("here", {}, found).splitlines()
    assert first == "here:"
    assert said[:most] == [f"  key{number} is wrong" for number in range(min(most, most + more))]
    assert said[most:] == ([f"  and {more} more"] if more > 0 else [])


def test_what_a_schema_found_is_told_by_its_place_and_by_its_first_word_on_it() -> None:
    messages = {"_schema": ["is odd"], "a": ["is wrong", "and more"], "b": {0: {"c": ["is wrong"], "_schema": ["no"]}}}
    assert list(faults.of(messages)) == [
        Fault((), "is odd"), Fault(("a",), "is wrong"), Fault(("b", 0, "c"), "is wrong"), Fault(("b", 0), "no"),
    ]  # fmt: skip


def test_of_many_names_twenty_are_told_each_in_part() -> None:
    assert faults.some(["a", LONG]) == f"a, {CUT}"
    names = [str(number) for number in range(20)]
    assert faults.some(names) == ", ".join(names)
    assert faults.some([*names, "20"]) == f"{', '.join(names)}, …"
