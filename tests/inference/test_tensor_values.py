"""What the values of a tensor may be, and where in it they are not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jsonschema
import numpy as np
import pytest

from core import errors
from inference import schema, tensors
from inference.manifest import Manifest
from inference.tensors import Dtype
from tests.inference.test_tensors import Sizes, field

#: What a tensor may not be, with where in it and how that is told.
BAD: Sequence[tuple[str, Sizes, Any, str, str]] = [
    ("int8", [1, None], [[0, 0, 0, 128]], "x[0][3]", "must be a whole number from -128 to 127"),
    ("int8", [2], [0, 1.0], "x[1]", "must be a whole number from -128 to 127"),
    ("uint64", [], -1, "x", "must be a whole number from 0 to 18446744073709551615"),
    ("uint64", [], 2**64, "x", "must be a whole number from 0 to 18446744073709551615"),
    ("int64", [1], [True], "x[0]", "must be a whole number from -9223372036854775808 to 9223372036854775807"),
    ("float16", [1], [65505], "x[0]", "must be a number from -65504 to 65504, the range of a float16"),
    ("float64", [1], [10**400], "x[0]", "must be a number from -1.79769e+308 to 1.79769e+308, the range of a float64"),
    (
        "float32",
        [2],
        [0, float("nan")],
        "x[1]",
        "must be a number from -3.40282e+38 to 3.40282e+38, the range of a flo",
    ),
    ("float64", [2], [float("nan"), 10**400], "x[0]", "must be a number from"),
    ("float64", [2], [10**400, float("nan")], "x[0]", "must be a number from"),
    ("float32", [1], [None], "x[0]", "must be a number from"),
    ("float32", [], "1", "x", "must be a number from"),
    ("bool", [1], [1], "x[0]", "must be true or false"),
    ("string", [1], [1], "x[0]", "must be a text"),
    ("string", [1], ["\ud800"], "x[0]", "must be a text"),
    ("float32", [2], [1], "x", "must have 2 elements, but has 1"),
    ("float32", [2], [1, 2, 3], "x", "must have 2 elements, but has 3"),
    ("float32", [None, None], [[1, 2], [3]], "x[1]", "must have 2 elements, but has 1"),
    ("float32", [None, 2], [[1, 2], 3], "x[1]", "must be a list, 1 deep"),
    ("float32", [2], {"0": 1}, "x", "must be a list, 1 deep"),
    ("float32", [1], [[1]], "x[0]", "must be a number from"),
    ("float32", [], None, "x", "must not be null"),
    ("bool", [None, None], [[True] * 1025] * 1024, "x", "has 1049600 elements; it may have 1048576"),
]


@pytest.mark.parametrize(("dtype", "shape", "value", "place", "issue"), BAD, ids=range(len(BAD)))
def test_what_does_not_fit_is_told_with_its_place(dtype: str, shape: Sizes, value: Any, place: str, issue: str) -> None:
    raw = {"name": "n", "version": "1.0.0", "kind": "tensor", "summary": "", "licence": "", "golden": []}
    manifest = Manifest.from_dict({**raw, "fields": [field("x", dtype, shape)]})
    with pytest.raises(errors.InvalidInput) as caught:
        schema.validate_inputs(manifest, {"x": value}, name="inputs.3")
    [fault] = caught.value.errors
    assert fault["field"] == f"inputs.3.{place}"
    assert fault["issue"].startswith(issue)
    if value is not None and "elements; it" not in issue and not isinstance(value, list | str):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"x": value}, schema.json_schema(manifest))


@pytest.mark.parametrize("name", [name for name, kind in tensors.DTYPES.items() if kind.is_number])
def test_the_least_and_the_most_of_a_type_fit_and_are_not_what_is_told_beside_a_misfit(name: str) -> None:
    kind = tensors.DTYPES[name]
    tensors.check([kind.least, kind.most], name, [2])
    with pytest.raises(tensors.Misfit, match="must be") as caught:
        tensors.check([kind.least, kind.most, "x"], name, [3])
    assert caught.value.place == "[2]"


def test_every_type_is_as_onnx_numpy_and_json_have_it() -> None:
    whole = {
        "int8": (-128, 127), "int16": (-32768, 32767), "int32": (-(2**31), 2**31 - 1), "int64": (-(2**63), 2**63 - 1),
        "uint8": (0, 255), "uint16": (0, 65535), "uint32": (0, 2**32 - 1), "uint64": (0, 2**64 - 1),
    }  # fmt: skip
    floats = {
        "float16": ("float16", 65504.0, "65504"), "float32": ("float", 3.4028234663852886e38, "3.40282e+38"),
        "float64": ("double", 1.7976931348623157e308, "1.79769e+308"),
    }  # fmt: skip
    others = {"bool": (bool, "boolean", "true or false"), "string": (str, "string", "a text")}
    wanted = {
        **{
            name: Dtype(
                onnx, np.dtype(name), frozenset({int, float}), {"type": "number", "format": name},
                f"a number from -{shown} to {shown}, the range of a {name}", -most, most,
            )
            for name, (onnx, most, shown) in floats.items()
        },
        **{
            name: Dtype(
                name, np.dtype(name), frozenset({int}),
                {"type": "integer", "format": name, "minimum": least, "maximum": most},
                f"a whole number from {least} to {most}", least, most,
            )
            for name, (least, most) in whole.items()
        },
        **{
            name: Dtype(name, np.dtype("O" if type_ is str else bool), frozenset({type_}), {"type": json}, words)
            for name, (type_, json, words) in others.items()
        },
    }  # fmt: skip
    assert wanted == tensors.DTYPES
    assert {name for name, kind in wanted.items() if kind.is_float} == set(floats)
    assert {name for name, kind in wanted.items() if kind.is_number} == {*floats, *whole}


def test_a_tensor_is_checked_read_and_told_by_its_shape() -> None:
    tensors.check([[[]], [[]]], "int8", (2, 1, None))
    made = tensors.array([], "int8", (None, 3, 2))
    assert (made.shape, made.dtype) == ((0, 3, 2), np.dtype("int8"))
    assert tensors.array([[1], [2]], "float64", (None, 1)).tolist() == [[1.0], [2.0]]
    values: list[Any] = [1, [], [[1, 2, 3], [4, 5, 6]], [[[]]]]
    assert [tensors.sizes(value) for value in values] == [(), (0,), (2, 3), (1, 1, 0)]
    assert tensors.changed([[1, 2], [3]], lambda value, place: value * 10 + place) == [[10, 21], [30]]
    assert tensors.shown((None, 3)) == "[null, 3]"
    assert tensors.json_schema("bool", (2, None)) == {
        "type": "array", "items": {"type": "array", "items": {"type": "boolean"}}, "minItems": 2, "maxItems": 2
    }  # fmt: skip
    assert [tensors.is_text(text) for text in ("a", "é", "\ud7ff\ue000", "\ud800", "\udfff")] == [True] * 3 + [
        False
    ] * 2
