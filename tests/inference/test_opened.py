"""Models that are opened, or not, by what their graphs say of themselves: versions, shapes, names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx
import pytest

from core import errors
from inference import bundle, check, kinds
from inference.output import Label
from tests import graphs
from tests.graphs import GOOD, graph
from tests.inference import test_boxes
from tests.inference.test_answers import answer, opened
from tests.inference.test_wrong_graphs import KIND


def unsaid(of: str, name: str) -> str:
    """The same under another name, of which nobody knows how many axes it has before it is there."""
    return (
        f"sizes = Shape ({of}) some = Cast <to = 9> (sizes) all = Compress <axis = 0> (sizes, some) "
        f"{name} = Reshape ({of}, all)"
    )


def test_a_graph_that_says_no_shapes_is_taken_by_what_it_takes_and_gives(tmp_path: Path) -> None:
    made = graph(f"p = Softmax <axis = 1> (features) {unsaid('p', 'probabilities')}", "float[] features",
                 "float[] probabilities")  # fmt: skip
    said = answer(opened(tmp_path, made), x=2, y=1)
    assert isinstance(said, Label)
    assert said.label == "a"


def test_boxes_of_a_shape_that_is_not_said_are_boxes(tmp_path: Path) -> None:
    body = f"{unsaid('b', 'corners')} sure = Identity (s) which = Identity (c)"
    takes = "float[N, K, 4] b, float[N, K] s, int64[N, K] c"
    made = graph(body, takes, "float[] corners, float[N, K] sure, int64[N, K] which")
    found = opened(tmp_path, made, **test_boxes.says())
    assert test_boxes.told(answer(found, **test_boxes.ROW)) == [test_boxes.CAT, test_boxes.DOG]


def test_a_graph_of_a_later_format_is_told_to_be_exported_for_an_older_one(tmp_path: Path) -> None:
    made = onnx.load_from_string(graph(GOOD))
    made.ir_version = 99
    with pytest.raises(errors.BundleInvalid, match="cannot be opened; export it for an older opset"):
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", made.SerializeToString())))


@pytest.mark.parametrize("shape", ["N", "N, 1"])
def test_texts_go_in_as_a_column_or_without_one(tmp_path: Path, shape: str) -> None:
    body = 'word = Constant <value = string {"good"}> () same = Equal (words, word) p = Cast <to = 1> (same)'
    says: dict[str, Any] = {
        "kind": "text", "fields": [{"name": "text", "type": "string"}],
        "golden": [{"inputs": {"text": " Good"}, "prediction": "b", "confidence": 1.0}],
    }  # fmt: skip
    found = opened(tmp_path, graph(body, f"string[{shape}] words", f"float[{shape}] p", opset=19), **says)
    assert [said.label for said in graphs.labels(found, [{"text": "good"}, {"text": "bad"}])] == ["b", "a"]


def test_a_text_that_would_go_into_one_of_several_inputs_is_told_to_have_one(tmp_path: Path) -> None:
    made = graph(GOOD, "float[N, 2] features, string[N, 1] words")
    golden = [{"inputs": {"text": "a"}, "prediction": "a", "confidence": 1}]
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, made, kind="text", fields=[{"name": "text", "type": "string"}], golden=golden)
    hands = "'text' hands in 'text' (string [rows, 1]): export it with one input 'text' for all of it"
    assert caught.value.message.endswith(hands)


def test_what_a_kind_of_ones_own_hands_in_has_the_shape_that_the_graph_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = "import numpy; return {'features': numpy.ones((len(rows), 3), numpy.float32)}"
    graphs.plug_in(tmp_path, "of_three", KIND.format(init="pass", encode=three))
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(graphs.bundle(tmp_path / "bundle", kind="of_three")))
    told = "takes 'features' (float [*, 2]), but the fields of model.yaml make [rows, 3]"
    assert caught.value.message.endswith(told)


def test_a_kind_of_ones_own_is_an_object_and_no_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    graphs.plug_in(tmp_path, "a_class", "from inference.kinds.rows import RowKind\n\nclass Kind(RowKind): pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(errors.BundleInvalid, match="kind 'a_class' is a_class:Kind, a class: name an object of it"):
        kinds.find("a_class")
