"""What is made of the numbers and texts that a run gave, and what is said of those that make no sense."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from core import errors
from inference import answers
from inference.answers.answer import Answer
from inference.manifest import Manifest
from inference.output import Boxes, Label
from tests import graphs
from tests.inference.test_tensors import gives

BOXES: dict[str, Any] = {"labels": ["cat", "dog"], "boxes": "b", "scores": "s", "classes": "c"}
SELECTED: dict[str, Any] = {"labels": ["cat", "dog"], "boxes": "b", "scores": "s", "selected": "k"}
CORNERS = np.array([[[0, 0, 1, 1], [0, 0, 2, 2]]], np.float32)
SURE, CLASSES = np.array([[0.75, 0.5]], np.float32), np.array([[0, 1]])


def of(**says: Any) -> Answer:
    promised = Manifest.from_dict(graphs.manifest(**{"labels": None, **says}))
    return answers.of(promised)(promised)


def counted(*count: Any) -> list[Any]:
    return [CORNERS, SURE, CLASSES, np.array([*count])[np.newaxis]]


#: What model.yaml says, what one run of so many rows gave, and what is said of that.
WRONG: list[tuple[dict[str, Any], list[Any], int, str]] = [
    ({"boxes": {"labels": ["a"]}}, [np.zeros((1, 2, 6), np.float32)], 2,
     "'predict' as float32 [1, 2, 6], but must give it for 2 rows"),
    ({"boxes": BOXES}, [CORNERS, SURE, np.array([["cat", "dog"]], object)], 1,
     "'c' as text [2] for a row, but must give a class for each box, [2]"),
    ({"boxes": {**BOXES, "first_class": 1}}, [CORNERS, SURE, CLASSES], 1,
     "'c' with class 0, but the classes of its labels are 1 to 2"),
    ({"boxes": {**BOXES, "count": "n"}}, counted(1, 1), 1, "'n' as int64 [2], but must give how many of 2 boxes there"),
    ({"boxes": {**BOXES, "count": "n"}}, counted("a"), 1, "'n' as a, but must give how many of 2 boxes there are"),
    ({"boxes": {**BOXES, "count": "n"}}, counted(3), 1, "'n' as 3, but must give how many of 2 boxes there are"),
    ({"boxes": SELECTED}, [CORNERS, np.zeros((1, 2, 3), np.float32), np.array([[0, 0, 0]])], 1,
     "'s' as float32 [2, 3] for boxes [2, 4] of a row, but must give floats [classes, boxes]"),
    ({"labels": ["a", "b", "c"]}, [[{"a": 0.5, "b": 0.5}]], 1, "scores for a, b, but its labels are a, b, c"),
    ({"text": True}, [np.array([["a", "b"]], object)], 1, "'predict' as text [1, 2], but must give text [1]"),
]  # fmt: skip


@pytest.mark.parametrize(("says", "given", "count", "told"), WRONG, ids=range(len(WRONG)))
def test_what_makes_no_sense_is_the_models_error_in_a_sentence(
    says: dict[str, Any], given: list[Any], count: int, told: str
) -> None:
    with pytest.raises(errors.ModelError) as caught:
        of(**says).read(given, count)
    assert caught.value.message.startswith(f"small gave {told}")


def boxes(says: dict[str, Any], *given: Any) -> list[tuple[str, float]]:
    answer = of(boxes=says)
    [said] = answer.said([{}], [answer.read(given, 1)])
    assert isinstance(said, Boxes)
    return [(box["label"], box["confidence"]) for box in said.boxes]


def test_as_many_boxes_are_told_as_are_said_to_be_there() -> None:
    every = [("cat", 0.75), ("dog", 0.5)]
    for count in range(3):
        assert boxes({**BOXES, "count": "n"}, *counted(count)) == every[:count]


def test_boxes_that_are_equally_sure_stay_in_the_graphs_order_and_have_six_digits() -> None:
    count = 200
    sure = np.tile(np.array([2 / 3, 0.75], np.float32), count // 2)[np.newaxis]
    labels = [f"l{place}" for place in range(count)]
    found = boxes({**BOXES, "labels": labels}, np.zeros((1, count, 4), np.float32), sure, np.arange(count)[np.newaxis])
    order = [*range(1, count, 2), *range(0, count, 2)]
    assert found == [(labels[place], 0.75 if place % 2 else 0.666667) for place in order]


def test_the_probability_of_the_second_label_may_be_none_or_all() -> None:
    [found] = of(labels=["a", "b"]).read([np.array([0, 1, 0.25], np.float32)], 3)
    assert found.tolist() == [[1, 0], [0, 1], [0.75, 0.25]]


def test_a_run_may_give_so_many_elements_and_a_row_so_many() -> None:
    answer, most = of(tensors=[gives("y", "int8", [None])]), 1 << 20
    row = np.broadcast_to(np.zeros(1, np.int8), most)
    assert answer.read([np.broadcast_to(row, (4, most))], 4)[0].shape == (4, most)
    with pytest.raises(errors.ModelError, match=r"^small gave 5242880 elements; there may be 4194304$"):
        answer.read([np.broadcast_to(row, (5, most))], 5)
    with pytest.raises(errors.ModelError, match=r"^small gave 1048577 elements; there may be 1048576$"):
        answer.read([np.broadcast_to(np.zeros(1, np.int8), (1, most + 1))], 1)


def test_a_threshold_that_was_left_out_is_told_by_its_name() -> None:
    answer = of(labels=["a", "b"], threshold_field="x", below_threshold="unsure")
    run = answer.read([np.array([[0.25, 0.75]], np.float32)], 1)
    assert answer.said([{"x": 0.8}], [run]) == [Label("unsure", 0.75, {"a": 0.25, "b": 0.75})]
    with pytest.raises(errors.ModelError, match=r"^small needs x, which was left out$"):
        answer.said([{"x": None}], [run])
