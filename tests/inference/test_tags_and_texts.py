"""Models that answer with any number of tags, and with a text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from core import errors
from inference.output import Tags, Text
from tests.graphs import graph
from tests.inference.test_answers import answer, opened

SIGMOID = "likely = Sigmoid (features)"
#: Of x = 2 and y = 1.
ONE, TWO = 0.731059, 0.880797
TAGGED = {"inputs": {"x": 2, "y": 1}, "tags": {"warm": TWO, "loud": ONE}}
LABELLED = [{"inputs": {"x": 2, "y": 1}, "prediction": "a", "confidence": 1}]
SAYS: Mapping[str, Any] = {"labels": None, "tags": ["warm", "loud"], "golden": [TAGGED]}


def tagger(body: str = SIGMOID, gives: str = "float[N, 2] likely") -> bytes:
    return graph(body, gives=gives)


def test_tags_are_those_that_are_likely_enough_the_likeliest_first(tmp_path: Path) -> None:
    found = opened(tmp_path, tagger(), **SAYS)
    assert answer(found, x=1, y=2) == Tags(["loud", "warm"], {"warm": ONE, "loud": TWO})
    assert answer(found, x=2, y=1) == Tags(["warm", "loud"], {"warm": TWO, "loud": ONE})
    assert answer(found, x=-1, y=0) == Tags(["loud"], {"warm": 0.268941, "loud": 0.5})
    assert answer(found, x=-1, y=-1).tags == []  # type: ignore[union-attr]


def test_how_likely_is_enough_can_be_said_and_may_be_nothing(tmp_path: Path) -> None:
    sure = opened(
        tmp_path / "sure", tagger(), **{**SAYS, "at_least": 0.8, "golden": [{**TAGGED, "tags": {"warm": TWO}}]}
    )
    assert answer(sure, x=2, y=1).tags == ["warm"]  # type: ignore[union-attr]
    every = opened(tmp_path / "every", tagger(), **SAYS, at_least=0)
    assert answer(every, x=-9, y=-8).tags == ["loud", "warm"]  # type: ignore[union-attr]
    assert every.bundle.manifest.to_dict()["at_least"] == 0


def test_a_single_tag_may_be_a_column_of_its_own(tmp_path: Path) -> None:
    made = graph("sum = ReduceSum <keepdims = 0> (features, across) likely = Sigmoid (sum)", gives="float[N] likely")
    golden = [{"inputs": {"x": 0.5, "y": 0.5}, "tags": {"warm": ONE}}]
    assert answer(opened(tmp_path, made, labels=None, tags=["warm"], golden=golden), x=1, y=1).tags == ["warm"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("says", "told"),
    [
        ({"golden": [{**TAGGED, "tags": {"warm": TWO}}]}, "must not give loud, but gives it 0.731059"),
        ({"golden": [{**TAGGED, "tags": {"warm": 0.85, "loud": ONE}}]}, "must give warm 0.85, but gives it 0.880797"),
        ({"tags": ["warm"], "golden": [{**TAGGED, "tags": {}}]}, "one for each of the tags of model.yaml (warm); whe"),
        ({"labels": ["a", "b"], "golden": LABELLED}, "tags is what comes out, and so is labels: say one of them"),
        ({"threshold_field": "x", "below_threshold": "a"}, "threshold_field is for models that give labels"),
        (
            {"labels": ["a", "b"], "tags": None, "at_least": 0.1, "golden": LABELLED},
            "at_least is for models that give ta",
        ),
    ],
)
def test_tags_that_are_not_as_they_are_said_are_refused(tmp_path: Path, says: dict[str, Any], told: str) -> None:
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, tagger(), **{**SAYS, **says})
    assert told in caught.value.message


def test_scores_that_are_no_probabilities_are_no_tags(tmp_path: Path) -> None:
    with pytest.raises(errors.BundleInvalid, match="gave 'likely' with 2, which is no probability"):
        opened(tmp_path, tagger("likely = Identity (features)"), **SAYS)


WORD = [{"name": "word", "type": "string"}]


def writer(takes: str = "string[N] word", gives: str = "string[N] text", body: str = "text = Identity (word)") -> bytes:
    return graph(body, takes, gives)


def says(text: str, word: str = "Übung") -> dict[str, Any]:
    return {"labels": None, "text": True, "fields": WORD, "golden": [{"inputs": {"word": word}, "text": text}]}


@pytest.mark.parametrize(
    ("takes", "gives"), [("string[N] word", "string[N] text"), ("string[N, 1] word", "string[N, 1] text")]
)
def test_a_text_is_answered_as_it_is(tmp_path: Path, takes: str, gives: str) -> None:
    found = opened(tmp_path, writer(takes, gives), **says("Übung"))
    assert answer(found, word="") == Text("")
    rows = [{"word": word} for word in ("a", 'say "ä"\n', "a\0b")]
    assert found.predict(rows) == [Text(row["word"]) for row in rows]


def test_a_text_that_is_too_long_is_no_answer(tmp_path: Path) -> None:
    found = opened(tmp_path, writer(), **says("a", "a"))
    longest = 1 << 20
    assert found.predict([{"word": "x" * longest}]) == [Text("x" * longest)]
    with pytest.raises(errors.ModelError, match="gave 'text' with a text of 1048577 characters; it may have 1048576"):
        found.predict([{"word": "x" * (longest + 1)}])


def test_a_text_is_found_among_other_outputs(tmp_path: Path) -> None:
    body = "text = Identity (word) length = Shape (word)"
    assert answer(
        opened(tmp_path, writer(gives="int64[D] length, string[N] text", body=body), **says("Übung")), word="a"
    )


def test_a_text_that_is_another_one_is_shown_from_where_it_differs(tmp_path: Path) -> None:
    wanted = f"{'x' * 500}a"
    with pytest.raises(errors.BundleInvalid) as caught:
        opened(tmp_path, writer(), **says(wanted, f"{'x' * 500}b"))
    shown = f"must give the text '{'x' * 20}a', but gives '{'x' * 20}b', different from character 501 on"
    assert shown in caught.value.message


def test_texts_of_rows_that_know_of_each_other_are_refused(tmp_path: Path) -> None:
    place = "place = Constant <value = int64[1] {0}> () first = Gather (word, place) shape = Shape (word)"
    made = writer(body=f"{place} text = Expand (first, shape)")
    with pytest.raises(errors.BundleInvalid, match="gives a row another answer beside another row than alone, in a ba"):
        opened(tmp_path, made, **says("Übung"))


def test_numbers_are_no_text(tmp_path: Path) -> None:
    made = graph("text = Identity (features)", gives="float[N, 2] text")
    golden = [{"inputs": {"x": 2, "y": 1}, "text": "a"}]
    with pytest.raises(errors.BundleInvalid, match=r"must give strings \[rows\], a text for each; where it is"):
        opened(tmp_path, made, labels=None, text=True, golden=golden)
