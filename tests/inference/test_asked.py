"""What is said of reasons that were asked for: on which scale, how far off, and when all of it is done."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest

from core import errors
from inference import bundle, model
from inference.explain import asked, sampled
from inference.explain.wanted import Wanted
from inference.output import Explanation, Numbers
from tests import graphs
from tests.inference.test_sampled import game

USUAL = [0.0, 2.0]


def adding(folder: Path, count: int) -> model.Model:
    """A model that adds up so many numbers, of which 0 and 2 are usual."""
    names = [f"x{place}" for place in range(count)]
    made = graphs.graph("sum = ReduceSum (features, across)", f"float[N, {count}] features", "float[N, 1] sum")
    graphs.bundle(
        folder, made, labels=None, numbers=[{"name": "sum"}],
        fields=[{"name": name, "type": "number"} for name in names],
        golden=[{"inputs": dict.fromkeys(names, 1), "prediction": count}], explanation=["shap"],
        explain={"method": "sampled", "background": "usual.jsonl", "evaluations": 64},
    )  # fmt: skip
    rows = [dict.fromkeys(names, value) for value in USUAL]
    (folder / "usual.jsonl").write_bytes(b"\n".join(map(orjson.dumps, rows)))
    opened = model.open_model(bundle.load(folder))
    assert isinstance(opened, model.Model)
    return opened


def why(opened: model.Model, row: dict[str, Any], heard: list[float]) -> Explanation:
    [said] = opened.explained([row], opened.predict([row]), wanted=Wanted(progress=heard.append))
    assert isinstance(said, Numbers)
    assert said.explained is not None
    return said.explained


@pytest.mark.parametrize(
    ("count", "algorithm", "asked_for"), [(2, "enumeration", 4), (6, "enumeration", 64), (7, "leverage", 64)]
)
def test_a_number_is_explained_on_its_own_scale_and_exactly_where_all_is_asked(
    tmp_path: Path, count: int, algorithm: str, asked_for: int
) -> None:
    heard: list[float] = []
    found = why(adding(tmp_path / "b", count), {f"x{place}": float(place) for place in range(count)}, heard)
    assert (found.output, found.scale, found.algorithm) == ("sum", "number", algorithm)
    assert found.scores == pytest.approx([place - 1 for place in range(count)], abs=1e-4)
    assert (found.base_value, found.value) == pytest.approx((count, sum(range(count))))
    assert found.evaluations == asked_for * len(USUAL)
    if algorithm == "enumeration":
        assert found.std_errors is None
    else:
        assert found.std_errors == pytest.approx([0] * count, abs=1e-4)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0


@pytest.mark.usefixtures("no_garbage_collected")
def test_a_model_that_was_explained_goes_with_the_last_who_holds_it(tmp_path: Path) -> None:
    opened = adding(tmp_path / "b", 2)
    why(opened, {"x0": 1.0, "x1": 2.0}, [])
    left = weakref.ref(opened)
    del opened
    assert left() is None


def test_a_model_that_does_not_say_how_is_not_explained(tmp_path: Path) -> None:
    opened = model.open_model(bundle.load(graphs.bundle(tmp_path / "b")))
    assert isinstance(opened, model.Model)
    row = {"x": 2.0, "y": 1.0}
    with pytest.raises(errors.BundleInvalid, match=r"model\.yaml does not say how its answers are explained$"):
        opened.explained([row], opened.predict([row]))


def test_the_fewest_questions_are_known_and_a_text_has_so_many_parts() -> None:
    assert [sampled.least(players) for players in (1, 2, 3, 4, 5, 12)] == [2, 4, 8, 14, 18, 46]
    assert (sampled.FOR_REGRESSION, asked.MOST_PARTS) == (6, 64)
    words = [f"w{place}" for place in range(65)]
    assert asked.parted(" ".join(words[:64])) == ["w0", *(f" {word}" for word in words[1:64])]
    parts = asked.parted(" ".join(words))
    assert (len(parts), "".join(parts)) == (64, " ".join(words))


def test_scores_will_do_within_twice_their_errors_and_all_combinations_are_asked_where_that_is_as_quick() -> None:
    errors_of = np.array([0.25, 0.5])
    assert [sampled.Enough(most).by(errors_of) for most in (0.0, 0.99, 1.0)] == [False, False, True]
    assert not sampled.Enough().by(np.zeros(2))
    in_time = sampled.Enough(late=lambda more: more > 0, at_once=2)
    assert in_time.asked(game(1, 3), np.eye(3, dtype=bool)).tolist() == game(1, 3)(np.eye(3, dtype=bool)).tolist()
    assert sampled.Enough().at_once % 2 == 0
    found = [sampled.estimate(game(1, players), players, 128, 1, sampled.Enough(1e9)) for players in (6, 7)]
    assert [(each.algorithm, each.asked < 128) for each in found] == [("enumeration", True), ("leverage", True)]


def test_an_estimate_is_made_of_the_fewest_questions_and_more() -> None:
    def worth(masks: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return masks @ np.arange(1.0, 6.0)

    for budget, algorithm in ((18, "permutation"), (29, "permutation"), (30, "leverage"), (32, "enumeration")):
        found = sampled.estimate(worth, 5, budget, 0)
        assert found.algorithm == algorithm
        assert found.asked <= budget
        assert found.scores == pytest.approx([1, 2, 3, 4, 5])
