"""Models that take and give tensors of any type and shape, under whatever names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from core import errors
from inference import answers, bundle, divisions, model, schema, tensors
from inference.answers import single
from inference.given import Array
from inference.interrupt import Interrupt
from inference.manifest import Manifest
from inference.model import GraphModel, Model, Rows
from inference.output import Embedding, Label, Numbers, Said, Tensors
from tests import graphs
from tests.graphs import graph
from tests.inference.test_answers import answer, opened

Sizes = Sequence[int | None]
SAME = "y = Identity (x)"


def field(name: str, dtype: str, shape: Sizes, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "tensor", "dtype": dtype, "shape": [*shape], **more}


def gives(name: str, dtype: str, shape: Sizes, **more: Any) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": [*shape], **more}


def says(dtype: str, shape: Sizes, value: Any, data: Sequence[Any], **more: Any) -> dict[str, Any]:
    """Of a model that gives y, which is x."""
    golden = [{"inputs": {"x": value}, "tensors": {"y": [*data]}}]
    kept = {"fields": [field("x", dtype, shape)], "tensors": [gives("y", dtype, shape)], "golden": golden}
    return {"kind": "tensor", "labels": None, **kept, **more}


def data(said: Said, name: str = "y") -> Any:
    """As an array, of what a client is told."""
    assert isinstance(said, Tensors)
    told = said.tensors[name]
    return np.array(told["data"], {"string": object}.get(told["dtype"], told["dtype"])).reshape(told["shape"])


#: By type: ONNX's name, and values that must come back as they are.
VALUES: Mapping[str, tuple[str, list[Any]]] = {
    "float16": ("float16", [0.5, -65504.0, 0]), "float32": ("float", [0.1, -3.4e38, 7]),
    "float64": ("double", [0.1, 1.7e308, -1e-300]),
    "int8": ("int8", [-128, 127]), "int16": ("int16", [-(2**15), 2**15 - 1]), "int32": ("int32", [-(2**31), 2**31 - 1]),
    "int64": ("int64", [-(2**63), 2**63 - 1]), "uint8": ("uint8", [0, 255]), "uint16": ("uint16", [0, 2**16 - 1]),
    "uint32": ("uint32", [0, 2**32 - 1]), "uint64": ("uint64", [0, 2**64 - 1]),
    "bool": ("bool", [True, False]), "string": ("string", ["Grüezi", ""]),
}  # fmt: skip


@pytest.mark.parametrize("dtype", tensors.DTYPES)
def test_every_type_that_onnx_and_json_have_comes_back_as_it_went_in(tmp_path: Path, dtype: str) -> None:
    onnx, values = VALUES[dtype]
    first = values[:1]
    found = opened(tmp_path, graph(SAME, f"{onnx}[N, K] x", f"{onnx}[N, K] y"), **says(dtype, [None], first, first))
    said = answer(found, x=values)
    assert isinstance(said, Tensors)
    assert (said.tensors["y"]["dtype"], said.tensors["y"]["shape"]) == (dtype, [len(values)])
    assert said.tensors["y"]["data"] == values


MATRIX = says("float32", [2, None], [[1, 2, 3], [4, 5, 6]], [1, 2, 3])


@pytest.fixture
def matrix(tmp_path: Path) -> Model:
    return opened(tmp_path, graph(SAME, "float[N, 2, W] x", "float[N, 2, W] y"), **MATRIX)


def test_rows_of_all_shapes_are_answered_in_their_order_and_equal_ones_share_a_run(
    matrix: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, counts = matrix._run, list[int]()

    def counted(rows: Rows, interrupt: Interrupt | None) -> list[Array]:
        counts.append(len(rows))
        return run(rows, interrupt)

    monkeypatch.setattr(matrix, "_run", counted)
    rows = [np.arange(2.0 * width).reshape(2, width) + place for place, width in enumerate([1, 3, 1, 0, 3, 3, 2])]
    said = matrix.predict([{"x": row.tolist()} for row in rows])
    assert sorted(counts) == [1, 1, 2, 3]
    for row, found in zip(rows, said, strict=True):
        assert np.array_equal(data(found), row)


def test_an_axis_of_no_elements_keeps_the_sizes_behind_it(tmp_path: Path) -> None:
    made = graph(SAME, "float[N, K, 3] x", "float[N, K, 3] y")
    found = opened(tmp_path, made, **says("float32", [None, 3], [[1, 2, 3]], [1, 2, 3]))
    assert data(answer(found, x=[])).shape == (0, 3)


def test_what_goes_in_and_comes_out_has_its_json_schema(matrix: Model) -> None:
    manifest = matrix.bundle.manifest
    takes, tells = schema.json_schema(manifest), manifest.output_schema
    jsonschema.validate({"x": [[1, 2], [3, 4]]}, takes)
    for wrong in ([[1, 2]], [1, 2], [["a"], ["b"]]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"x": wrong}, takes)
    told = {"dtype": "float32", "shape": [2, 1], "data": [1, 2]}
    jsonschema.validate({"tensors": {"y": told}}, tells)
    for key, value in (("dtype", "float64"), ("shape", [3, 1]), ("shape", [2]), ("data", ["a"])):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"tensors": {"y": {**told, key: value}}}, tells)


@pytest.mark.parametrize("description", ["", "What was seen"])
def test_the_json_schema_of_an_answer_describes_a_tensor_as_the_manifest_does(tmp_path: Path, description: str) -> None:
    own = says("float32", [2], [1, 2], [1, 2], tensors=[gives("y", "float32", [2], description=description)])
    made = opened(tmp_path, graph(SAME, "float[N, 2] x", "float[N, 2] y"), **own)
    told = made.bundle.manifest.output_schema["properties"]["tensors"]["properties"]["y"]
    assert told.get("description", "") == description
    assert ("description" in told) == bool(description)


def test_a_graph_without_an_axis_for_rows_gets_just_what_a_row_says(tmp_path: Path) -> None:
    made = graph("y = Transpose (x)", "float[H, W] x", "float[W, H] y")
    own = says("float32", [None, None], [[1, 2]], [1, 2], max_batch=1)
    found = opened(tmp_path, made, **own)
    rows = [np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[7.0]])]
    for row, said in zip(rows, found.predict([{"x": row.tolist()} for row in rows]), strict=True):
        assert np.array_equal(data(said), row.T)


def test_names_of_the_graph_are_its_own_and_the_types_of_tensors_may_differ(tmp_path: Path) -> None:
    made = graph("whole = Cast <to = 7> (x) n = Not (m)", "float[N, 2] x, bool[N] m", "int64[N, 2] whole, bool[N] n")
    found = opened(
        tmp_path, made, kind="tensor", labels=None,
        fields=[field("values", "float32", [2], input="x"), field("flag", "bool", [], input="m")],
        tensors=[gives("rounded", "int64", [2], output="whole"), gives("other", "bool", [], output="n")],
        golden=[{"inputs": {"values": [1.5, -2.5], "flag": True}, "tensors": {"other": [False]}}],
    )  # fmt: skip
    said = answer(found, values=[7.9, 0], flag=False)
    assert (data(said, "rounded").tolist(), data(said, "other").tolist()) == ([7, 0], True)


def test_tensors_may_be_answered_by_labels_numbers_and_vectors(tmp_path: Path) -> None:
    took = {"kind": "tensor", "fields": [field("features", "float32", [2])]}
    made, row = graph(graphs.GOOD), {"features": [2, 1]}
    golden = [{"inputs": row, "prediction": "a", "confidence": graphs.CONFIDENCE}]
    assert isinstance(answer(opened(tmp_path / "labels", made, **took, golden=golden), **row), Label)
    numbers = {"numbers": [{"name": "a"}, {"name": "b"}], "labels": None}
    golden = [{"inputs": row, "prediction": {"a": graphs.CONFIDENCE, "b": 1 - graphs.CONFIDENCE}}]
    assert isinstance(answer(opened(tmp_path / "numbers", made, **took, **numbers, golden=golden), **row), Numbers)
    golden = [{"inputs": row, "embedding": [graphs.CONFIDENCE]}]
    vector = opened(tmp_path / "vector", made, **took, labels=None, embedding=2, golden=golden)
    assert isinstance(answer(vector, **row), Embedding)


def test_columns_may_be_answered_by_tensors(tmp_path: Path) -> None:
    golden = [{"inputs": {"x": 2, "y": 1}, "tensors": {"both": [2, 1]}}]
    made = graph("both = Identity (features)", gives="float[N, 2] both")
    found = opened(tmp_path, made, labels=None, tensors=[gives("both", "float32", [2])], golden=golden)
    assert data(answer(found, x=0.5, y=-1), "both").tolist() == [0.5, -1]


def deeper(value: Any) -> list[dict[str, Any]]:
    return [{"inputs": {"x": value}, "tensors": {"y": [1]}}]


#: What model.yaml says of a graph that gives x again, [rows, 2, *], and how that is refused.
WRONG: Sequence[tuple[Mapping[str, Any], str]] = [
    ({"fields": [field("x", "float64", [2, None])]}, "but field x is float64: say dtype: float32"),
    (
        {"fields": [field("x", "float32", [None, None])]},
        "but field x has shape [null, null]: say [2, null] or [null, 2",
    ),
    (
        {"fields": [field("x", "float32", [2, 3, 1])], "golden": deeper([[[1], [2], [3]], [[4], [5], [6]]])},
        "but field x has shape [2, 3, 1]: say [2, null] or [null, 2, null]",
    ),
    (
        {"fields": [field("x", "float32", [None, 2, None])], "golden": deeper([[[1], [2]]])},
        "with no axis for the rows beside those of field x, [null, 2",
    ),
    ({"tensors": [gives("y", "int8", [2, None])]}, "but tensor y is int8: say dtype: float32"),
    (
        {"tensors": [gives("y", "float32", [3, None])]},
        "but tensor y has shape [3, null]: say [2, null] or [null, 2, null]",
    ),
    ({"tensors": [gives("y", "float32", [2, 4])]}, "gave 'y' as float32 [1, 2, 3], but must give float32 [1, 2, 4]"),
    (
        {"tensors": [gives("y", "float32", [2, 3], output="z")]},
        "gives 'y' (float [*, 2, *]), and no 'z': say with tensor",
    ),
    ({"golden": [{**MATRIX["golden"][0], "tensors": {"y": [1, 2.1]}}]}, "must give 2.1 as value 2 of y, but gives 2.0"),
    ({"golden": [{**MATRIX["golden"][0], "tensors": {"y": [1] * 7}}]}, "must give 7 values of y at least, but gives 6"),
    (
        {"golden": [{**MATRIX["golden"][0], "tensors": {"z": [1]}}]},
        "z of tensors of golden example 1 is none of the tens",
    ),
    (
        {"golden": [{**MATRIX["golden"][0], "tensors": {"y": [1, "a"]}}]},
        "must be a number from -3.40282e+38 to 3.40282e",
    ),
    ({"golden": [{**MATRIX["golden"][0], "tensors": {}}]}, "must not be empty: say the first values of y"),
    ({"fields": [{"name": "x", "type": "number"}]}, "type of field 1 (x) must be one of tensor, but is"),
    ({"fields": [field("x", "float32", [2, None], required=False)]}, "must be true, or the field needs a default"),
    (
        {"fields": [field("x", "float32", [2, None], minimum=0)]},
        "is for a number or an integer, and the field is a tens",
    ),
    (
        {"fields": [{"name": "x", "type": "tensor"}]},
        "dtype of field 1 (x) is missing: one of float16, float32, float64",
    ),
    ({"fields": [field("x", "float32", [1] * 33)]}, "shape of field 1 (x) must have at most 32 axes"),
    ({"kind": "tabular"}, "type of field 1 (x) must be one of string, number, integer, boolean, but is"),
    (
        {
            "fields": [
                field("x", "float32", [2, None]),
                field("z", "float32", [1], input="x", required=False, default=[1]),
            ]
        },
        "both go into 'x', which tak",
    ),
    ({"fields": [field("x", "float32", [2, None], input="z")]}, "takes 'x'"),
]


@pytest.mark.parametrize(("other", "told"), WRONG, ids=range(len(WRONG)))
def test_tensors_that_the_graph_does_not_have_are_refused(tmp_path: Path, other: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, graph(SAME, "float[N, 2, W] x", "float[N, 2, W] y"), **{**MATRIX, **other})
    assert told in caught.value.message


def test_a_default_that_does_not_fit_is_a_sentence_that_names_the_element(tmp_path: Path) -> None:
    made = {"name": "x", "type": "tensor", "dtype": "int8", "shape": [2], "required": False, "default": [1, 400]}
    with pytest.raises(errors.BundleInvalid, match=r"must be a whole number from -128 to 127 at \[1\]"):
        opened(
            tmp_path,
            graph(SAME, "int8[N, 2] x", "int8[N, 2] y"),
            **{**says("int8", [2], [1, 2], [1]), "fields": [made]},
        )


@pytest.mark.parametrize("value", [[[]] * (tensors.MOST + 1), [[1]] * (tensors.MOST + 1)], ids=["empty", "short"])
def test_lists_count_as_the_elements_do(value: list[Any]) -> None:
    with pytest.raises(tensors.Misfit, match="has 1048577 elements; it may have 1048576"):
        tensors.check(value, "float32", (None, None))
    tensors.check(value[1:], "float32", (None, None))


@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_tensor_with_a_number_that_is_not_finite_is_no_answer(tmp_path: Path, value: str) -> None:
    body = "zero2 = Sub (x, x) y = Div (zero2, zero2)" if value == "nan" else "zero2 = Sub (x, x) y = Div (x, zero2)"
    with pytest.raises(errors.BundleInvalid, match="gave 'y' with a number that is not finite"):
        opened(tmp_path, graph(body, "float[N, K] x", "float[N, K] y"), **says("float32", [None], [1], [1]))


def test_an_answer_of_too_many_elements_is_none(tmp_path: Path) -> None:
    body = "shape = Constant <value = int64[2] {1, 1048577}> () y = Expand (x, shape)"
    with pytest.raises(errors.BundleInvalid, match="gave 1048577 elements; there may be 1048576"):
        opened(tmp_path, graph(body, "float[N, K] x", "float[N, M] y"), **says("float32", [None], [1], [1]))


@pytest.mark.parametrize("dtype", ["float32", "int64", "bool"])
def test_tensors_that_mix_rows_are_refused(tmp_path: Path, dtype: str) -> None:
    onnx = VALUES[dtype][0]
    whole = "n = Cast <to = 1> (x) most = ReduceMax <axes = [0]> (n) far = Add (n, most) y = Cast <to = {}> (far)"
    made = graph(whole.format({"float32": 1, "int64": 7, "bool": 9}[dtype]), f"{onnx}[N, K] x", f"{onnx}[N, K] y")
    value = [VALUES[dtype][1][0]] if dtype == "bool" else [0]
    doubled = [2 * each for each in value] if dtype != "bool" else value
    with pytest.raises(errors.BundleInvalid, match="beside another row than alone"):
        opened(tmp_path, made, **says(dtype, [None], value, doubled))


def test_an_inline_model_that_divides_by_its_input_is_refused_for_tensors_too(tmp_path: Path) -> None:
    made = graph("y = Div (x, x)", "int64[N, K] x", "int64[N, K] y")
    with pytest.raises(errors.BundleInvalid, match="neither of them a constant: the smallest one by -1 would end"):
        opened(tmp_path, made, **says("int64", [None], [1], [1]))


def test_an_inline_model_is_tried_with_the_extremes_of_its_tensors(tmp_path: Path) -> None:
    made = bundle.load(
        graphs.bundle(tmp_path / "b", graph(SAME, "int8[N, K] x", "int8[N, K] y"), **says("int8", [None], [1, 2], [1]))
    )
    found = model.open_model(made)
    assert isinstance(found, GraphModel)
    rows = [row for _, row in divisions._extremes(found, {"x": [1, 2]})]
    assert rows == [{"x": [-128, -128]}, {"x": [127, 127]}, {"x": [-1, -1]}, {"x": [0, 0]}]


def test_a_manifest_of_tensors_is_read_as_it_was_written(matrix: Model) -> None:
    found = matrix.bundle.manifest.to_dict()
    assert Manifest.from_dict(found).to_dict() == found
    [kept] = found["fields"]
    assert (kept["dtype"], kept["shape"]) == ("float32", (2, None))
    scalar = Manifest.from_dict({**found, "fields": [field("x", "float32", [])]})
    assert scalar.to_dict()["fields"][0]["shape"] == ()


def test_every_key_of_what_comes_out_is_told_where_a_graph_gives_something_else() -> None:
    assert {*single.KEYS, "record"} == set(answers.ANSWERS)
