"""The JSON Schema of an answer, to its last word: what clients are made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from inference import answers, schema, tensors
from inference.answers import records
from inference.manifest import Manifest
from tests import graphs


def only(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*properties]}


def listed(of: Mapping[str, Any], **limits: Any) -> dict[str, Any]:
    return {"type": "array", "items": of, **limits}


def one_of(*labels: str) -> dict[str, Any]:
    return {"type": "string", "enum": [*labels]}


def sure(least: float = 0) -> dict[str, Any]:
    return {"type": "number", "minimum": least, "maximum": 1}


def tensor(dtype: str, shape: list[Any], of: Mapping[str, Any]) -> dict[str, Any]:
    size = len(shape)
    shape_of = {"type": "array", "prefixItems": shape, "minItems": size, "maxItems": size}
    return only(dtype={"const": dtype}, shape=shape_of, data=listed(of, maxItems=tensors.MOST))


def box(labels: dict[str, Any], units: str, least: float = 0.5) -> dict[str, Any]:
    about = f"Left, top, right and bottom, in {units}"
    corners = listed({"type": "number"}, minItems=4, maxItems=4, description=about)
    return only(boxes=listed(only(label=labels, confidence=sure(least), box=corners), maxItems=1000))


NUMBER, BYTE = {"type": "number"}, {"type": "integer", "minimum": 0, "maximum": 255, "format": "uint8"}
PICTURE = {"name": "photo", "type": "image"}
#: What model.yaml says of answers, and what is promised by that.
PROMISED: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"labels": ["a", "b"]}, only(prediction=one_of("a", "b"), confidence=sure())),
    (
        {"labels": ["a", "b"], "threshold_field": "x", "below_threshold": "unsure"},
        only(prediction=one_of("a", "b", "unsure"), confidence=sure()),
    ),
    (
        {"labels": ["a", "b"], "threshold_field": "x", "below_threshold": "a"},
        only(prediction=one_of("a", "b"), confidence=sure()),
    ),
    (
        {"tags": ["warm", "loud"]},
        only(tags=listed(only(label=one_of("warm", "loud"), confidence=sure(0.5)), maxItems=2)),
    ),
    ({"tags": ["warm"], "at_least": 0}, only(tags=listed(only(label=one_of("warm"), confidence=sure(0)), maxItems=1))),
    ({"numbers": [{"name": "price"}]}, only(prediction=NUMBER)),
    (
        {"numbers": [{"name": "low", "unit": "m"}, {"name": "high", "description": "Of both"}]},
        only(prediction=only(low={**NUMBER, "unit": "m"}, high={**NUMBER, "description": "Of both"})),
    ),
    ({"embedding": 6}, only(embedding=listed(NUMBER, minItems=6, maxItems=6))),
    (
        {
            "tensors": [
                {"name": "mask", "dtype": "uint8", "shape": [None, 3]}, {"name": "said", "dtype": "string", "shape": []}
            ]
        },
        only(
            tensors=only(
                mask=tensor("uint8", [{"type": "integer", "minimum": 0}, {"const": 3}], BYTE),
                said=tensor("string", [], {"type": "string"}),
            )
        ),
    ),
    ({"boxes": {"labels": ["cat", "dog"]}}, box(one_of("cat", "dog"), "pixels")),
    (
        {"boxes": {"labels": ["cat", "cat"], "units": "fractions", "at_least": 0.25}},
        box(one_of("cat"), "fractions", 0.25),
    ),
    (
        {"boxes": {"labels": ["cat"], "units": "fractions"}, "fields": [PICTURE]},
        box(one_of("cat"), "pixels of the picture that was handed in, upright"),
    ),
    ({"text": True}, only(text={"type": "string"})),
    (
        {"record": {"words": {"type": "integer"}, "found": {}}},
        only(record={**only(words={"type": "integer"}, found={}), "additionalProperties": False}),
    ),
]  # fmt: skip


def test_every_kind_of_answers_promises_something() -> None:
    assert {next(iter(says)) for says, _ in PROMISED} == answers.ANSWERS.keys()


@pytest.mark.parametrize(("says", "promised"), PROMISED)
def test_an_answer_is_promised_just_as_it_is_given(says: dict[str, Any], promised: dict[str, Any]) -> None:
    found = Manifest.from_dict(graphs.manifest(**{"labels": None, **says}))
    assert found.output_schema == {"$schema": schema.DIALECT, **promised}


def test_what_is_answered_to_a_file_is_a_record_with_its_files_beside_it() -> None:
    says = graphs.manifest(kind="python-file", labels=None, record={"lines": {"type": "integer"}})
    text = {"type": "string"}
    file = only(name=text, content_type=text, bytes={"type": "integer"}, url=text)
    assert Manifest.from_dict(says).output_schema == {
        "$schema": schema.DIALECT,
        "type": "object",
        "properties": {
            "files": listed(file), "expires_at": {**text, "format": "date-time"}, "lines": {"type": "integer"},
        },
        "required": ["lines"],
        "additionalProperties": False,
    }  # fmt: skip


def test_a_record_of_which_nothing_is_said_is_any_object() -> None:
    assert records.json_schema(Manifest.from_dict(graphs.manifest())) == {"type": "object"}
