"""What a model.yaml may not say though each key by itself may: all rules, each with its place and its words."""

from __future__ import annotations

from typing import Any

from inference import rules, tensors
from inference.manifest import Manifest
from tests import graphs

X, Y = graphs.FIELDS
SAMPLED = {"method": "sampled", "background": "usual.jsonl"}
SURE = {"prediction": "a", "confidence": 1}
T = {"name": "t", "type": "tensor", "dtype": "float32", "shape": [2]}


def one(type_: str = "number", **says: Any) -> dict[str, Any]:
    """A model with another first field than the usual one."""
    value = {"number": 2, "integer": 2, "string": "two", "boolean": True, "image": "AAAA"}[type_]
    inputs = {"x": says.get("default", says.get("enum", [value])[0] if says.get("enum") else value), "y": 1}
    return {"fields": [{"name": "x", "type": type_, **says}, Y], "golden": [{"inputs": inputs, **SURE}]}


def tensor(**says: Any) -> dict[str, Any]:
    field = {key: value for key, value in {**T, **says}.items() if value is not None}
    return {"kind": "tensor", "fields": [field], "golden": [{"inputs": {"t": [1, 2]}, **SURE}], "inline": False}


def parameters(**types: str) -> dict[str, Any]:
    """What a model that takes a file says of its parameters."""
    named = [{"name": name, "type": type_, "default": 1, "required": False} for name, type_ in types.items()]
    return {"labels": None, "inline": False, "fields": named}


def numbers(count: int) -> dict[str, Any]:
    return {"labels": None, "numbers": [{"name": f"n{place}"} for place in range(count)], "golden": []}


def explained(**says: Any) -> dict[str, Any]:
    return {"explanation": ["shap"], "explain": {**SAMPLED, **says}}


