"""What follows the sums of a graph: what it answers by them, and which of them stands for an answer."""

from __future__ import annotations

import math

import numpy as np
import pytest

from inference.explain.link import Link
from inference.explain.trees import NotAdditive

HALF = 1 / (1 + math.exp(-1.0))


@pytest.mark.parametrize(
    ("link", "sums", "answers"),
    [
        (Link("SOFTMAX", 3, 3, True), [0.0, math.log(3), 0.0], [0.2, 0.6, 0.2]),
        (Link("SOFTMAX", 2, 2, True), [1000.0, 0.0], [1.0, 0.0]),
        (Link("LOGISTIC", 1, 2, True), [1.0], [1 - HALF, HALF]),
        (Link("LOGISTIC", 2, 2, True), [1.0, -1000.0], [HALF, 0.0]),
        (Link("LOGISTIC", 1, 1, False), [1000.0], [1.0]),
        (Link("NONE", 1, 2, True), [0.25], [0.75, 0.25]),
        (Link("NONE", 2, 2, False), [3.0, -4.0], [3.0, -4.0]),
    ],
    ids=str,
)
def test_the_answers_of_a_row_follow_from_its_own_sums(link: Link, sums: list[float], answers: list[float]) -> None:
    others = [[0.0] * link.sums, sums, [7.0] * link.sums]
    assert link.answered(np.array(others))[1] == pytest.approx(answers)


@pytest.mark.parametrize(
    ("link", "scale", "stands"),
    [
        (Link("SOFTMAX", 2, 2, True), "score", [(0, 1.0, 0.0), (1, 1.0, 0.0)]),
        (Link("LOGISTIC", 1, 2, True), "log-odds", [(0, -1.0, 0.0), (0, 1.0, 0.0)]),
        (Link("NONE", 1, 2, True), "probability", [(0, -1.0, 1.0), (0, 1.0, 0.0)]),
        (Link("NONE", 1, 1, False), "number", [(0, 1.0, 0.0)]),
    ],
    ids=str,
)
def test_an_answer_has_a_sum_on_a_scale(link: Link, scale: str, stands: list[tuple[int, float, float]]) -> None:
    assert link.scale == scale
    assert [link.sum_for(answer) for answer in range(link.answers)] == stands


@pytest.mark.parametrize(
    ("post", "sums", "answers", "labels", "said"),
    [
        ("PROBIT", 1, 1, False, "PROBIT follows its sums"),
        ("NONE", 2, 3, True, "it has 2 sums, but the model gives 3 numbers"),
        ("NONE", 1, 3, True, "it has 1 sums, but the model gives 3 numbers"),
        ("NONE", 1, 2, False, "it has 1 sums, but the model gives 2 numbers"),
    ],
)
def test_other_ways_from_sums_to_answers_are_not_known(
    post: str, sums: int, answers: int, labels: bool, said: str
) -> None:
    with pytest.raises(NotAdditive, match=f"^{said}$"):
        Link(post, sums, answers, labels)
