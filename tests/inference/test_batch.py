"""Which rows a graph is asked beside each other before it is published."""

from __future__ import annotations

import base64
import dataclasses
import io
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core import errors
from inference import batch, bundle, check, model
from inference.manifest import Field, Manifest
from tests import graphs


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return bundle.load(graphs.bundle(tmp_path / "bundle")).manifest


@pytest.mark.parametrize(
    ("count", "most", "size"),
    [(1, 2, 2), (1, 64, 64), (1, 65, 64), (5, 2, 2), (5, 32, 32), (5, 4096, 64), (64, 4096, 64), (70, 4096, 70),
     (70, 69, 69)],
)  # fmt: skip
def test_neighbours_stand_beside_each_other_and_all_of_them_in_the_largest_batch(
    count: int, most: int, size: int
) -> None:
    *pairs, large = batch._batches(count, most)
    assert pairs == ([[0, 0]] if count == 1 else [list(pair) for pair in pairwise(range(count))])
    assert len(large) == size
    # Each as often as any other, but for the last turn.
    turns = [large[start : start + count] for start in range(0, size, count)]
    assert all(len(set(turn)) == len(turn) for turn in turns)
    assert list(batch._batches(count, most))[-1] == large


@pytest.mark.parametrize(
    ("field", "now", "number", "others"),
    [
        (Field("x", "number"), 5, 0, [6, 4]), (Field("x", "number"), 5, 1, [2, 8]),
        (Field("x", "number"), 5, 2, [15, -5]),
        (Field("x", "number"), 5, 3, [6, 4]), (Field("x", "number", maximum=5), 5, 0, [4]),
        (Field("x", "integer", minimum=5), 5, 0, [6]), (Field("x", "number", minimum=5, maximum=5), 5, 0, []),
        (Field("x", "number", enum=(1, 5, 9)), 5, 0, [1, 9]), (Field("x", "boolean"), True, 0, [False]),
        (Field("x", "boolean"), False, 1, [True]), (Field("x", "string"), "abc", 0, ["cba", "abcx"]),
        (Field("x", "string"), "aba", 0, ["abax"]), (Field("x", "string", enum=("a", "b", "c")), "b", 0, ["a", "c"]),
        (Field("x", "number", required=False), None, 0, [1, 0]),
        (Field("x", "integer", required=False), None, 0, [1, 0]),
        (Field("x", "number", required=False, minimum=5, maximum=9), None, 0, [5, 9]),
        (Field("x", "integer", required=False, enum=(7,)), None, 0, [7]),
        (Field("x", "boolean", required=False), None, 0, [True]),
        (Field("x", "string", required=False), None, 0, ["x", "xx"]),
        # Each element by another step, as far as there is room.
        (Field("x", "tensor", dtype="uint8", shape=(3,)), [0, 255, 7], 0, [[1, 252, 17]]),
        (Field("x", "tensor", dtype="uint8", shape=(3,)), [0, 255, 7], 1, [[0, 255, 8]]),
        (Field("x", "tensor", dtype="bool", shape=(2,)), [True, False], 0, [[False, True]]),
        (Field("x", "tensor", dtype="string", shape=(2,)), ["a", ""], 0, [["ax", "x"]]),
    ],
    ids=str,
)  # fmt: skip
def test_a_field_is_moved_to_what_it_may_be(
    manifest: Manifest, field: Field, now: object, number: int, others: list[object]
) -> None:
    of = dataclasses.replace(manifest, fields=(field,))
    found = list(batch._others(of, {"x": now}, field, number))
    assert found == others
    assert now not in found


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"x": 1, "y": "a"}, "{x: 1, y: a}"), ({"x": "a" * 197}, f"{{x: {'a' * 197}}}"),
        ({"x": "a" * 198}, f"{{x: {'a' * 197}…}}"),
    ],
    ids=["short", "at the limit", "beyond"],
)  # fmt: skip
def test_a_row_is_shown_as_far_as_there_is_room(row: dict[str, Any], says: str) -> None:
    assert batch._shown(row) == says


def test_a_picture_is_moved_to_one_that_is_black_white_or_gray() -> None:
    field = Field("x", "image")
    of = Manifest("m", "1.0.0", "image", "", "", (field,), ())
    found = [list(batch._others(of, {"x": "AAAA"}, field, number)) for number in (0, 1, 2, 3)]
    pixels = [Image.open(io.BytesIO(base64.b64decode(made))) for [made] in found]
    assert [(pixel.size, pixel.getpixel((0, 0))) for pixel in pixels] == [((1, 1), value) for value in (0, 255, 128, 0)]


ROWS = [{"x": 2, "y": 1}, {"x": 1, "y": 2}]
SMALL = "size = Constant <value = float {0.00001}> ()"


