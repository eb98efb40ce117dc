"""Models that answer with boxes: detectors after non-maximum suppression, however they were exported."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
from PIL import Image

from core import errors
from inference import bundle, check, images, model
from inference.answers import boxes as answers
from inference.decoders import fitted
from inference.manifest import Manifest
from inference.output import Boxes, Said
from inference.pictures import Form, Picture
from tests import graphs
from tests.graphs import graph
from tests.inference import drawn
from tests.inference.test_answers import answer, opened
from tests.inference.test_tensors import field

#: What a detector gave to a picture, and what that means with labels cat and dog.
CORNERS: list[list[float]] = [[10, 20, 30, 60], [0, 0, 8, 4], [5, 5, 6, 6]]
SCORES, CLASSES = [0.75, 0.875, 0.25], [1, 0, 0]
CAT = {"label": "cat", "confidence": 0.875, "box": [0, 0, 8, 4]}
DOG = {"label": "dog", "confidence": 0.75, "box": [10, 20, 30, 60]}
LABELS = {"labels": ["cat", "dog"]}
APART: dict[str, Any] = {**LABELS, "boxes": "corners", "scores": "sure", "classes": "which"}
ROW = {"b": CORNERS, "s": SCORES, "c": CLASSES}
FIELDS = [
    field("b", "float32", [None, 4]), field("s", "float32", [None]), field("c", "int64", [None]),
]  # fmt: skip
SIX = [[*corners, score, class_] for corners, score, class_ in zip(CORNERS, SCORES, CLASSES, strict=True)]
BODY = "corners = Identity (b) sure = Identity (s) which = Identity (c)"


def detector(lead: str = "N, ", whole: str = "int64", body: str = BODY) -> bytes:
    """Gives what it is handed."""
    takes = f"float[{lead}K, 4] b, float[{lead}K] s, {whole}[{lead}K] c"
    return graph(body, takes, f"float[{lead}K, 4] corners, float[{lead}K] sure, {whole}[{lead}K] which")


def says(boxes: Mapping[str, Any] = APART, **more: Any) -> dict[str, Any]:
    golden = [{"inputs": ROW, "boxes": [CAT, DOG]}]
    full = {"kind": "tensor", "labels": None, "boxes": dict(boxes), "fields": FIELDS, "golden": golden, **more}
    # As values, of which YAML makes no aliases.
    copied: dict[str, Any] = json.loads(json.dumps(full))
    return copied


def columns(lead: str = "N, ") -> bytes:
    return graph("found = Identity (b)", f"float[{lead}K, 6] b", f"float[{lead}K, 6] found")


def of_columns(**more: Any) -> dict[str, Any]:
    fields = [field("b", "float32", [None, 6])]
    return says(LABELS, fields=fields, golden=[{"inputs": {"b": SIX}, "boxes": [CAT, DOG]}], **more)


def told(said: Said) -> list[Any]:
    assert isinstance(said, Boxes)
    return [*said.boxes]


def test_boxes_are_those_that_are_sure_enough_the_surest_first(tmp_path: Path) -> None:
    found = opened(tmp_path, detector(), **says())
    assert told(answer(found, **ROW)) == [CAT, DOG]
    assert told(answer(found, b=[], s=[], c=[])) == []
    rows: list[Any] = [ROW, {**ROW, "s": [0.5, 0.499, 0.25]}, ROW]
    assert [told(said) for said in found.predict(rows)] == [[CAT, DOG], [{**DOG, "confidence": 0.5}], [CAT, DOG]]


def test_how_sure_is_enough_can_be_said(tmp_path: Path) -> None:
    golden = [{"inputs": ROW, "boxes": [CAT]}]
    found = opened(tmp_path / "sure", detector(), **says({**APART, "at_least": 0.8}, golden=golden))
    assert told(answer(found, **ROW)) == [CAT]
    third = {"label": "cat", "confidence": 0.25, "box": [5, 5, 6, 6]}
    golden = [{"inputs": ROW, "boxes": [third, DOG, CAT]}]
    found = opened(tmp_path / "any", detector(), **says({**APART, "at_least": 0}, golden=golden))
    # What fills up has no score, and is of no class.
    assert told(answer(found, **{**ROW, "s": [0.75, 0.875, -1], "c": [1, 0, -1]})) == [CAT, DOG]


def test_a_graph_for_one_picture_gives_boxes_without_an_axis_for_rows(tmp_path: Path) -> None:
    found = opened(tmp_path / "three", detector(lead=""), **says(max_batch=1))
    assert told(answer(found, **ROW)) == [CAT, DOG]
    found = opened(tmp_path / "one", columns(lead=""), **of_columns(max_batch=1))
    assert told(answer(found, b=SIX)) == [CAT, DOG]
    with pytest.raises(errors.BundleInvalid, match="max_batch: 1"):
        opened(tmp_path / "many", columns(lead=""), **of_columns())


def test_scores_and_classes_may_be_columns_of_the_boxes(tmp_path: Path) -> None:
    found = opened(tmp_path, columns(), **of_columns())
    assert [told(said) for said in found.predict([{"b": SIX}, {"b": SIX[:1]}])] == [[CAT, DOG], [DOG]]


NMS = """
  most = Constant <value = int64 {9}> () half = Constant <value = float {0.5}> ()
  chosen = NonMaxSuppression (b, s, most, half, half) corners = Identity (b) sure = Identity (s)
