"""The protocol's tensors by themselves: a model gives what it says that it gives, and bytes are read strictly."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from core import errors
from inference.manifest import Manifest
from inference.output import Boxes, Embedding, Label, Numbers, Object, Said, Tags, Tensors, Text
from serving.oip import infer, outputs, rows, signature, tensors
from serving.oip.signature import Port
from tests import graphs

BOX = {"label": "a", "confidence": 0.5, "box": [0, 0, 1, 1]}
#: What model.yaml says, two answers of such a model, and what it says that it gives.
ANSWERS: dict[str, tuple[dict[str, Any], Sequence[Said], list[Port]]] = {
    "labels": (
        {},
        [Label("a", 0.75, {"a": 0.75, "b": 0.25}), Label("b", 1.0, {"a": 0.0, "b": 1.0})],
        [Port("prediction", "BYTES"), Port("confidence", "FP64"), Port("scores", "FP64", (2,))],
    ),
    "numbers": (
        {"labels": [], "numbers": [{"name": "low"}, {"name": "high"}]},
        [Numbers({"low": 1.0, "high": 2.0}), Numbers({"low": 3.0, "high": 4.0})],
        [Port("low", "FP64"), Port("high", "FP64")],
    ),
    "embedding": (
        {"labels": [], "embedding": 3},
        [Embedding([1.0, 2.0, 3.0]), Embedding([4.0, 5.0, 6.0])],
        [Port("embedding", "FP32", (3,))],
    ),
    "tensors": (
        {"labels": [], "tensors": [{"name": "y", "dtype": "int16", "shape": [2]}]},
        [Tensors({"y": {"dtype": "int16", "shape": [2], "data": [1, 2]}})] * 2,
        [Port("y", "INT16", (2,))],
    ),
    "text": ({"labels": [], "text": True}, [Text("one"), Text("")], [Port("text", "BYTES")]),
    "tags": ({"labels": [], "tags": ["a", "b"]}, [Tags(["a"], {"a": 1.0}), Tags([], {})], [Port("tags", "BYTES")]),
    "boxes": ({"boxes": {"labels": ["a"]}, "labels": []}, [Boxes([BOX]), Boxes([])], [Port("boxes", "BYTES")]),
    "record": (
        {"labels": [], "record": {"x": {"type": "integer"}}},
        [Object({"x": 1}), Object({"x": 2})],
        [Port("record", "BYTES")],
    ),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_a_model_gives_what_it_says_that_it_gives(kind: str) -> None:
    says, said, ports = ANSWERS[kind]
    manifest = Manifest.from_dict(graphs.manifest(**says))
    assert list(signature.gives(manifest)) == ports
    made = outputs.of(said)
    assert [(name, tensor.datatype, tensor.shape) for name, tensor in made.items()] == [
        (port.name, port.datatype, [2, *port.row]) for port in ports
    ]


FIELDS = [
    ({"type": "string"}, Port("f", "BYTES")),
    ({"type": "image"}, Port("f", "BYTES")),
    ({"type": "number"}, Port("f", "FP64")),
    ({"type": "integer"}, Port("f", "INT64")),
    ({"type": "boolean"}, Port("f", "BOOL")),
    ({"type": "tensor", "dtype": "uint8", "shape": [None, 3]}, Port("f", "UINT8", (None, 3))),
    ({"type": "tensor", "dtype": "float16", "shape": []}, Port("f", "FP16")),
]


@pytest.mark.parametrize(("field", "port"), FIELDS)
def test_a_model_takes_a_tensor_for_each_field(field: dict[str, Any], port: Port) -> None:
    manifest = Manifest.from_dict(graphs.manifest(fields=[{"name": "f", **field}]))
    assert list(signature.takes(manifest)) == [port]


def test_any_size_is_told_as_minus_one_and_rows_come_first() -> None:
    assert Port("f", "UINT8", (None, 3)).shape == [-1, -1, 3]
    assert Port("f", "BYTES").shape == [-1]


@pytest.mark.parametrize(
    ("datatype", "values", "data"),
    [
        ("BOOL", [True, False], b"\1\0"), ("UINT8", [1, 255], b"\1\xff"), ("INT8", [1, -1], b"\1\xff"),
        ("UINT16", [1, 2**16 - 1], b"\1\0\xff\xff"), ("INT16", [1, -2], b"\1\0\xfe\xff"),
        ("UINT32", [1, 2], b"\1\0\0\0\2\0\0\0"), ("INT32", [1, -1], b"\1\0\0\0\xff\xff\xff\xff"),
        ("UINT64", [1], b"\1\0\0\0\0\0\0\0"), ("INT64", [-1], b"\xff" * 8), ("FP16", [1.0, -2.0], b"\0<\0\xc0"),
        ("FP32", [1.0], b"\0\0\x80?"), ("FP64", [1.0], b"\0\0\0\0\0\0\xf0?"),
    ],
)  # fmt: skip
def test_elements_are_bytes_the_lowest_first_both_ways(datatype: str, values: list[Any], data: bytes) -> None:
    read = tensors.of_bytes("x", datatype, [1, len(values)], data)
    assert (read.datatype, read.shape, read.array.tolist()) == (datatype, [1, len(values)], [values])
    assert tensors.to_bytes(read) == data
    assert tensors.of_bytes("x", datatype, [0, 2], b"").array.tolist() == []


def test_texts_are_bytes_with_their_length_before_them_both_ways() -> None:
    data = b"\2\0\0\0\xc3\xa4\0\0\0\0"
    read = tensors.of_bytes("x", "BYTES", [2], data)
    assert (read.datatype, read.array.tolist()) == ("BYTES", ["ä".encode(), b""])
    texts = np.empty(2, object)
    texts[:] = ["ä", ""]
    assert tensors.to_bytes(tensors.Tensor("x", "BYTES", texts)) == data
    assert tensors.of_bytes("x", "BYTES", [0], b"").array.tolist() == []


@pytest.mark.parametrize(
    ("datatype", "shape", "data", "issue"),
    [
        ("BOOL", [2], b"\1\2", "must have a byte of 0 or 1 for each BOOL"),
        ("INT32", [1], b"\1\0\0", "has 3 bytes, which are no whole number of INT32"),
        ("UINT8", [3], b"\1\2", "has 2 elements, which are not those of its shape [3]"),
        ("UINT8", [0, 2**31], b"", ""),
        ("UINT8", [0, 2**31 + 1], b"", "has a shape that nothing can have: [0, 2147483649]"),
        ("BF16", [1], b"\0\0", "must have one of the datatypes BOOL, UINT8, UINT16"),
        ("BYTES", [1], b"\1\0\0", "must have for each BYTES its length in 4 bytes"),
        ("BYTES", [1], b"\2\0\0\0a", "must have for each BYTES its length in 4 bytes"),
        ("BYTES", [2], b"\1\0\0\0a", "has 1 elements, which are not those of its shape [2]"),
    ],
)
def test_bytes_that_are_no_tensor_are_refused_by_its_name(
    datatype: str, shape: list[int], data: bytes, issue: str
) -> None:
    if not issue:
        assert tensors.of_bytes("x", datatype, shape, data).shape == shape
        return
    with pytest.raises(errors.InvalidInput) as caught:
        tensors.of_bytes("x", datatype, shape, data)
    assert caught.value.details["field"] == "inputs.x"
    assert caught.value.details["issue"].startswith(issue)


def test_rows_of_different_shapes_are_no_tensor() -> None:
    rows = [Tensors({"y": {"dtype": "float32", "shape": [size], "data": [0.5] * size}}) for size in (1, 2)]
    with pytest.raises(errors.InvalidInput) as caught:
        outputs.of(rows)
    assert caught.value.details["field"] == "outputs.y"


WHOLE = {"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64"}
#: Which datatypes a field takes that is no tensor.
TAKEN = {
    "string": {"BYTES"}, "image": {"BYTES"}, "number": WHOLE | {"FP16", "FP32", "FP64"}, "integer": WHOLE,
    "boolean": {"BOOL"},
}  # fmt: skip


def taken(field: str, *given: tensors.Tensor) -> list[dict[str, Any]]:
    """The rows of a model with a field of this type, `f`, and one of numbers, `g`."""
    fields = [{"name": "f", "type": field}, {"name": "g", "type": "number", "required": False, "default": 1}]
    return rows.of(Manifest.from_dict(graphs.manifest(fields=fields)), given, most=4)


def tensor(datatype: str, *shape: int, name: str = "f") -> tensors.Tensor:
    return tensors.Tensor(name, datatype, np.ones(shape, np.int8))


@pytest.mark.parametrize("field", TAKEN)
def test_a_field_takes_every_datatype_in_which_nothing_of_it_is_lost(field: str) -> None:
    found = set()
    for datatype in tensors.NAMES:
        given = tensors.of_texts("f", [2], [b"a", b"b"]) if datatype == "BYTES" else tensor(datatype, 2)
        with contextlib.suppress(errors.InvalidInput):
            assert len(taken(field, given)) == 2
            found.add(datatype)
    assert found == TAKEN[field]


@pytest.mark.parametrize(
    ("given", "field", "issue"),
    [
        ([tensor("FP32", 2), tensor("FP32", 2)], "inputs.f", "is given more than once"),
        ([tensor("FP32", 2), tensor("FP32", 1, name="g")], "inputs", "must be tensors with the same number of rows"),
        ([], "inputs", "must be tensors with the same number of rows, but have none"),
        ([tensor("FP32", 2, 2)], "inputs.f", "must have the shape [-1] or [-1, 1], rows first, but has [2, 2]"),
        ([tensor("FP32", 2, 1, 1)], "inputs.f", "must have the shape [-1] or [-1, 1], rows first, but has [2, 1, 1]"),
        ([tensor("FP32")], "inputs.f", "must have the shape [-1] or [-1, 1], rows first, but has []"),
        ([tensor("FP32", 2, name="h")], "inputs.h", "is none of the inputs: f, g"),
    ],
)  # fmt: skip
def test_what_are_no_rows_is_refused(given: list[tensors.Tensor], field: str, issue: str) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        taken("number", *given)
    assert caught.value.details["field"] == field
    assert caught.value.details["issue"].startswith(issue)


def test_rows_are_the_first_axis_and_bytes_are_texts_or_pictures() -> None:
    both = [tensor("FP32", 2, 1), tensor("INT8", 2, name="g")]
    assert taken("number", *both) == [{"f": 1, "g": 1}, {"f": 1, "g": 1}]
    data = [b"\x01\xff", b""]
    assert taken("image", tensors.of_texts("f", [2], data)) == [{"f": "Af8="}, {"f": ""}]
    assert taken("string", tensors.of_texts("f", [2, 1], ["\u00e4".encode(), b""])) == [{"f": "\u00e4"}, {"f": ""}]
    with pytest.raises(errors.InvalidInput) as caught:
        taken("string", tensors.of_texts("f", [1], [b"\xff"]))
    assert caught.value.details == {"field": "inputs.f", "issue": "must be UTF-8"}
    with pytest.raises(errors.BatchTooLarge):
        taken("number", tensor("FP32", 5))


def test_what_would_change_an_answer_is_refused_and_what_changes_nothing_is_read() -> None:
    for name in ("sequence_id", "classification", "shared_memory_region"):
        infer.refuse("inputs.x", {name: 0})
        with pytest.raises(errors.InvalidInput) as caught:
            infer.read(tensor("FP32", 1), {name: 1})
        assert caught.value.details["field"] == f"inputs.f.parameters.{name}"
    for kind in ("np", "str", "pd"):
        mine = tensor("FP32", 1)
        assert infer.read(mine, {"content_type": kind, "of": "another"}) is mine
    texts = tensors.of_texts("f", [1], [b"TG92ZWx5"])
    assert infer.read(texts, {"content_type": "base64"}).array.tolist() == [b"Lovely"]
    for other in (tensor("FP32", 1), texts):
        with pytest.raises(errors.InvalidInput):
            infer.read(other, {"content_type": "base64" if other is not texts else "hg_jpeg"})
