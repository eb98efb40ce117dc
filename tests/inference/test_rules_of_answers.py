"""What a model.yaml may not say of its answers, examples and kind: all rules, each with place and words."""

from __future__ import annotations

from typing import Any

from tests.inference.test_rules import T, numbers, one, parameters, told

AUDIO = {"threshold": "number", "min_speech_ms": "integer", "min_silence_ms": "integer", "speech_pad_ms": "integer"}
#: What model.yaml says, and what is told of it.
CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"threshold_field": "x"}, ["below_threshold is missing: threshold_field and below_threshold go together"]),
    ({"below_threshold": "c"}, ["threshold_field is missing: threshold_field and below_threshold go together"]),
    ({"below_threshold": "c", "threshold_field": "z"}, ["threshold_field must be one of the fields: x, y"]),
    ({"below_threshold": "c", "threshold_field": "x"}, []),
    ({"below_threshold": "c", "threshold_field": "x",
     "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": "c", "confidence": 1}]}, [
    ]),
    ({"below_threshold": "c", "threshold_field": "x", **one("integer")}, []),
    ({"below_threshold": "c", "threshold_field": "x", **one("string")}, [
        "threshold_field must name a number that is required or has a default",
    ]),
    ({"below_threshold": "c", "threshold_field": "x", **one(required=False)}, [
        "threshold_field must name a number that is required or has a default",
    ]),
    ({"below_threshold": "c", "threshold_field": "x", **one(required=False, default=0)}, []),
    (numbers(1000), []),
    (numbers(1001), ["numbers must have at most 1000 entries; an embedding may be longer"]),
    ({**numbers(1), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": "c"}]}, [
        "golden.0.prediction must be a number",
    ]),
    ({**numbers(1), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": True}]}, [
        "golden.0.prediction must be a number",
    ]),
    ({**numbers(1), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": float("inf")}]}, [
        "golden.0.prediction must be a number",
    ]),
    ({**numbers(1), "golden": [{"inputs": {"x": 2, "y": 1}}]}, ["golden.0.prediction must be a number"]),
    ({**numbers(1), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": 1}]}, []),
    ({**numbers(2), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": {"n0": 1}}]}, [
        "golden.0.prediction must be a mapping with a number for each of n0, n1",
    ]),
    ({**numbers(2), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": {"n0": 1, "n1": "a"}}]}, [
        "golden.0.prediction must be a mapping with a number for each of n0, n1",
    ]),
    ({**numbers(2), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": 1}]}, [
        "golden.0.prediction must be a mapping with a number for each of n0, n1",
    ]),
    ({**numbers(2), "golden": [{"inputs": {"x": 2, "y": 1}, "prediction": {"n0": 1, "n1": 0.5}}]}, []),
    ({"labels": None, "tags": ["a"], "golden": [{"inputs": {"x": 2, "y": 1}, "tags": {"a": 0.499, "b": 1}}]}, [
        "golden.0.tags.a must be a number from 0.5 to 1",
        "golden.0.tags.b is none of the tags: a",
    ]),
    ({"labels": None, "tags": ["a"], "at_least": 0.25,
     "golden": [{"inputs": {"x": 2, "y": 1}, "tags": {"a": 1.001}}]}, [
        "golden.0.tags.a must be a number from 0.25 to 1",
    ]),
    ({"labels": None, "tags": ["a", "b", "c"],
     "golden": [{"inputs": {"x": 2, "y": 1}, "tags": {"a": 0.5, "b": 1, "c": True}}]}, [
        "golden.0.tags.c must be a number from 0.5 to 1",
    ]),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image", "enum": ["AAAA"]}], "inline": False}, [
        "fields must hold one field, the picture, as {name: image, type: image}",
    ]),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image", "required": False}], "inline": False}, [
        "fields must hold one field, the picture, as {name: image, type: image}",
    ]),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image"}], "inline": False,
     "options": {"size": [1, 2], "channels": "L", "mean": [1], "deviation": [0.5], "scale": 1}}, [
    ]),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image"}], "inline": False,
     "options": {"size": [1, 2, 3], "channels": "BGR", "mean": [1], "deviation": [0, 1, -1], "scale": 0}}, [
        "options.size must be the height and the width, in pixels",
        "options.mean must have 3 entries, one for each channel of BGR",
        "options.scale must not be 0, by which all pictures are the same",
        "options.deviation.0 must be more than 0",
        "options.deviation.2 must be more than 0",
    ]),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image"}], "inline": False,
     "options": {"mean": [1, 2, 3], "deviation": [1, 2]}}, [
        "options.deviation must have 3 entries, one for each channel of RGB",
    ]),
    ({"kind": "image", "fields": [], "inline": False}, [
        "fields must hold one field, the picture, as {name: image, type: image}",
    ]),
    ({"labels": None, "boxes": {"labels": ["a", "b", "a"]}, "output": "o",
     "golden": [{"inputs": {"x": 2, "y": 1}, "boxes": []}]}, [
        "output is not for boxes: say boxes: NAME within boxes",
    ]),
    ({"labels": None, "boxes": {"labels": ["a", "b", "a"]}, "golden": [{"inputs": {"x": 2, "y": 1},
     "boxes": [{"label": "c", "confidence": 0.4, "box": [1, 2, 3, 4, 5]},
               {"label": "b", "confidence": 0.5, "box": [1, 2, 3, 4]}]}]}, [
        "golden.0.boxes.0.label must be one of a, b",
        "golden.0.boxes.0.confidence must be a number from 0.5 to 1",
        "golden.0.boxes.0.box must be four numbers: left, top, right and bottom",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "at_least": 0.25}, "golden": [{"inputs": {"x": 2, "y": 1},
     "boxes": [{"label": "a", "confidence": 0.2, "box": [1, 2, 3, 4]}]}]}, [
        "golden.0.boxes.0.confidence must be a number from 0.25 to 1",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "scores": "s"}}, [
        "boxes.classes is missing: scores and classes go together, or are columns of the boxes",
        "boxes.boxes is missing: the output that holds the boxes themselves",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "classes": "c"}}, [
        "boxes.scores is missing: scores and classes go together, or are columns of the boxes",
        "boxes.boxes is missing: the output that holds the boxes themselves",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "selected": "c", "boxes": "b"}}, [
        "boxes.scores is missing: scores and classes go together, or are columns of the boxes",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "boxes": "b", "scores": "s"}}, [
        "boxes.classes is missing: scores and classes go together, or are columns of the boxes",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "classes": "c"}}, []),
    ({"labels": None, "boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "classes": "c", "count": "n"}}, []),
    ({"labels": None, "boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "selected": "c"}}, []),
    ({"labels": None, "boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "selected": "c", "classes": "d"}}, [
        "boxes.classes goes without selected, which says which boxes there are, and of which class",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "boxes": "b", "scores": "s", "selected": "c", "count": "d"}}, [
        "boxes.count goes without selected, which says which boxes there are, and of which class",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "scores": "s", "classes": "c"}}, [
        "boxes.boxes is missing: the output that holds the boxes themselves",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "scores": "s", "selected": "c"}}, [
        "boxes.boxes is missing: the output that holds the boxes themselves",
    ]),
    ({"labels": None, "boxes": {"labels": ["a"], "count": "n"}}, [
        "boxes.boxes is missing: the output that holds the boxes themselves",
    ]),
    ({"labels": None, "record": {"a": {"type": "string"}, "b": 1, "c": {"type": ["null", "float"]},
      "d": {"type": [["x"]]}, "e": {}}}, [
        "record.b must be a mapping: its JSON Schema, such as {type: string}",
        "record.c.type must be one of string, number, integer, boolean, array, object, null, and not float",
        "record.d.type must be one of string, number, integer, boolean, array, object, null, and not ['x']",
    ]),
    ({"labels": None, "record": {"a": {}}, "golden": [{"inputs": {"x": 2, "y": 1}, "record": {"a": 1, "b": 2}}]}, [
        "golden.0.record.b is not in the record of model.yaml: a",
    ]),
    ({"labels": None,
     "tensors": [{"name": "n", "dtype": "int8", "shape": [None]}, {"name": "m", "dtype": "bool", "shape": [2, 2]}],
     "golden": [{"inputs": {"x": 2, "y": 1},
     "tensors": {"n": [1, 128], "m": [1], "z": []}}, {"inputs": {"x": 2, "y": 1},
     "tensors": {}}, {"inputs": {"x": 2, "y": 1}, "tensors": {"n": [-128, 127], "m": []}}]}, [
        "golden.0.tensors.n must be a whole number from -128 to 127 at [1]",
        "golden.0.tensors.m must be true or false at [0]",
        "golden.0.tensors.z is none of the tensors: n, m",
        "golden.1.tensors must not be empty: say the first values of n",
    ]),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image"}], "inline": False, "golden": [
        {"file": "a", "prediction": "c", "confidence": 1}, {"file": "a", "prediction": "d", "confidence": 1},
    ]}, ["golden.0.prediction must be one of: a, b", "golden.1.prediction must be one of: a, b"]),
    ({"kind": "document", "labels": None, "inline": False, "fields": [
        *parameters(dpi="integer", min_confidence="number")["fields"],
        {"name": "more", "type": "number", "required": False},
    ]}, ["fields must hold dpi (integer), min_confidence (number), each required or with a default"]),
    ({"kind": "audio", **parameters(**AUDIO), "golden": [
        {"file": "a", "inputs": {"threshold": 0.5}, "segments": [{"start": 1, "end": 1}, {"start": 1.5, "end": 1}]},
        {"file": "a", "inputs": {"threshold": "a"}, "segments": []},
    ]}, ["golden.0.segments.1.start must be at most its end, 1", "golden.1.inputs.threshold must be a number"]),
    ({"kind": "text", "fields": [{"name": "said", "type": "string"}]}, [
        "fields must have a string 'text', required or with a default: text reads that one, or another "
        "that options.field names",
    ]),
    ({"kind": "text", "fields": [{"name": "text", "type": "number"}]}, [
        "fields must have a string 'text', required or with a default: text reads that one, or another "
        "that options.field names",
    ]),
    ({"kind": "text", "fields": [{"name": "text", "type": "string", "required": False}]}, [
        "fields must have a string 'text', required or with a default: text reads that one, or another "
        "that options.field names",
    ]),
    ({"kind": "text", "fields": [{"name": "text", "type": "string", "required": False, "default": ""}]}, []),
    ({"kind": "tokens", "fields": [{"name": "said", "type": "string"}], "options": {"field": "said"}}, []),
    ({"kind": "tensor", "fields": [{**T, "required": False}]}, [
        "fields.0.required must be true, or the field needs a default",
    ]),
    ({"kind": "tensor", "fields": [{**T, "required": False, "default": [1, 2]}]}, []),
]  # fmt: skip


def test_every_rule_of_kinds_and_answers_is_told_with_its_place() -> None:
    for says, issues in CASES:
        assert told(**says) == issues, says