"""
SELECTED = {**LABELS, "boxes": "corners", "scores": "sure", "selected": "chosen"}
#: The third overlaps the first, which is the surer dog.
ALL = {"b": [*CORNERS[:2], [10, 20, 30, 59]], "s": [[0.125, 0.875, 0], [0.75, 0, 0.625]]}


def selecting(body: str = NMS, selected: str = "int64[M, 3]") -> bytes:
    gives = f"float[N, K, 4] corners, float[N, C, K] sure, {selected} chosen"
    return graph(body, "float[N, K, 4] b, float[N, C, K] s", gives)


def of_selected(**more: Any) -> dict[str, Any]:
    fields = [field("b", "float32", [None, 4]), field("s", "float32", [None, None])]
    golden = [{"inputs": ALL, "boxes": [CAT, DOG]}, {"inputs": {**ALL, "s": [[0] * 3] * 2}, "boxes": []}]
    return says(more.pop("boxes", SELECTED), fields=fields, golden=golden, **more)


def test_what_onnx_selects_of_all_boxes_is_taken_with_the_scores_of_all_classes(tmp_path: Path) -> None:
    found = opened(tmp_path / "any", selecting(), **of_selected())
    check.check(found.bundle)
    assert told(answer(found, **ALL)) == [CAT, DOG]
    cats = {**ALL, "s": [[0.75, 0, 0.875], [0, 0, 0]]}
    rows: list[Any] = [cats, ALL, {**ALL, "s": [[0] * 3] * 2}, cats]
    one = {"label": "cat", "confidence": 0.875, "box": [10, 20, 30, 59]}
    assert [told(said) for said in found.predict(rows)] == [[one], [CAT, DOG], [], [one]]
    check.check(opened(tmp_path / "one", selecting(), **of_selected(max_batch=1)).bundle)


@pytest.mark.parametrize(
    ("kind", "shape", "values", "issue"),
    [
        ("int64", "2, 3", "0, 0, 0, 1, 0, 0", "gave 'chosen' with row 1, but there are 0 to 0"),
        ("int64", "1, 3", "-1, 0, 0", "gave 'chosen' with row -1, but there are 0 to 0"),
        ("int64", "1, 3", "0, 2, 0", "gave 'chosen' with class 2, but there are 0 to 1"),
        ("int64", "1, 3", "0, 0, 3", "gave 'chosen' with box 3, but there are 0 to 2"),
        ("int64", "1, 3", "0, 0, -1", "gave 'chosen' with box -1, but there are 0 to 2"),
        ("int64", "3", "0, 0, 0", "gave 'chosen' as int64 [3], but must give whole numbers [selected, 3]: row, class"),
        ("float", "1, 3", "0, 0, 0", "gave 'chosen' as float32 [1, 3], but must give whole numbers [selected, 3]"),
    ],
)
def test_what_was_selected_that_is_not_there_is_the_models_error(
    tmp_path: Path, kind: str, shape: str, values: str, issue: str
) -> None:
    chosen = f"{kind}[{shape}]"
    body = f"chosen = Constant <value = {chosen} {{{values}}}> () corners = Identity (b) sure = Identity (s)"
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, selecting(body, chosen), **of_selected(max_batch=1))
    assert issue in caught.value.message


def test_scores_of_what_is_selected_from_are_those_of_all_classes(tmp_path: Path) -> None:
    body = NMS.replace("sure = Identity (s)", "sure = ReduceMax <axes = [1], keepdims = 0> (s)")
    made = graph(
        body, "float[N, K, 4] b, float[N, C, K] s", "float[N, K, 4] corners, float[N, K] sure, int64[M, 3] chosen"
    )
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, made, **of_selected())
    told = "gave 'sure' as float32 [3] for boxes [3, 4] of a row, but must give floats [classes, boxes]"
    assert told in caught.value.message


def test_what_a_network_gives_before_non_maximum_suppression_is_told_to_be_so(tmp_path: Path) -> None:
    for name, shape in (("fixed", "1, 6, 84"), ("open", "N, 6, K")):
        made = graph("raw = Transpose <perm = [0, 2, 1]> (b)", "float[N, 84, 6] b", f"float[{shape}] raw")
        golden = [{"inputs": {"b": [[0] * 6] * 84}, "boxes": []}]
        full = says(LABELS, fields=[field("b", "float32", [84, 6])], golden=golden, max_batch=1)
        with pytest.raises(errors.BundleInvalid) as caught:
            opened(tmp_path / name, made, **full)
        assert "raw boxes need non-maximum suppression first: export it with that" in caught.value.message


@pytest.mark.parametrize(
    ("form", "box"),
    [("xyxy", [10, 20, 30, 60]), ("yxyx", [20, 10, 60, 30]), ("xywh", [10, 20, 20, 40]), ("cxcywh", [20, 40, 20, 40])],
)
def test_a_box_is_told_by_its_corners_however_the_graph_gives_it(tmp_path: Path, form: str, box: list[int]) -> None:
    row = {"b": [box], "s": [0.75], "c": [1]}
    made = says({**APART, "format": form}, golden=[{"inputs": row, "boxes": [DOG]}])
    assert told(answer(opened(tmp_path, detector(), **made), **row)) == [DOG]


COUNTED = "corners = Identity (b) sure = Identity (s) which = Identity (c) many = Identity (n)"


@pytest.mark.parametrize(("size", "shape"), [("N", []), ("N, 1", [1])])
def test_boxes_may_be_fractions_with_classes_from_one_and_their_number_beside_them(
    tmp_path: Path, size: str, shape: list[int]
) -> None:
    made = graph(
        COUNTED,
        f"float[N, K, 4] b, float[N, K] s, float[N, K] c, float[{size}] n",
        f"float[N, K, 4] corners, float[N, K] sure, float[N, K] which, float[{size}] many",
    )
    fields = [*FIELDS[:2], field("c", "float32", [None]), field("n", "float32", shape)]
    many: Any = [1] if shape else 1
    row: dict[str, Any] = {
        "b": [[0.25, 0.125, 0.75, 0.5], [0, 0, 1, 1]], "s": [0.75, 0.9], "c": [2, 1], "n": many,
    }  # fmt: skip
    dog = {"label": "dog", "confidence": 0.75, "box": [0.125, 0.25, 0.5, 0.75]}
    about = {**APART, "count": "many", "format": "yxyx", "units": "fractions", "first_class": 1}
    found = opened(tmp_path, made, **says(about, fields=fields, golden=[{"inputs": row, "boxes": [dog]}], max_batch=1))
    assert told(answer(found, **row)) == [dog]
    none: Any = [0] if shape else 0
    assert told(answer(found, **{**row, "n": none})) == []
    for wrong in (3, -1):
        with pytest.raises(errors.ModelError, match=f"gave 'many' as {wrong}.0, but must give how many of 2 boxes"):
            answer(found, **{**row, "n": [wrong] if shape else wrong})
    described = found.bundle.manifest.output_schema["properties"]["boxes"]["items"]["properties"]["box"]["description"]
    assert described.endswith("in fractions")


def test_an_answer_has_the_thousand_surest(tmp_path: Path) -> None:
    found = opened(tmp_path, detector(), **says())
    scores = np.linspace(0.5, 1, 1001)
    many = told(answer(found, b=[[0, 0, 1, 1]] * 1001, s=scores.tolist(), c=[0] * 1001))
    assert len(many) == 1000
    assert (many[0]["confidence"], many[-1]["confidence"]) == (1, round(float(scores[1]), 6))


def test_two_classes_may_have_one_name(tmp_path: Path) -> None:
    found = opened(tmp_path, detector(), **says({**APART, "labels": ["cat", "dog", "dog"]}))
    assert told(answer(found, **{**ROW, "c": [2, 0, 0]})) == [CAT, DOG]
    each = found.bundle.manifest.output_schema["properties"]["boxes"]["items"]
    assert each["properties"]["label"]["enum"] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("row", "issue"),
    [
        ({"c": [2, 0, 0]}, "gave 'which' with class 2, but the classes of its labels are 0 to 1"),
        ({"c": [-1, 0, 0]}, "gave 'which' with class -1, but the classes"),
        ({"c": [0.5, 0, 0]}, "gave 'which' with class 0.5, but the classes"),
        ({"s": [1.5, 0, 0]}, "gave 'sure' with 1.5, which is no probability"),
        ({"s": [0.75, 0]}, "gave 'sure' as float32 [2], but must give floats [3]"),
        ({"c": [0, 0]}, "gave 'which' as float32 [2] for a row, but must give a class for each box, [3]"),
        ({"b": [[3e38, 0, 3e38, 0]], "s": [1], "c": [0]}, "gave 'corners' with a number that is not finite"),
    ],
)
def test_what_are_no_boxes_is_the_models_error_in_a_sentence(tmp_path: Path, row: dict[str, Any], issue: str) -> None:
    fields = [*FIELDS[:2], field("c", "float32", [None])]
    golden = [{"inputs": ROW, "boxes": [CAT, {**DOG, "box": [10, 20, 40, 80]}]}]
    found = opened(tmp_path, detector(whole="float"), **says({**APART, "format": "xywh"}, fields=fields, golden=golden))
    with pytest.raises(errors.ModelError) as caught:
        answer(found, **{**ROW, **row})
    assert issue in caught.value.message
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("changes", "issue"),
    [
        ({"boxes": {**APART, "scores": "nothing"}}, "has no output 'nothing', as boxes of model.yaml says, but '"),
        ({"boxes": LABELS}, "gives 'corners' (float [*, *, 4]), 'sure' (float [*, *]), 'which' (int64 [*, *]): say"),
        ({"boxes": {**APART, "boxes": "sure"}}, "gives 'sure' (float [*, *]), but must give floats [rows, boxes, 4],"),
        ({"boxes": {**LABELS, "boxes": "corners"}}, "but must give floats [rows, boxes, 6], with score and class in"),
        ({"boxes": {**APART, "classes": None}}, "classes of boxes is missing: scores and classes go together"),
        ({"boxes": {**APART, "boxes": None}}, "boxes of boxes is missing: the output that holds the boxes themselves"),
        ({"boxes": {**LABELS, "classes": "which"}}, "boxes of boxes is missing: the output that holds the boxes thems"),
        ({"boxes": {**APART, "selected": "which"}}, "classes of boxes goes without selected, which says which boxes"),
        ({"boxes": {**SELECTED, "count": "sure"}}, "count of boxes goes without selected, which says which boxes"),
        ({"boxes": {**LABELS, "boxes": "corners", "selected": "which"}}, "scores of boxes is missing: scores and"),
        ({"boxes": {**SELECTED, "boxes": None}}, "boxes of boxes is missing: the output that holds the boxes themsel"),
        ({"output": "corners"}, "output is not for boxes: say boxes: NAME within boxes"),
        ({"tags": ["a"], "golden": [{"inputs": ROW, "tags": {}}]}, "boxes is what comes out, and so is tags: say one"),
        ({"golden": [{"inputs": ROW, "boxes": [CAT]}]}, "must not give dog 0.75 in [10.0, 20.0, 30.0, 60.0], but"),
        (
            {"golden": [{"inputs": ROW, "boxes": [CAT, {**DOG, "box": [10, 20, 30, 61]}]}]},
            "must give dog 0.75 in [10.0, 20.0, 30.0, 61.0], but gives dog 0.75 in [10.0, 20.0, 30.0, 60.0]",
        ),
        ({"golden": [{"inputs": ROW, "boxes": [CAT, DOG, DOG]}]}, "60.0], but gives no other box"),
        ({"golden": [{"inputs": ROW, "boxes": [CAT, {**DOG, "confidence": 0.72}]}]}, "must give dog 0.72 in"),
        ({"golden": [{"inputs": ROW, "boxes": [CAT, {**DOG, "label": "cat"}]}]}, "must give cat 0.75 in"),
    ],
)  # fmt: skip
def test_boxes_that_are_not_as_they_are_said_are_refused(tmp_path: Path, changes: dict[str, Any], issue: str) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, detector(), **says(**changes))
    assert issue in caught.value.message


def test_boxes_of_whole_numbers_are_refused_with_what_is_wanted(tmp_path: Path) -> None:
    body = BODY.replace("Identity (b)", "Cast <to = 7> (b)")
    made = graph(body, "float[N, K, 4] b, float[N, K] s, int64[N, K] c",
                 "int64[N, K, 4] corners, float[N, K] sure, int64[N, K] which")  # fmt: skip
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, made, **says())
    told = "gives 'corners' (int64 [*, *, 4]), but must give floats [rows, boxes, 4], with scores and classes beside"
    assert told in caught.value.message


def test_a_golden_box_may_be_a_little_apart_and_the_boxes_in_any_order(tmp_path: Path) -> None:
    near = {**DOG, "confidence": 0.765, "box": [10.7, 19.3, 30.7, 60.7]}
    opened(tmp_path, detector(), **says(golden=[{"inputs": ROW, "boxes": [near, CAT]}]))


SMALL = [[0, 0, 1, 1], [0, 0, 2, 2], [0, 0, 3, 3]]
TINY = {"label": "dog", "confidence": 0.9, "box": [0, 0, 1, 1]}


def test_boxes_of_rows_that_know_of_each_other_are_refused(tmp_path: Path) -> None:
    body = "all = ReduceMax <axes = [0], keepdims = 1> (b) shape = Shape (b) corners = Expand (all, shape)"
    made = detector(body=f"{body} sure = Identity (s) which = Identity (c)")
    golden = [{"inputs": ROW, "boxes": [CAT, DOG]}, {"inputs": {**ROW, "s": [0.9, 0, 0], "b": SMALL}, "boxes": [TINY]}]
    with pytest.raises(errors.BundleInvalid, match="gives a row another answer beside another row than alone, in a ba"):
        opened(tmp_path, made, **says(golden=golden))


def test_an_answer_is_as_its_schema_says_and_nothing_else_is(tmp_path: Path) -> None:
    found = opened(tmp_path, detector(), **says())
    schema = found.bundle.manifest.output_schema
    for right in ([], [CAT, DOG]):
        jsonschema.validate({"boxes": right}, schema)
    bad: list[Any] = [None, [{**CAT, "label": "cow"}], [{**CAT, "confidence": 0.4}], [{**CAT, "box": [1, 2, 3]}], [{}]]
    for wrong in bad:
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate({"boxes": wrong}, schema)


def test_what_is_said_of_boxes_is_kept(tmp_path: Path) -> None:
    whole = {**APART, "format": "xyxy", "units": "pixels", "first_class": 0, "at_least": 0.25, "count": None,
             "selected": None}  # fmt: skip
    golden = [{"inputs": {**ROW, "s": [0, 0, 0]}, "boxes": []}]
    manifest = opened(tmp_path, detector(), **says(whole, golden=golden)).bundle.manifest
    stored = json.loads(json.dumps(manifest.to_dict()))
    assert stored["boxes"] == whole
    assert Manifest.from_dict(stored).boxes == manifest.boxes


#: Finds all that is lighter than gray: its left, top, right and bottom.
LIGHT = """
  half = Constant <value = float {0.5}> () lit = Greater (img, half) places = NonZero (lit) at = Cast <to = 1> (places)
  low = ReduceMin <axes = [1], keepdims = 0> (at) last = ReduceMax <axes = [1], keepdims = 0> (at)
  one = Constant <value = float {1}> () high = Add (last, one) order = Constant <value = int64[2] {3, 2}> ()
  first = Gather (low, order) second = Gather (high, order) rest = Constant <value = float[2] {0.875, 0}> ()
  size = Constant <value = float[6] {SIZE}> () row = Concat <axis = 0> (first, second, rest) parts = Div (row, size)
  shape = Constant <value = int64[2] {1, 6}> () found = Reshape (parts, shape)
