"""A first model.yaml, part by part and in this process: what was answered, what is asked, and how it is written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.ensemble import StackingRegressor
from sklearn.linear_model import LinearRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from core import errors
from inference import trial
from inference.drafts import answers, boxes, convert, draft, examples, folders, trained, written
from inference.drafts.convert import Converted
from inference.drafts.draft import Draft
from tests import graphs
from tests.cli.test_init import saved
from tests.inference import drawn
from tests.inference.test_drafts import GRAPH, item

BEST, NUMBERS, CUBE = (
    item("string", "N", name="best"), item("float", "N", 2, name="y"), item("float", "N", 2, 1, name="cube"),
)  # fmt: skip
A_TEXT, TWO, A_CUBE = np.array(["a"], object), np.array([[3.0, 4.0]]), np.zeros((1, 2, 1))
NAMED = {"numbers": [{"name": "y_0"}, {"name": "y_1"}]}


@pytest.mark.parametrize(
    ("outputs", "given", "whole", "any_size", "says"),
    [
        ([BEST], [A_TEXT], False, False, {"text": True}), ([NUMBERS], [TWO], False, False, NAMED),
        # The class, as a text, stands beside its scores.
        ([BEST, NUMBERS], [A_TEXT, TWO], False, False, {**NAMED, "output": "y"}),
        ([NUMBERS, item("float", "N", 2, name="p")], [TWO, TWO / 7], False, False,
         {"labels": ["label_0", "label_1"], "output": "p"}),
        ([NUMBERS, CUBE], [TWO, A_CUBE], False, False, {**NAMED, "output": "y"}),
        ([NUMBERS, CUBE], [TWO, A_CUBE], True, False, {"tensors": [
            {"name": "y", "dtype": "float32", "shape": [2]}, {"name": "cube", "dtype": "float32", "shape": [2, 1]}]}),
        ([item("float", "N", "M")], [TWO], False, True, {"tensors": [
            {"name": "x", "dtype": "float32", "shape": [None]}]}),
        ([item("float", "N", "M")], [np.zeros((1, 0))], False, False, {"tensors": [
            {"name": "x", "dtype": "float32", "shape": [None]}]}),
        ([item("float", 2, 2)], [np.zeros((2, 2))], False, False, {"tensors": [
            {"name": "x", "dtype": "float32", "shape": [2, 2]}]}),
    ],
)  # fmt: skip
def test_what_was_given_to_a_row_is_what_is_answered(
    outputs: list[Any], given: list[Any], whole: bool, any_size: bool, says: dict[str, Any]
) -> None:
    assert answers.answer(GRAPH, outputs, given, (), whole=whole, any_size=any_size)[0] == says


def said(**given: Any) -> dict[str, Any] | None:
    outputs = [item("float", name=name) for name in given]
    found = boxes.boxes(outputs, [np.array(value) for value in given.values()], ())
    return None if found is None else found[0]["boxes"]


def test_what_only_looks_like_boxes_is_something_else() -> None:
    row = [1.0, 2.0, 3.0, 4.0, 0.5, 1.0]
    corners, sure, classes, every = [[row[:4]] * 2], [[0.5, 0.25]], [[1, 0]], [[[0.1, 0.2], [0.3, 0.4]]]
    assert said(y=[[row], [row]]) is None, "two rows, where one was asked"
    assert said(b=[[[1, 2, 3, 4]] * 2], s=sure, c=classes) is None, "whole numbers"
    assert said(b=corners, s=every, k=[[0, 1, 1]]) is not None
    assert said(b=corners, s=sure, c=[[0, 0]]) == {"labels": ["label_0"], "boxes": "b", "scores": "s", "classes": "c"}
    assert said(b=corners, s=every, k=[[0.0, 1.0, 1.0]]) is None, "nothing was selected"
    assert said(b=corners, s=[[[0.1, 0.2, 0.3]]], k=[[0, 1, 1]]) is None, "scores of three boxes"
    assert said(b=corners, s=sure, k=[[0, 1, 1]]) is None, "scores of no classes"
    assert said(b=corners, my_class=[[1.0, 0.0]], s=sure) == {
        "labels": ["label_0", "label_1"], "boxes": "b", "scores": "s", "classes": "my_class"
    }  # fmt: skip


def test_boxes_have_rows_where_they_have_an_axis_more() -> None:
    outputs = [item("float", name="s"), item("float", name="b")]
    for corners, have in ((np.zeros((2, 4)), False), (np.zeros((1, 2, 4)), True)):
        assert boxes.have_rows(outputs, [np.zeros((1, 1, 1)), corners], {"boxes": "b"}) is have
        assert boxes.have_rows(outputs[::-1], [corners, np.zeros((1, 1, 1))], {}) is have


def test_a_picture_that_is_made_up_has_all_colours() -> None:
    assert examples.gradient(2, 3, 3).tolist() == [
        [[0, 0, 255], [127, 0, 127], [255, 0, 0]], [[0, 255, 255], [127, 255, 127], [255, 255, 0]],
    ]  # fmt: skip
    assert examples.gradient(1, 2, 1).tolist() == [[[0], [255]]]
    assert examples.gradient(1, 1, 1).tolist() == [[[0]]]


Drawing = Callable[[bytes], Draft]


@pytest.fixture
def drawing(tmp_path: Path) -> Drawing:
    def go(made: bytes) -> Draft:
        (tmp_path / "model.onnx").write_bytes(made)
        return draft.draw(tmp_path, "mine", Converted(), lambda _: None)

    return go


ODD = "nothing = Sub (x, x) odd = Div (nothing, nothing)"


@pytest.mark.parametrize(
    ("made", "tried"),
    [
        (graphs.graph(ODD, "float[N, 2] x", "float[N, 2] odd"), "a row of ones, nor to one of zeros"),
        (graphs.graph(f"{ODD} mean = ReduceMean <axes = [2, 3], keepdims = 0> (odd)", "float[N, 3, 4, 5] x",
                      "float[N, 3] mean"), "a picture"),
    ],
    ids=["rows", "pictures"],
)  # fmt: skip
def test_a_graph_that_has_no_answer_is_told_what_it_was_asked(
    tmp_path: Path, drawing: Drawing, made: bytes, tried: str
) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        drawing(made)
    told = f"has no answer to {tried}. It gives a number that is not finite"
    assert caught.value.message == f"{tmp_path / 'model.onnx'} {told}"


def test_only_what_is_quick_is_answered_by_the_api_itself(drawing: Drawing, monkeypatch: pytest.MonkeyPatch) -> None:
    assert draft.told(1.0) == "1000.0 ms"
    monkeypatch.setattr(draft, "INLINE_S", 600)
    assert drawing(graphs.graph(graphs.GOOD)).says["inline"] is True
    assert drawing(drawn.means()).says["inline"] is False
    monkeypatch.setattr(draft, "INLINE_S", 0)
    assert drawing(graphs.graph(graphs.GOOD)).says["inline"] is False


def test_a_draft_that_does_not_pass_is_written_as_it_is_with_the_first_reason(
    tmp_path: Path, drawing: Drawing, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, tried = drawing(graphs.graph(graphs.GOOD)), list[tuple[bool, int]]()

    def run(loaded: Any) -> None:
        tried.append((loaded.manifest.inline, loaded.manifest.max_batch))
        raise errors.BundleInvalid(f"reason {len(tried)}")

    monkeypatch.setattr(trial, "run", run)
    assert folders.settled(tmp_path, made, "mine.onnx") == (made, "reason 1")
    assert tried == [(True, 32), (False, 32), (False, 1)]
    assert (tmp_path / "model.yaml").read_text() == written.text(made, "mine.onnx")


def test_a_draft_is_written_a_key_a_line_with_what_is_asked_beside_it() -> None:
    fields = [{"name": "ort", "type": "string", "enum": ["Zürich", "12"]}, {"type": "number", "name": "b"}]
    says = {
        "name": "mine", "summary": "a: b\u2028c", "labels": ["no", "x" * 90, "y"], "max_batch": 1,
        "options": {"size": [4, 5], "class": "own"}, "fields": fields,
        "golden": [{"inputs": {"ort": "Zürich", "b": 1.5}, "prediction": "no"}],
    }  # fmt: skip
    notes = {"summary": "Say\nit", "options.size": "How large", "golden": "Put a real one here"}
    text = written.text(Draft(says, notes, ["Say more", ""]), "mine\n.onnx")
    assert text.splitlines() == [
        "# Drawn up from mine .onnx. A comment asks something of you; docs/models.md has all keys.",
        "name: mine",
        'summary: "a: b\\Lc"  # Say it',
        f"labels: ['no', {'x' * 90}, y]",
        "max_batch: 1",
        "options:",
        "  size: [4, 5]  # How large",
        "  class: own",
        "fields:",
        "  - {name: ort, type: string, enum: [Zürich, '12']}  # Say more",
        "  - {type: number, name: b}",
        "golden:  # Put a real one here",
        "  - inputs: {ort: Zürich, b: 1.5}",
        "    prediction: 'no'",
    ]
    assert yaml.safe_load(text) == says


def test_what_a_trained_object_is_put_together_of_is_found() -> None:
    rows = np.random.default_rng(0).random((12, 2))
    stacked = StackingRegressor([("a", Ridge())], LinearRegression(), cv=2)
    search = GridSearchCV(stacked, {"passthrough": [False]}, cv=2)
    model = make_pipeline(StandardScaler(), search).fit(rows, rows[:, 0])
    found: Sequence[str] = [type(part).__name__ for part in trained.parts(model)]
    assert found == ["Pipeline", "StandardScaler", "GridSearchCV", "StackingRegressor", "LinearRegression", "Ridge"]


def test_what_the_converter_was_stopped_by_is_told_with_what_usually_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, "mine.joblib", Ridge().fit(np.eye(2), [1.0, 2.0]))
    told = f"{path} cannot be converted to ONNX. The converter says: TypeError: "

    def stopped(by: str) -> str:
        def to_onnx(*_: object, **__: object) -> None:
            raise ValueError("it quotes all numbers of the model") from TypeError(by)

        monkeypatch.setattr("skl2onnx.to_onnx", to_onnx)
        with pytest.raises(errors.BundleInvalid) as caught:
            convert.convert(path)
        return caught.value.message

    assert stopped("no such operator") == f"{told}no such operator"
    assert stopped("bad AttributeProto") == f"{told}bad AttributeProto {convert.OLDER}"


def test_a_package_is_installed_by_its_own_name(tmp_path: Path) -> None:
    for module, package, name in (("sklearn.gone", "scikit-learn", "a.pkl"), ("gone.too", "gone", "b.pickle")):
        (tmp_path / name).write_bytes(f"c{module}\nModel\n.".encode())
        with pytest.raises(errors.BundleInvalid, match=f"which is not installed here: pip install {package}, in the"):
            convert.convert(tmp_path / name)
