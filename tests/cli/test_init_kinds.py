"""`coatcheck models init` for graphs of pictures, of tensors and of answers that are no numbers, and for those that
hang or end their process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import yaml
from PIL import Image

from inference import trial
from inference.device import CPU
from inference.drafts import fields
from inference.drafts.convert import Converted
from tests import graphs
from tests.cli.conftest import Run
from tests.cli.test_init import begun, refused
from tests.inference import drawn
from tests.inference.test_images import takes
from tests.inference.test_tensors import field, gives

IMAGE = {"kind": "image", "fields": [{"name": "image", "type": "image"}], "inline": False, "max_batch": 32}
FLOATS = {"scale": 1 / 255, "mean": [0, 0, 0], "deviation": [1, 1, 1]}
#: What a graph of pictures takes, and what of it is then in model.yaml.
PICTURES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "colours": (
        drawn.means(),
        {"options": {"size": [4, 5], "layout": "NCHW", "channels": "RGB", **FLOATS},
         "numbers": [{"name": "mean_0"}, {"name": "mean_1"}, {"name": "mean_2"}]}),
    "the channels behind": (
        takes(shape="N, 4, 5, 3"), {"options": {"size": [4, 5], "layout": "NHWC", "channels": "RGB", **FLOATS}}),
    "gray": (
        takes("double", "N, 1, 4, 5"),
        {"options": {"size": [4, 5], "layout": "NCHW", "channels": "L", "scale": 1 / 255, "mean": [0],
                     "deviation": [1]}}),
    "pixels as they are": (
        takes("uint8", "N, 4, 5, 1"), {"options": {"size": [4, 5], "layout": "NHWC", "channels": "L"}}),
    "any size": (
        takes("float16", "N, 3, H, 5"), {"options": {"size": [224, 5], "layout": "NCHW", "channels": "RGB", **FLOATS}}),
    "one at a time": (takes(shape="1, 3, 4, 5"), {"max_batch": 1}),
    "a map of scores": (
        graphs.graph("heat = Sigmoid (img)", "float[N, 3, 4, 5] img", "float[N, 3, 4, 5] heat"),
        {"tensors": [gives("heat", "float32", [3, 4, 5])]}),
}  # fmt: skip


CORNERS = "corners = Constant <value = float[2, 4] {1, 2, 3, 4, 0, 0, 5, 4}> ()"
SURE = "sure = Constant <value = float[2] {0.75, 0.875}> () which = Constant <value = int64[2] {2, 1}> ()"
ROWS = "at = Constant <value = int64[1] {0}> ()"
#: Of detectors' graphs, as exporters write them, what is then in model.yaml.
DETECTORS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "as TorchVision's are written": (
        graphs.graph(f"{CORNERS} {SURE}", "float[3, 4, 5] img", "float[K, 4] corners, int64[K] which, float[K] sure"),
        {"options": {"size": [4, 5], "layout": "NCHW", "channels": "RGB", **FLOATS}, "max_batch": 1,
         "boxes": {"labels": ["label_0", "label_1", "label_2"], "boxes": "corners", "scores": "sure",
                   "classes": "which"}}),
    "as TensorFlow's are written": (
        graphs.graph(
            f"{CORNERS.replace('corners', 'c')} {SURE.replace('sure', 's').replace('which', 'w')} {ROWS} "
            "detection_boxes = Unsqueeze (c, at) detection_scores = Unsqueeze (s, at) v = Cast <to = 1> (w) "
            "detection_classes = Unsqueeze (v, at) num_detections = Constant <value = float[1] {1}> ()",
            "uint8[1, 4, 5, 3] img",
            "float[1, K, 4] detection_boxes, float[1, K] detection_classes, float[1, K] detection_scores, "
            "float[1] num_detections"),
        {"boxes": {"labels": ["label_0", "label_1", "label_2"], "boxes": "detection_boxes",
                   "scores": "detection_scores", "classes": "detection_classes", "count": "num_detections",
                   "format": "yxyx", "units": "fractions", "first_class": 1}}),
    "as YOLO's are written with their end": (
        graphs.graph("found = Constant <value = float[1, 2, 6] {1, 2, 3, 4, 0.75, 1, 0, 0, 0, 0, 0, 0}> ()",
                     "float[1, 3, 4, 5] images", "float[1, 2, 6] found"),
        {"max_batch": 1, "boxes": {"labels": ["label_0", "label_1"]},
         "golden": [{"file": "golden.png",
                     "boxes": [{"label": "label_1", "confidence": 0.75, "box": [1.0, 2.0, 3.0, 4.0]}]}]}),
    "with what ONNX selected": (
        graphs.graph(
            f"{ROWS} c = Constant <value = float[1, 2, 4] {{3, 3, 2, 2, 1, 1, 2, 2}}> () "
            "s = Constant <value = float[1, 3, 2] {0, 0, 0.75, 0, 0, 0.875}> () "
            "rows = Shape <start = 0, end = 1> (img) shape = Constant <value = int64[2] {2, 4}> () "
            "to = Concat <axis = 0> (rows, shape) "
            "boxes = Expand (c, to) "
            "size = Constant <value = int64[2] {3, 2}> () by = Concat <axis = 0> (rows, size) scores = Expand (s, by) "
            "most = Constant <value = int64 {9}> () half = Constant <value = float {0.5}> () "
            "selected = NonMaxSuppression <center_point_box = 1> (boxes, scores, most, half, half)",
            "float[N, 3, 4, 5] img", "float[N, 2, 4] boxes, float[N, 3, 2] scores, int64[M, 3] selected"),
        {"max_batch": 32, "boxes": {"labels": ["label_0", "label_1", "label_2"], "boxes": "boxes", "scores": "scores",
                                    "selected": "selected", "format": "cxcywh"}}),
}  # fmt: skip


@pytest.mark.parametrize("case", DETECTORS)
def test_a_detector_is_written_with_its_boxes_and_passes_check_as_it_is(run: Run, tmp_path: Path, case: str) -> None:
    made, wanted = DETECTORS[case]
    (tmp_path / "mine.onnx").write_bytes(made)
    found, text = begun(run, tmp_path, "mine.onnx")
    says = yaml.safe_load(text)
    assert (found["kind"], found["issue"]) == ("image", None)
    assert {key: says[key] for key in wanted} == wanted


@pytest.mark.parametrize(
    ("names", "wanted"),
    [
        ("{0: 'cat', 1: 'dog', 2: 'cow'}", ["cat", "dog", "cow"]),
        ("{0: 'cat'}", ["label_0", "label_1"]),
        ("{1: 'cat', 2: 'dog'}", ["label_0", "label_1"]),
        ("[__import__('os')]", ["label_0", "label_1"]),
    ],
)
def test_the_names_of_classes_that_an_exporter_has_written_into_a_graph_are_taken(
    run: Run, tmp_path: Path, names: str, wanted: list[str]
) -> None:
    made = onnx.load_from_string(DETECTORS["as YOLO's are written with their end"][0])
    onnx.helper.set_model_props(made, {"names": names})
    onnx.save(made, tmp_path / "mine.onnx")
    _, text = begun(run, tmp_path, "mine.onnx")
    assert yaml.safe_load(text)["boxes"]["labels"] == wanted


@pytest.mark.parametrize(
    ("body", "gives", "key"),
    [
        ("six = Constant <value = float[1, 6] {1, 2, 3, 4, 0.5, 1}> ()", "float[1, 6] six", "numbers"),
        ("raw = Constant <value = float[1, 2, 6] {1, 2, 3, 4, 9, 1, 1, 2, 3, 4, 9, 1}> ()", "float[1, 2, 6] raw",
         "tensors"),
        ("raw = Constant <value = float[1, 2, 6] {1, 2, 3, 4, 0.5, 0.5, 1, 2, 3, 4, 0.5, 0}> ()", "float[1, 2, 6] raw",
         "tensors"),
    ],
)  # fmt: skip
def test_what_are_no_boxes_is_not_taken_for_them(run: Run, tmp_path: Path, body: str, gives: str, key: str) -> None:
    (tmp_path / "mine.onnx").write_bytes(graphs.graph(body, "float[1, 3, 4, 5] img", gives))
    _, text = begun(run, tmp_path, "mine.onnx")
    assert key in yaml.safe_load(text)
    assert ("Of a detector, export it with non-maximum suppression" in text) == (key == "tensors")


@pytest.mark.parametrize("case", PICTURES)
def test_a_graph_of_pictures_is_written_with_a_picture_and_passes_check_as_it_is(
    run: Run, tmp_path: Path, case: str
) -> None:
    made, wanted = PICTURES[case]
    (tmp_path / "mine.onnx").write_bytes(made)
    found, text = begun(run, tmp_path, "mine.onnx")
    says = yaml.safe_load(text)
    assert found["issue"] is None
    assert {key: says[key] for key in {**IMAGE, **wanted}} == {**IMAGE, **wanted}
    [golden] = says["golden"]
    with Image.open(tmp_path / "mine" / golden["file"]) as picture:
        assert [picture.height, picture.width] == says["options"]["size"]
        first = np.asarray(picture).reshape(picture.height, picture.width, -1)[..., 0].astype(int)
    assert {*first[:, 0], *first[:, -1]} == {0, 255}
    assert (np.diff(first) > 0).all()


@pytest.mark.parametrize(("case", "asked"), [("colours", True), ("gray", False)])
def test_whether_the_colours_are_the_other_way_round_is_asked_where_there_are_some(
    run: Run, tmp_path: Path, case: str, asked: bool
) -> None:
    (tmp_path / "mine.onnx").write_bytes(PICTURES[case][0])
    _, text = begun(run, tmp_path, "mine.onnx")
    assert ("BGR" in text) == asked


def test_no_more_pictures_share_a_run_than_may(tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(takes(shape="N, 3, 4000, 4000"))
    graph = CPU.session(path, onnxruntime.SessionOptions())
    assert fields.taken(path, graph.get_inputs(), Converted()).max_batch == 5


def test_how_a_network_of_pictures_was_trained_is_asked_of_a_person(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(takes(shape="N, 3, H, W"))
    _, text = begun(run, tmp_path, "mine.onnx")
    notes = {line.split(":")[0].strip(" -{"): line.partition("  # ")[2] for line in text.splitlines() if "  # " in line}
    assert notes["scale"].startswith("No graph says how it was trained")
    assert notes["mean"] == "ImageNet's is [0.485, 0.456, 0.406]"
    assert notes["size"] == "The graph takes any size: say the one that it was trained with"


SAME = "y = Identity (x)"
#: Of a graph that nothing else fits what is in model.yaml.
TENSORS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "three axes": (
        graphs.graph(SAME, "float[N, 2, 8] x", "float[N, 2, 8] y"),
        {"fields": [field("x", "float32", [2, 8])], "tensors": [gives("y", "float32", [2, 8])], "max_batch": 32,
         "golden": [{"inputs": {"x": [[1] * 8] * 2}, "tensors": {"y": [1.0] * 4}}]}),
    "columns of any number": (
        graphs.graph(graphs.GOOD, "float[N, M] features", "float[N, M] probabilities"),
        {"fields": [field("features", "float32", [None])], "tensors": [gives("probabilities", "float32", [None])]}),
    "a size that was not said truly": (
        graphs.graph(graphs.GOOD, "float[N, M] features"), {"tensors": [gives("probabilities", "float32", [None])]}),
    "a shape that the graph does not say": (
        graphs.graph("sizes = Shape (x) some = Cast <to = 9> (sizes) all = Compress <axis = 0> (sizes, some) "
                     "y = Reshape (x, all)", "float[N, 2, 8] x", "float[] y"),
        {"fields": [field("x", "float32", [2, 8])], "tensors": [gives("y", "float32", [None, None])]}),
    "a size that only some are": (
        graphs.graph("y = MaxPool <kernel_shape = [64]> (x)", "float[N, 2, W] x", "float[N, 2, V] y"),
        {"golden": [{"inputs": {"x": [[1] * 64] * 2}, "tensors": {"y": [1.0, 1.0]}}]}),
    "no axis for rows": (
        graphs.graph(SAME, "int64[2, 3] x", "int64[2, 3] y"),
        {"fields": [field("x", "int64", [2, 3])], "tensors": [gives("y", "int64", [2, 3])], "max_batch": 1}),
    "a single value": (
        graphs.graph(SAME, "bool x", "bool y"),
        {"fields": [field("x", "bool", [])], "tensors": [gives("y", "bool", [])], "max_batch": 1}),
    "rows in the second axis": (
        graphs.graph("y = Transpose (x)", "float[H, W] x", "float[W, H] y"),
        {"tensors": [gives("y", "float32", [None, None])], "max_batch": 1}),
    "several of several types": (
        graphs.graph("a = Identity (x) b = Identity (t)", "float16[N, 2] x, string[N, 2, 2] t",
                     "float16[N, 2] a, string[N, 2, 2] b"),
        {"fields": [field("x", "float16", [2]), field("t", "string", [2, 2])],
         "tensors": [gives("a", "float16", [2]), gives("b", "string", [2, 2])]}),
    "scores of tensors": (
        graphs.graph("flat = Flatten (x) y = Softmax (flat)", "float[N, 2, 2] x", "float[N, 4] y"),
        {"labels": [f"label_{place}" for place in range(4)]}),
    "numbers beside a map": (
        graphs.graph("flat = Flatten (x) y = Identity (x)", "float[N, 2, 2] x", "float[N, 4] flat, float[N, 2, 2] y"),
        {"tensors": [gives("flat", "float32", [4]), gives("y", "float32", [2, 2])]}),
    "a class alone": (
        graphs.graph("best = ArgMax <axis = 1, keepdims = 0> (features)", gives="int64[N] best"),
        {"kind": "tabular", "tensors": [gives("best", "int64", [])]}),
    "a text": (
        graphs.graph("said = Identity (name)", "string[N, 1] name", "string[N, 1] said"),
        {"kind": "text", "text": True, "golden": [{"inputs": {"text": "an example"}, "text": "an example"}]}),
    "a vector that no embedding holds": (
        graphs.graph("y = Flatten (x)", "float[N, 7, 10000] x", "float[N, 70000] y"),
        {"tensors": [gives("y", "float32", [70000])]}),
}  # fmt: skip


@pytest.mark.parametrize("case", TENSORS)
def test_what_nothing_else_fits_is_written_as_tensors_and_passes_check_as_it_is(
    run: Run, tmp_path: Path, case: str
) -> None:
    made, wanted = TENSORS[case]
    (tmp_path / "mine.onnx").write_bytes(made)
    found, text = begun(run, tmp_path, "mine.onnx")
    says = yaml.safe_load(text)
    assert found["issue"] is None
    wanted = {"kind": "tensor", **wanted}
    assert {key: says[key] for key in wanted} == wanted


def test_scores_that_may_be_tags_are_said_to_be(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(graphs.graph("each = Sigmoid (features)", gives="float[N, 2] each"))
    _, text = begun(run, tmp_path, "mine.onnx")
    [line] = [line for line in text.splitlines() if line.startswith("numbers")]
    assert line.endswith("if each is a probability by itself, say tags in their place")


TURNS = """
  most = Constant <value = int64 {1000000000000}> () go = Constant <value = bool {1}> ()
  end = Loop (most, go, features) <body = b (int64 turn, bool on, float[N, 2] x) => (bool again, float[N, 2] y) {
    again = Identity (on) nothing = Mul (x, zero) y = Add (x, nothing)
  }>
  probabilities = Softmax <axis = 1> (end)
"""
DIES = (
    f"low = Constant <value = int64[1] {{{-(2**63)}}}> () whole = Cast <to = 7> (features) minus = Neg (whole) "
    "quotient = Div (low, minus) back = Cast <to = 1> (quotient) probabilities = Softmax (back)"
)


def test_a_graph_that_hangs_or_ends_its_process_is_a_sentence(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "JOB_S", 0.5)
    for body, told in (
        (TURNS, "a row that is made up did not end within 0.5 s: mend the model"),
        (DIES, "a row that is made up ended the process: SIGFPE"),
    ):
        (tmp_path / "mine.onnx").write_bytes(graphs.graph(body))
        assert refused(run, tmp_path / "mine.onnx").startswith(f"Error: {tmp_path / 'mine.onnx'}: {told}")