"""


def with_light(size: tuple[int, int], box: tuple[int, int, int, int], **how: Any) -> bytes:
    image = Image.new("L", size)
    image.paste(255, box)
    return drawn.encoded(image, **how)


def finder(folder: Path, data: bytes, box: tuple[int, ...], units: str = "pixels", **options: Any) -> images.Images:
    """Of a graph for 50 by 40 pixels, checked by this golden picture."""
    size = "50, 40, 50, 40, 1, 1" if units == "fractions" else "1, 1, 1, 1, 1, 1"
    made = graph(LIGHT.replace("SIZE", size), "float[1, 1, 40, 50] img", "float[K, 6] found")
    golden = [{"file": "golden.png", "boxes": [{"label": "cat", "confidence": 0.875, "box": [*box]}]}]
    full = {
        "numbers": None, "boxes": {"labels": ["cat"], "units": units}, "max_batch": 1, "golden": golden,
        "options": {"channels": "L", "background": 0, **options},
    }  # fmt: skip
    loaded = bundle.load(drawn.bundle(folder / "bundle", made, data, **full))
    check.check(loaded)
    found = model.open_model(loaded)
    assert isinstance(found, images.Images)
    return found


@pytest.mark.parametrize("units", ["pixels", "fractions"])
@pytest.mark.parametrize(
    ("fit", "size", "box"),
    [
        ("stretch", (400, 80), (80, 20, 160, 60)),
        ("stretch", (100, 400), (20, 40, 60, 200)),
        ("crop", (400, 80), (160, 20, 240, 60)),
        ("crop", (100, 400), (20, 170, 60, 210)),
        ("pad", (400, 96), (80, 16, 160, 64)),
        ("pad", (96, 320), (16, 80, 64, 160)),
        ("pad", (25, 20), (5, 10, 10, 15)),
    ],
)
def test_boxes_are_told_in_the_pixels_of_the_clients_picture(
    tmp_path: Path, units: str, fit: str, size: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    data = with_light(size, box)
    found = finder(tmp_path, data, box, units, fit=fit)
    [said] = found.predict([drawn.row(data)])
    assert told(said)[0]["box"] == pytest.approx(box, abs=0.001)
    described = found.bundle.manifest.output_schema["properties"]["boxes"]["items"]["properties"]["box"]["description"]
    assert described == "Left, top, right and bottom, in pixels of the picture that was handed in, upright"


def test_boxes_are_those_of_the_picture_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    # 80 by 400 as it is stored; turned by a quarter, its left edge is the upper one.
    data = with_light((80, 400), (20, 80, 60, 160), exif=exif)
    found = finder(tmp_path, data, (240, 20, 320, 60))
    assert told(found.predict([drawn.row(data)])[0])[0]["box"] == pytest.approx([240, 20, 320, 60], abs=0.001)


WHOLE = """
  rows = Shape <start = 0, end = 1> (img) ends = Constant <value = int64[2] {1, 6}> ()
  row = Constant <value = float[1, 1, 6] {0, 0, 50, 40, 0.875, 0}> ()
  sizes = Concat <axis = 0> (rows, ends) found = Expand (row, sizes)