def tried(folder: Path, body: str, gives: str, rows: list[dict[str, Any]], **says: Any) -> list[str]:
    """What is said to be tried of such a graph."""
    opened = model.open_model(bundle.load(graphs.bundle(folder / "bundle", graphs.graph(body, gives=gives), **says)))
    assert isinstance(opened, model.Model)
    told: list[str] = []
    batch.check(opened, rows, told.append)
    return told


def numbers(*names: str) -> dict[str, Any]:
    prediction = dict.fromkeys(names, 0)
    golden = [{"inputs": ROWS[0], "prediction": prediction if len(names) > 1 else 0}]
    return {"labels": None, "numbers": [{"name": name} for name in names], "golden": golden}


def test_numbers_are_measured_by_those_of_their_own_place(tmp_path: Path) -> None:
    body = """
      large = Constant <value = float {1000000}> () sum = ReduceSum (features, across) first = Mul (sum, large)
      mean = ReduceMean <axes = [0]> (sum) second = Add (sum, mean) both = Concat <axis = 1> (first, second)
    """
    with pytest.raises(errors.BundleInvalid, match="gives a row other scores beside another row than alone"):
        tried(tmp_path, body, "float[N, 2] both", ROWS, **numbers("first", "second"))


def tensor(**says: Any) -> dict[str, Any]:
    field = {"name": "features", "type": "tensor", "dtype": "float32", "shape": [None]}
    golden = [{"inputs": {"features": [1]}, "tensors": {"y": [1]}}]
    given = [{"name": "y", "dtype": "float32", "shape": [None]}]
    return {"kind": "tensor", "labels": None, "fields": [field], "tensors": given, "golden": golden, **says}


def of_tensors(folder: Path, body: str, *rows: list[float]) -> list[str]:
    made = graphs.graph(body, "float[N, K] features", "float[N, L] y")
    opened = model.open_model(bundle.load(graphs.bundle(folder / "bundle", made, **tensor())))
    assert isinstance(opened, model.Model)
    told: list[str] = []
    batch.check(opened, [{"features": row} for row in rows], told.append)
    return told


def test_small_numbers_that_mix_rows_are_seen_though_rows_are_of_several_sizes(tmp_path: Path) -> None:
    own = f"{SMALL} own = Mul (features, size)"
    assert of_tensors(tmp_path / "right", f"{own} y = Identity (own)", [1, 2], [], [3])
    with pytest.raises(errors.BundleInvalid, match="gives a row other scores beside another row than alone"):
        of_tensors(tmp_path / "wrong", f"{own} mean = ReduceMean <axes = [0]> (own) y = Add (own, mean)", [1, 2], [3])


def test_an_answer_of_another_size_in_company_is_another_answer(tmp_path: Path) -> None:
    body = """
      most = ReduceMax <keepdims = 0> (features) whole = Cast <to = 7> (most) last = Unsqueeze (whole, place)
      rows = Shape <start = 0, end = 1> (features) shape = Concat <axis = 0> (rows, last) y = Expand (features, shape)
    """
    made = f"place = Constant <value = int64[1] {{0}}> () {body}"
    with pytest.raises(errors.BundleInvalid, match="gives a row another answer beside another row than alone, in a b"):
        of_tensors(tmp_path, made, [2], [5])


def test_texts_in_tensors_that_mix_rows_are_refused(tmp_path: Path) -> None:
    body = "first = Constant <value = int64[1] {0}> () row = Gather (features, first) shape = Shape (features)"
    made = graphs.graph(f"{body} y = Expand (row, shape)", "string[N, K] features", "string[N, K] y")
    says = tensor(golden=[{"inputs": {"features": ["a"]}, "tensors": {"y": ["a"]}}])
    for each in (*says["fields"], *says["tensors"]):
        each["dtype"] = "string"
    with pytest.raises(errors.BundleInvalid, match="gives a row another answer beside another row than alone, in a b"):
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made, **says)))


def test_a_row_that_is_not_answered_is_left_out_and_the_others_are_tried(tmp_path: Path) -> None:
    # There is no answer where x is 3, as it is in the first row that is made up.
    body = """
      three = Constant <value = float {3}> () off = Sub (features, three) part = Div (off, off)
      idle = Mul (part, zero) sum = Add (idle, features) one = ReduceSum (sum, across)
    """
    told = tried(tmp_path, body, "float[N, 1] one", ROWS, **numbers("one"))
    assert [step for step in told if "like golden example 1" in step] == [
        f"an input like golden example 1, {{x: {x}, y: {y}}}," for x, y in ((3.0, -2.0), (-1.0, 11.0), (12.0, 2.0))
    ]
    assert told[-1] == "a batch of 32 rows like the golden examples"
    assert told.count("a batch of 2 rows like the golden examples") == 3
