"""Every limit of a field: at it, one below, one above; what a value must be; and JSON Schema says the same."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from core import errors
from inference import schema
from inference.manifest import Field, Manifest

LIMITED = {
    "text": Field("it", "string", min_length=2, max_length=4),
    "number": Field("it", "number", minimum=-1.5, maximum=2.5),
    "integer": Field("it", "integer", minimum=-1, maximum=2),
    "chosen": Field("it", "string", enum=("a", "b")),
    "flag": Field("it", "boolean"),
}
TOO_LONG = "exceeds maximum length of 4 characters"
TOO_SHORT = "must have at least 2 characters, without the white space"


def manifest(*fields: Field) -> Manifest:
    return Manifest("m", "1.0.0", "tabular", "", "", fields, ())


def issue(fields: Manifest, raw: dict[str, Any]) -> str | None:
    """What is wrong with it, if anything is."""
    try:
        schema.validate_inputs(fields, raw)
    except errors.InvalidInput as error:
        return str(error.details["issue"]) if error.details["field"] == "it" else f"of {error.details['field']}"
    return None


@pytest.mark.parametrize(
    ("kind", "value", "wrong"),
    [
        ("text", "a", TOO_SHORT), ("text", "ab", None), ("text", "abcd", None), ("text", "abcde", TOO_LONG),
        ("text", " a ", TOO_SHORT), ("text", " ab ", None), ("text", "ääää", None), ("text", "😀😀😀😀", None),
        ("text", "\ud800ab", "contains a lone surrogate"), ("text", 12, "must be a string"),
        ("number", -1.6, "must be at least -1.5"), ("number", -1.5, None), ("number", 2.5, None),
        ("number", 2.6, "must be at most 2.5"), ("number", 2, None), ("number", "2", "must be a number"),
        ("number", True, "must be a number"), ("number", float("nan"), "must be a finite number"),
        ("number", float("inf"), "must be a finite number"), ("number", 10**400, "must be a finite number"),
        ("integer", -2, "must be at least -1"), ("integer", -1, None), ("integer", 2, None),
        ("integer", 3, "must be at most 2"), ("integer", 1.0, "must be an integer"), ("integer", True, "must be an"),
        ("chosen", "a", None), ("chosen", "A", "must be one of: a, b"), ("chosen", "", "must be one of: a, b"),
        ("flag", False, None), ("flag", 0, "must be a boolean"), ("flag", "true", "must be a boolean"),
        *((kind, None, "must not be null") for kind in LIMITED),
    ],
)  # fmt: skip
def test_a_value_is_of_its_fields_type_and_within_its_limits(kind: str, value: Any, wrong: str | None) -> None:
    found = issue(manifest(LIMITED[kind]), {"it": value})
    assert (found is None) if wrong is None else str(found).startswith(wrong)


@pytest.mark.parametrize(
    ("field", "good", "bad", "says"),
    [
        (Field("it", "number", minimum=1), [1, 1e9], [0.9], "must be at least 1"),
        (Field("it", "number", maximum=1), [1, -1e9], [1.1], "must be at most 1"),
        (Field("it", "integer", minimum=0), [0, 9], [-1], "must be at least 0"),
        (Field("it", "integer", maximum=0), [0, -9], [1], "must be at most 0"),
        (Field("it", "string", min_length=1), ["a", "a" * 99], ["", " "], "must not be blank"),
        (Field("it", "string", max_length=1), ["a", "", " "], ["ab"], "exceeds maximum length of 1 characters"),
        (Field("it", "string", max_length=0), [""], ["a"], "exceeds maximum length of 0 characters"),
    ],
    ids=["minimum", "maximum", "minimum 0", "maximum 0", "min_length", "max_length", "max_length 0"],
)
def test_a_limit_holds_without_its_other(field: Field, good: list[object], bad: list[object], says: str) -> None:
    assert [issue(manifest(field), {"it": value}) for value in good] == [None] * len(good)
    assert [issue(manifest(field), {"it": value}) for value in bad] == [says] * len(bad)


def test_what_is_left_out_is_required_or_has_its_default_and_what_is_no_field_is_refused() -> None:
    required, spare = Field("it", "string"), Field("spare", "number", required=False, default=0.5)
    both = manifest(required, spare)
    assert issue(both, {}) == "is required"
    assert schema.validate_inputs(both, {"it": "x"}) == {"it": "x", "spare": 0.5}
    assert issue(manifest(spare), {"it": 1}) == schema.UNKNOWN
    with pytest.raises(errors.InvalidInput) as refused:
        schema.validate_inputs(both, {"spare": "x", "it": 1, "else": 2})
    assert [fault["field"] for fault in refused.value.errors] == ["it", "spare", "else"]


@pytest.mark.parametrize("raw", [None, [], "text", 1, [{"it": "x"}]])
def test_an_input_is_an_object(raw: object) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        schema.validate_inputs(manifest(LIMITED["flag"]), raw, name="inputs.3")
    assert refused.value.details == {"field": "inputs.3", "issue": "must be an object"}
    with pytest.raises(errors.InvalidInput) as refused:
        schema.validate_inputs(manifest(LIMITED["flag"]), raw)
    assert refused.value.details == {"field": "inputs", "issue": "must be an object"}


@pytest.mark.parametrize("more", [schema.SPARE_KEYS - 1, schema.SPARE_KEYS, schema.SPARE_KEYS + 1])
def test_each_strange_key_is_named_until_there_are_too_many(more: int) -> None:
    raw = {"it": True, **{f"k{number}": 1 for number in range(more)}}
    with pytest.raises(errors.InvalidInput) as refused:
        schema.validate_inputs(manifest(LIMITED["flag"]), raw)
    named = {fault["field"] for fault in refused.value.errors}
    assert named == ({f"k{number}" for number in range(more)} if more <= 20 else {"inputs"})


SPARE = Field("it", "number", required=False)


@pytest.mark.parametrize(
    ("field", "also"),
    [
        (LIMITED["text"], {"minLength": 2, "maxLength": 4}),
        (LIMITED["number"], {"minimum": -1.5, "maximum": 2.5}),
        (LIMITED["integer"], {"minimum": -1, "maximum": 2}),
        (LIMITED["chosen"], {"enum": ["a", "b"]}),
        (LIMITED["flag"], {}),
        (Field("it", "string", min_length=0, max_length=0), {"minLength": 0, "maxLength": 0}),
        (Field("it", "number", minimum=0, maximum=0), {"minimum": 0, "maximum": 0}),
        (Field("it", "string", "What it is"), {"description": "What it is"}),
        (Field("it", "string", ""), {}),
        (SPARE, {}),
        (dataclasses.replace(SPARE, default=0.0), {"default": 0.0}),
        (Field("it", "boolean", required=False, default=False), {"default": False}),
        (Field("it", "string", required=True, default="never used"), {}),
    ],
    ids=str,
)
def test_json_schema_tells_all_that_a_field_says_and_no_more(field: Field, also: dict[str, Any]) -> None:
    assert schema.json_schema(manifest(field)) == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"it": {"type": field.type, **also}},
        "required": ["it"] if field.required else [],
        "additionalProperties": False,
    }


@pytest.mark.parametrize(
    ("kind", "value", "length"),
    [("text", "abcde", 5), ("text", " a ", None), ("text", 5, None), ("chosen", "abc", None), ("number", 9, None)],
)
def test_a_text_that_is_too_long_is_told_its_length(kind: str, value: object, length: int | None) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        schema.validate_inputs(manifest(LIMITED[kind]), {"it": value}, name="inputs.3")
    [fault] = refused.value.errors
    assert (fault["field"], fault.get("received_length")) == ("inputs.3.it", length)


def test_a_choice_may_be_written_with_braces() -> None:
    odd = manifest(Field("it", "string", enum=("{0}", "{input}", "{")))
    assert [issue(odd, {"it": given}) for given in ("{0}", "x")] == [None, "must be one of: {0}, {input}, {"]


@pytest.mark.parametrize(
    ("limit", "told"),
    [
        (20301231, "20301231"), (2147483647.0, "2147483647"), (12345.67, "12345.67"), (-0.5, "-0.5"), (0.0, "0"),
        (1e20, "1e+20"), (-1e-7, "-1e-07"),
    ],
)  # fmt: skip
def test_a_limit_is_told_whole(limit: float, told: str) -> None:
    number = Field("it", "number", minimum=limit)
    assert issue(manifest(number), {"it": limit - abs(limit) - 1}) == f"must be at least {told}"
    number = Field("it", "number", maximum=limit)
    assert issue(manifest(number), {"it": limit + abs(limit) + 1}) == f"must be at most {told}"