"""


def test_each_picture_of_a_batch_has_its_own_size(tmp_path: Path) -> None:
    golden = [{"file": "golden.png", "boxes": [{"label": "cat", "confidence": 0.875, "box": [0, 0, 5, 4]}]}]
    made = graph(WHOLE, "float[N, 3, 40, 50] img", "float[N, K, 6] found")
    loaded = bundle.load(
        drawn.bundle(tmp_path / "bundle", made, numbers=None, boxes={"labels": ["cat"]}, golden=golden)
    )
    check.check(loaded)
    found = model.open_model(loaded)
    assert isinstance(found, images.Images)
    sizes = [(5, 4), (70, 30), (50, 40), (3, 90)]
    rows = [drawn.row(drawn.plain(1, 2, 3, size)) for size in sizes]
    assert [told(said)[0]["box"] for said in found.predict(rows)] == [[0, 0, *size] for size in sizes]
    broken = [*found.each([rows[1], drawn.row(b"no picture"), rows[3]])]
    assert isinstance(broken[1], errors.InputUnreadable)
    first, last = broken[0], broken[2]
    assert isinstance(first, Boxes)
    assert isinstance(last, Boxes)
    assert [told(said)[0]["box"] for said in (first, last)] == [[0, 0, 70, 30], [0, 0, 3, 90]]


@pytest.mark.parametrize("size", [(1750, 2650), (3418, 2537), (4222, 3253), (640, 640), (1, 9000)])
def test_where_a_padded_picture_lies_is_where_its_boxes_are_told(size: tuple[int, int]) -> None:
    side, form = 640, Form(640, 640, 1, "pad", 0)
    shown = fitted._fitted(Image.new("L", size, 255), (side, side), "pad", 0)
    box = shown.getbbox()
    assert box is not None
    [found] = Picture(*size, form, np.zeros(form.shape, np.uint8)).own(np.array([box], float)).tolist()
    assert found == pytest.approx([0, 0, *size], abs=1e-6)
    # Half of the pixel beside it is no more of the picture.
    left, top, _, _ = form.shows(*size)
    across = size[0] / (box[2] - box[0]), size[1] / (box[3] - box[1])
    assert (left, top) == pytest.approx((-box[0] * across[0], -box[1] * across[1]))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize(
    "size", [(399, 83), (83, 399), (1, 1), (50, 40), (51, 40), (16_384, 330), (16_384, 3), (1, 9_000)]
)
def test_what_a_graph_sees_at_its_edges_is_at_those_of_what_it_was_shown(size: tuple[int, int], fit: str) -> None:
    form = Form(40, 50, 1, fit, 0)
    picture = Picture(*size, form, np.zeros(form.shape, np.uint8))
    [whole] = picture.own(np.array([[-9.0, -9, 59, 49]])).tolist()
    if fit != "crop":
        assert whole == [0, 0, *size]
        return
    left, top, right, bottom = whole
    side = min(size[0] / 50, size[1] / 40)
    beyond = side * 9
    assert (left, top) == pytest.approx(
        [max(0, (size[0] - 50 * side) / 2 - beyond), max(0, (size[1] - 40 * side) / 2 - beyond)]
    )
    assert (right, bottom) == pytest.approx([size[0] - left, size[1] - top])


def test_only_what_may_be_a_networks_last_layer_is_told_to_be_one() -> None:
    def refused(width: int, *shape: int, **says: str) -> str:
        promised = Manifest.from_dict(graphs.manifest(labels=None, boxes={"labels": ["a"], **says}))
        given = [np.zeros((1, *shape), np.float32), *(np.zeros((1, 2), np.float32) for _ in list(says)[1:])]
        with pytest.raises(errors.ModelError, match=rf"for a row, but must give floats \[boxes, {width}\]") as caught:
            answers.Boxes(promised).read(given, 1)
        return caught.value.message.partition(f"[boxes, {width}]")[2]

    assert refused(6, 2, 7) == answers.RAW
    assert refused(6, 2) == ""
    assert refused(4, 2, 7, boxes="b", scores="s", classes="c") == ""
