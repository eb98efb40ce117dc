"""What a model says to rows: each its own answer, in order, and the threshold where it is drawn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest

from core import errors
from inference import bundle, model
from inference.interrupt import Interrupt
from inference.model import Model
from tests import graphs

#: What the small graph gives for x = 2, y = 1, as it is told: to six digits.
SURE = 0.731059


def opened(folder: Path, **says: Any) -> Model:
    found = model.open_model(bundle.load(graphs.bundle(folder / "bundle", **says)))
    assert isinstance(found, Model)
    return found


def test_each_row_has_its_own_answer_in_order(tmp_path: Path) -> None:
    rows = [{"x": 2, "y": 1}, {"x": 1, "y": 2}, {"x": 9, "y": 1}, {"x": 1, "y": 9}]
    found = graphs.labels(opened(tmp_path), rows)
    assert [item.label for item in found] == ["a", "b", "a", "b"]
    for item in found:
        assert item.confidence == max(item.scores.values()) == item.scores[item.label]
        assert list(item.scores) == ["a", "b"]
        assert sum(item.scores.values()) == pytest.approx(1, abs=1e-5)
    assert found[0].confidence == pytest.approx(SURE, abs=1e-6)


@pytest.mark.parametrize(
    ("threshold", "label"), [(0.0, "a"), (0.7499, "a"), (0.75, "a"), (0.7501, "unsure"), (1.0, "unsure")]
)
def test_an_answer_below_the_threshold_is_the_manifests_and_one_at_it_is_its_own(
    tmp_path: Path, threshold: float, label: str
) -> None:
    # The graph looks at how far the two are apart, and the threshold is one of them.
    golden = [{"inputs": {"x": 1.5, "y": 0.5}, "prediction": "a", "confidence": SURE}]
    found = opened(tmp_path, threshold_field="y", below_threshold="unsure", golden=golden)
    (item,) = graphs.labels(found, [{"x": threshold + math.log(3), "y": threshold}])
    assert (item.label, item.confidence) == (label, 0.75)


def test_a_run_that_was_told_to_stop_is_interrupted_and_no_failure_of_the_model(tmp_path: Path) -> None:
    interrupt = Interrupt()
    found = opened(tmp_path)
    assert found.predict([{"x": 2, "y": 1}], interrupt)
    interrupt.set()
    with pytest.raises(errors.ModelInterrupted):
        found.predict([{"x": 2, "y": 1}], interrupt)
    # The next run has a stop button of its own.
    assert found.predict([{"x": 2, "y": 1}], Interrupt())
