"""SHAP values of what can only be asked: near those of the definition, as near as they say themselves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml

from core import errors
from inference import bundle, check, model
from inference.explain import asked, background, sampled
from inference.explain.wanted import Known, Wanted
from inference.interrupt import Interrupt
from inference.output import Explanation, Label
from tests import graphs
from tests.inference import shapley

Array = np.ndarray[Any, Any]
PLAYERS = 12
SENTIMENT = Path(__file__).parents[2] / "bundles" / "sentiment-1"
TENSORS = [{"name": name, "type": "tensor", "dtype": "float32", "shape": [1]} for name in "xy"]
OF_TENSORS = [{"inputs": {"x": [1], "y": [1]}, "prediction": "a", "confidence": 1}]
WRITTEN = [{"inputs": {"x": 1, "y": 1}, "text": "a"}]
SAMPLED = {"method": "sampled", "background": "u"}
TEXT = [{"name": "text", "type": "string"}]


def game(seed: int, players: int = PLAYERS) -> sampled.Worth:
    """Players who also help and hinder each other, to a worth that is no sum."""
    random = np.random.default_rng(seed)
    alone, pairs = random.normal(size=players), random.normal(size=(players, players)) * 0.3
    return lambda masks: np.tanh((masks @ alone + ((masks @ pairs) * masks).sum(axis=1)) / 3)


def test_few_players_are_asked_in_every_combination() -> None:
    worth = game(1, 6)
    wanted = shapley.values(lambda there: float(worth(np.isin(np.arange(6), there)[None])[0]), 6)
    found = sampled.estimate(worth, 6, 64, seed=0)
    assert (found.algorithm, found.asked, found.errors.max()) == ("enumeration", 64, 0)
    assert found.scores == pytest.approx(wanted)


@pytest.mark.parametrize(
    ("budget", "algorithm"), [(sampled.least(PLAYERS), "permutation"), (72, "leverage"), (200, "leverage")]
)
def test_the_stated_error_covers_the_truth_as_often_as_it_should(budget: int, algorithm: str) -> None:
    within, off, stated = [], [], []
    for seed in range(40):
        truth = sampled.estimate(game(seed), PLAYERS, 2**PLAYERS, 0)
        found = sampled.estimate(game(seed), PLAYERS, budget, seed)
        assert (found.algorithm, found.asked <= budget) == (algorithm, True)
        assert found.base + found.scores.sum() == pytest.approx(found.whole)
        within.append(np.abs(found.scores - truth.scores) <= 1.96 * found.errors)
        off.append((found.scores - truth.scores) ** 2)
        stated.append(found.errors**2)
    assert 0.9 <= np.mean(within) <= 0.99
    # Nor is it said to be much further off than it is.
    assert 0.6 <= np.sqrt(np.mean(off) / np.mean(stated)) <= 1


def test_more_questions_give_a_smaller_error() -> None:
    few, many = (sampled.estimate(game(5), PLAYERS, budget, 0) for budget in (72, 1000))
    truth = sampled.estimate(game(5), PLAYERS, 2**PLAYERS, 0).scores
    assert np.abs(many.scores - truth).max() < np.abs(few.scores - truth).max()
    assert many.errors.mean() < few.errors.mean()


def test_no_more_is_asked_than_it_takes_to_know_the_scores_within_a_tolerance() -> None:
    budget, seen = 1000, []
    for seed in range(20):
        worth = game(seed)
        truth = sampled.estimate(worth, PLAYERS, 2**PLAYERS, 0).scores
        whole = sampled.estimate(worth, PLAYERS, budget, seed)
        tolerance = 4 * float(whole.errors.max())
        found = sampled.estimate(worth, PLAYERS, budget, seed, sampled.Enough(tolerance))
        assert 2 * found.errors.max() <= tolerance
        assert found.asked < whole.asked == budget
        seen.append(np.abs(found.scores - truth).max() <= tolerance)
    assert np.mean(seen) >= 0.9
    # What cannot be had is as good as all questions make it.
    fine = sampled.estimate(game(1), PLAYERS, budget, 1, sampled.Enough(1e-9))
    assert fine.scores == pytest.approx(sampled.estimate(game(1), PLAYERS, budget, 1).scores)


@pytest.mark.parametrize("players", [7, 8])
def test_what_a_tolerance_cannot_be_had_for_is_exact_in_the_end(players: int) -> None:
    found = sampled.estimate(game(1, players), players, 2**players, 1, sampled.Enough(1e-9))
    exact = sampled.estimate(game(1, players), players, 2**players, 1)
    assert (found.algorithm, found.errors.max()) == ("enumeration", 0)
    assert found.scores == pytest.approx(exact.scores)


@pytest.mark.parametrize(
    ("first", "last", "stages"), [(6, 12, [6, 8, 12]), (7, 26, [8, 12, 18, 26]), (6, 13, [6, 8, 12, 13]), (6, 4, [4])]
)
def test_each_stage_asks_half_as_many_again_in_pairs_and_the_last_all(first: int, last: int, stages: list[int]) -> None:
    assert list(sampled._stages(first, last)) == stages


@pytest.fixture
def asking(tmp_path: Path) -> model.Model:
    """The likelier of two labels is the larger number, and what is usual is either."""
    says = {"method": "sampled", "background": "usual.jsonl", "evaluations": 64}
    folder = graphs.bundle(tmp_path / "b", explanation=["shap"], explain=says)
    (folder / "usual.jsonl").write_bytes(b"\n".join(orjson.dumps({"x": x, "y": y}) for x, y in USUAL))
    loaded = bundle.load(folder)
    check.check(loaded)
    opened = model.open_model(loaded)
    assert isinstance(opened, model.Model)
    return opened


USUAL = [(0, 0), (1, 0), (0, 1)]


def why(opened: model.Model, row: Mapping[str, Any], **how: Any) -> Explanation:
    [said] = opened.explained([row], opened.predict([row]), **how)
    assert isinstance(said, Label)
    assert said.explained is not None
    return said.explained


def test_a_model_that_is_asked_explains_its_likeliest_label(asking: model.Model) -> None:
    row, heard = {"x": 2.0, "y": 1.0}, list[float]()
    found = why(asking, row, wanted=Wanted(progress=heard.append))
    wanted = shapley.against(
        lambda rows: 1 / (1 + np.exp(rows[:, 1] - rows[:, 0])), np.array([2.0, 1.0]), np.array(USUAL, float), [[0], [1]]
    )
    assert (found.output, found.scale, found.algorithm) == ("a", "probability", "enumeration")
    assert found.scores == pytest.approx(wanted, abs=1e-6)
    assert found.value == pytest.approx(graphs.CONFIDENCE, abs=1e-6)
    assert found.evaluations == 4 * len(USUAL)
    assert heard == sorted(heard)
    assert heard


def test_whoever_wants_it_no_more_ends_it(asking: model.Model) -> None:
    row, interrupt = {"x": 2.0, "y": 1.0}, Interrupt()
    said = asking.predict([row])
    interrupt.set()
    with pytest.raises(errors.ModelInterrupted):
        asking.explained([row], said, interrupt)


@pytest.fixture
def reading(tmp_path: Path) -> model.Model:
    """One that judges texts, and is asked for its reasons."""
    folder = shutil.copytree(SENTIMENT, tmp_path / "b")
    says = yaml.safe_load((folder / "model.yaml").read_text())
    says |= {"explanation": ["simple", "shap"], "explain": {"method": "sampled"}}
    (folder / "model.yaml").write_text(yaml.safe_dump(says))
    opened = model.open_model(bundle.load(folder))
    assert isinstance(opened, model.Model)
    return opened


def test_a_text_is_explained_by_its_words_against_the_text_without_them(reading: model.Model) -> None:
    def worth(there: Sequence[int]) -> float:
        text = " ".join(word for place, word in enumerate(words) if place in there)
        return float(reading.scores([{"text": text}])[0, 1])

    words = ["A", "gripping", "film,", "beautifully", "acted."]
    row = {"text": " ".join(words), "language": "en", "confidence_threshold": 0.0}
    found = why(reading, row)
    assert (found.output, found.features) == ("positive", words)
    assert found.scores == pytest.approx(shapley.values(worth, len(words)), abs=1e-6)


def test_what_is_known_is_not_asked_again_and_what_is_asked_is_known(
    reading: model.Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"text": "so good it hurts and never ends well", "language": "en", "confidence_threshold": 0.0}
    known: list[Known] = [{}]
    whole = why(reading, row, wanted=Wanted(known=known))
    assert whole.evaluations == len(known[0]) == 256
    scores, asked = reading.scores, list[int]()

    def counted(rows: model.Rows, interrupt: Interrupt | None) -> Any:
        asked.append(len(rows))
        return scores(rows, interrupt)

    monkeypatch.setattr(reading, "scores", counted)
    half = dict([*known[0].items()][:100])
    assert why(reading, row, wanted=Wanted(known=[half])) == whole
    assert sum(asked) == 156


def test_a_long_text_is_explained_by_runs_of_words() -> None:
    assert asked.parted("so good  it hurts ") == ["so", " good", "  it", " hurts"]
    assert asked.parted("   ") == ["   "]
    long = " ".join(f"w{number}" for number in range(1000))
    assert len(asked.parted(long)) == asked.MOST_PARTS
    assert "".join(asked.parted(long)) == long
    began = time.thread_time()
    assert asked.parted(f"a{' ' * 200_000}") == ["a"]
    assert time.thread_time() - began < 5


@pytest.mark.parametrize("words", ["un\x1cforgettable great", "not\x85good", "  a\x1fwful a\x1fwful ", "so\n\tso"])
def test_a_text_is_explained_as_it_stands_whatever_parts_its_words(reading: model.Model, words: str) -> None:
    row = {"text": words, "language": "en", "confidence_threshold": 0.0}
    found = why(reading, row)
    [said] = reading.predict([row])
    assert isinstance(said, Label)
    assert found.value == pytest.approx(said.confidence, abs=1e-6)
    assert found.additivity_error < 1e-6
    assert all(name == name.strip() != "" for name in found.features)


#: What model.yaml may not say of explanations, and what is said of it.
BROKEN: list[tuple[dict[str, Any], str]] = [
    ({"explanation": ["shap"]}, "explain is missing: it says how shap is made"),
    ({"explain": {"method": "exact"}}, "explain is for models whose explanation has shap"),
    ({"explanation": ["shap"], "explain": {"method": "exact"}}, "background of explain is missing"),
    ({"explanation": ["simple", "simple"]}, "explanation 2 is the same as number 1: simple"),
    (
        {"explanation": ["shap"], "explain": {"method": "exact", "background": "u", "evaluations": 100}},
        "evaluations of explain is for sampled: exact asks the model nothing",
    ),
    ({"explanation": ["shap"], "explain": {"method": "exact", "background": "none.jsonl"}}, "has no file none.jsonl"),
    (
        {"explanation": ["shap"], "explain": {"method": "exact", "background": "u", "groups": {"x": ["y", "z"]}}},
        "is the name of a field that is not in it",
    ),
    (
        {"explanation": ["shap"], "explain": {"method": "exact", "background": "u", "groups": {"xy": ["x", "z"]}}},
        "names 'z', which is no field",
    ),
    (
        {
            "explanation": ["shap"],
            "explain": {"method": "exact", "background": "u", "groups": {"s": ["x", "y"], "t": ["y", "x"]}},
        },
        "names y, which is in a group already",
    ),
    (
        {"explanation": ["shap"], "labels": None, "text": True, "golden": WRITTEN, "explain": SAMPLED},
        "explain is for models that give labels, or one number",
    ),
    (
        {"explanation": ["shap"], "kind": "text", "fields": TEXT, "explain": {"method": "exact", "background": "u"}},
        "method of explain must be sampled for texts",
    ),
    (
        {"explanation": ["shap"], "kind": "tensor", "fields": TENSORS, "golden": OF_TENSORS, "explain": SAMPLED},
        "is for fields of tabular and words of texts",
    ),
]


@pytest.mark.parametrize(("says", "told"), BROKEN)
def test_what_model_yaml_may_not_say_of_explanations(says: dict[str, Any], told: str, tmp_path: Path) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        bundle.load(graphs.bundle(tmp_path / "b", **says))
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (b"", "is empty"), (b"{", "line 1: is no JSON"), (b'{"x": 1, "y": 2}\n{"x": 1}', "line 2: y"),
        (b'{"x": 1, "y": 2}\n' * (background.MOST_ROWS + 1), f"has more than {background.MOST_ROWS} lines"),
        (b" " * (background.MAX_BYTES + 1), f"is larger than {background.MAX_BYTES} bytes"),
    ],
)  # fmt: skip
def test_usual_inputs_are_as_good_as_anybody_s(lines: bytes, told: str, tmp_path: Path) -> None:
    folder = graphs.bundle(
        tmp_path / "b", explanation=["shap"], explain={"method": "sampled", "background": "usual.jsonl"}
    )
    (folder / "usual.jsonl").write_bytes(lines)
    with pytest.raises(errors.BundleInvalid) as caught:
        check.check(bundle.load(folder))
    assert told in str(caught.value)