DTYPES = ", ".join(tensors.DTYPES)
#: What model.yaml says, and what is told of it.
CASES: list[tuple[dict[str, Any], list[str]]] = [
    ({"fields": [X, X]}, ["fields.1 is the same as number 1: x"]),
    ({"labels": ["a", "b", "c", "b", "a"]}, [
        "labels.3 is the same as number 2: b",
        "labels.4 is the same as number 1: a",
    ]),
    ({"labels": None, "tags": ["a", "a"]}, ["tags.1 is the same as number 1: a"]),
    ({"labels": None, "numbers": [{"name": "n"}, {"name": "n"}]}, ["numbers.1 is the same as number 1: n"]),
    ({"labels": None, "tensors": [{"name": "n", "dtype": "bool", "shape": []}] * 2}, [
        "tensors.1 is the same as number 1: n",
    ]),
    ({"explanation": ["simple", "simple"]}, ["explanation.1 is the same as number 1: simple"]),
    (one(enum=[2, 1, 2]), ["fields.0.enum.2 is the same as number 1: 2"]),
    (one(enum=[1, "a"]), ["fields.0.enum.1 must be a number"]),
    (one("string", minimum=0, maximum=0.5), [
        "fields.0.minimum is for a number or an integer, and the field is a string",
        "fields.0.maximum is for a number or an integer, and the field is a string",
    ]),
    (one(min_length=1, max_length=1), [
        "fields.0.min_length is for a string, and the field is a number",
        "fields.0.max_length is for a string, and the field is a number",
    ]),
    (one("boolean", minimum=0), ["fields.0.minimum is for a number or an integer, and the field is a boolean"]),
    (one("integer", dtype="int8", shape=[1]), [
        "fields.0.dtype is for a tensor, and the field is an integer",
        "fields.0.shape is for a tensor, and the field is an integer",
    ]),
    (one("integer", minimum=3, maximum=2), ["fields.0.minimum must be at most maximum, 2"]),
    (one("integer", minimum=2, maximum=2), []),
    (one("string", min_length=3, max_length=2), ["fields.0.min_length must be at most max_length, 2"]),
    (one("string", min_length=3, max_length=3), []),
    (one("image"), []),
    (one(default=2), ["fields.0.default is never used, as the field is required; say required: false"]),
    (one(default="two", required=False), ["fields.0.default must be a number"]),
    (one(default=3, required=False, maximum=2), ["fields.0.default must be at most 2"]),
    (one(default=3, required=False, enum=[1, 2]), ["fields.0.default must be one of: 1, 2"]),
    (one(default=2, required=False, enum=[1, 2]), []),
    (one(default=0, required=True), ["fields.0.default is never used, as the field is required; say required: false"]),
    (tensor(), []),
    (tensor(dtype=None), [f"fields.0.dtype is missing: one of {DTYPES}"]),
    (tensor(shape=None), ["fields.0.shape is missing: the sizes of a row's axes, null for any, such as [3, null]"]),
    (tensor(shape=[1] * 32), ["golden.0.inputs.t must have 1 elements, but has 2"]),
    (tensor(shape=[1] * 33), ["fields.0.shape must have at most 32 axes"]),
    (tensor(enum=[[1, 2]]), ["fields.0.enum is for fields that are no tensors"]),
    (tensor(dtype=None, default=[1, 2]), [f"fields.0.dtype is missing: one of {DTYPES}"]),
    (tensor(default=[1, 2, 3], required=False), ["fields.0.default must have 2 elements, but has 3"]),
    (tensor(minimum=0), ["fields.0.minimum is for a number or an integer, and the field is a tensor"]),
    ({"pool": "gpu"}, ["inline must be false: the API answers rows without files in them, and on its own CPU"]),
    ({"pool": "gpu", "inline": False}, []),
    ({"kind": "image", "fields": [{"name": "photo", "type": "image"}]}, [
        "inline must be false: the API answers rows without files in them, and on its own CPU",
    ]),
    ({"kind": "audio", "fields": [], "inline": True, "cache": True, "labels": None}, [
        "inline must be false: the API answers rows without files in them, and on its own CPU",
        "cache must be false: answers to rows are kept, and it takes a file",
        "fields must hold threshold (number), min_speech_ms (integer), min_silence_ms (integer), "
        "speech_pad_ms (integer), each required or with a default",
    ]),
    ({"kind": "document", "cache": False, **parameters(dpi="integer", min_confidence="number")}, []),
    ({"cache": True}, []),
    ({"fields": [{**X, "input": "a"}, Y]}, []),
    ({"kind": "text", "fields": [{"name": "text", "type": "string", "input": "t"}, {**X, "input": "a"}]}, [
        "fields.0.input is for tabular; text knows where its fields go",
        "fields.1.input is for tabular; text knows where its fields go",
    ]),
    ({"kind": "tensor", "fields": [{**T, "input": "a"}]}, []),
    ({"labels": None, "embedding": 2**22, "max_batch": 1}, []),
    ({"labels": None, "embedding": 2**22, "max_batch": 2}, [
        "max_batch must be at most 1 for vectors of 4194304 numbers",
    ]),
    ({"labels": None, "embedding": 100, "max_batch": 41943}, []),
    ({"labels": None, "embedding": 100, "max_batch": 41944}, [
        "max_batch must be at most 41943 for vectors of 100 numbers",
    ]),
    ({"explanation": ["simple"], "labels": None, "numbers": [{"name": "n"}]}, [
        "explanation is for models that give labels or tags",
    ]),
    ({"explanation": ["simple"], "labels": None, "tags": ["a"]}, []),
    ({"explanation": ["simple"]}, []),
    ({"explanation": ["shap"]}, ["explain is missing: it says how shap is made"]),
    ({"explain": SAMPLED}, ["explain is for models whose explanation has shap"]),
    ({"explanation": ["simple"], "explain": SAMPLED}, ["explain is for models whose explanation has shap"]),
    (explained(), []),
    (explained(method="exact"), []),
    (explained(method="exact", evaluations=512), []),
    (explained(method="exact", evaluations=511), ["explain.evaluations is for sampled: exact asks the model nothing"]),
    (explained(background=None), [
        "explain.background is missing: the file with the usual inputs, a line of JSON for each",
    ]),
    (explained(groups={"both": ["x", "y"]}), []),
    (explained(groups={"x": ["x", "y"]}), []),
    (explained(groups={"x": ["y", "z"]}), [
        "explain.groups.x is the name of a field that is not in it",
        "explain.groups.x names 'z', which is no field",
    ]),
    (explained(groups={"one": ["x", "y"], "two": ["y", "z"]}), [
        "explain.groups.two names y, which is in a group already",
        "explain.groups.two names 'z', which is no field",
    ]),
    (explained(groups={"one": ["x", "x"]}), ["explain.groups.one names x, which is in a group already"]),
    ({**explained(), **numbers(1)}, []),
    ({**explained(), **numbers(2)}, ["explain is for models that give labels, or one number"]),
    ({**explained(), "labels": None, "tags": ["a"]}, ["explain is for models that give labels, or one number"]),
    ({**explained(), "kind": "tensor", "inline": False, "fields": [T]}, [
        "explain is for fields of tabular and words of texts; nothing else has features with names",
    ]),
    ({**explained(), "kind": "text", "fields": [{"name": "text", "type": "string"}]}, [
        "explain.background is for tabular: a word that is not known is left out",
    ]),
    ({**explained(background=None), "kind": "text", "fields": [{"name": "text", "type": "string"}]}, []),
    ({**explained(background=None, groups={"a": ["text"]}), "kind": "text",
     "fields": [{"name": "text", "type": "string"}]}, [
        "explain.groups is for tabular: a word that is not known is left out",
    ]),
    ({**explained(background=None, method="exact"), "kind": "text", "fields": [{"name": "text", "type": "string"}]}, [
        "explain.method must be sampled for texts",
    ]),
    ({"golden": [{"inputs": {"x": 2}, **SURE}]}, ["golden.0.inputs.y is required"]),
    ({"golden": [{"inputs": {"x": 2, "y": 1}, **SURE}, {"inputs": {"x": "2", "y": 1, "z": 0}, **SURE}]}, [
        "golden.1.inputs.x must be a number",
        "golden.1.inputs.z is not a field of this model",
    ]),
    ({"golden": [{"inputs": {"x": 2}, "file": "a", **SURE}]}, []),
    ({"golden": [{"inputs": {"x": 2, "y": 1}, "prediction": "c", "confidence": 1}]}, [
        "golden.0.prediction must be one of: a, b",
    ]),
    ({"fields": [X, X], "golden": [{"inputs": {}, **SURE}]}, ["fields.1 is the same as number 1: x"]),
    (one(default=True, required=False), ["fields.0.default must be a number"]),
    (one("string", default="", required=False, min_length=1), ["fields.0.default must not be blank"]),
    (one("integer", default=2.5, required=False, enum=["a"]), [
        "fields.0.enum.0 must be an integer",
        "fields.0.default must be an integer",
    ]),
]  # fmt: skip


def told(**says: Any) -> list[str]:
    """What is said of it, each with its place in front; of what has no example, none is asked for."""
    whole = graphs.manifest(**{"golden": [], **says})
    return [f"{'.'.join(map(str, path))} {issue}" for path, issue in rules.broken(Manifest.from_dict(whole))]


def test_every_rule_is_told_with_its_place() -> None:
    for says, issues in CASES:
        assert told(**says) == issues, says
