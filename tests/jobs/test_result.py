"""What a job comes to: read as it was written, by this release or an earlier one, and told in the words of v1."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace
from typing import Any

import pytest

import models
from core import errors
from inference.output import Boxes, Embedding, Explanation, Label, Numbers, Object, Record, Tags, Tensors, Text, reasons
from jobs import queries, result, told
from jobs.result import Fault, Kept, Part, Result, Rows, Several, Stored, WithFiles
from tests import factories
from tests.conftest import Platform

GOOD = Label("positive", 0.9, {"positive": 0.9, "negative": 0.1})
BAD = Fault({"code": "INVALID_INPUT", "message": "no"})
SHOWN = {"prediction": "positive", "confidence": 0.9}
EXPLAINED = {**SHOWN, "explanation": {"method": "scores", "scores": dict(GOOD.scores)}}
#: What moved it most stands behind what moved it less, as the fields of a model do.
WHY = Explanation("leverage", "positive", "probability", ["a", "b"], [0.1, -0.4], [0.01, 0.02], 1.2, 0.9, 0.0, 64)
TOLD_WHY = {
    "method": "SHAP",
    "feature_importance": [
        {"feature": "b", "place": 1, "score": -0.4, "std_error": 0.02},
        {"feature": "a", "place": 0, "score": 0.1, "std_error": 0.01},
    ],
    "algorithm": "leverage",
    "output": "positive",
    "scale": "probability",
    "base_value": 1.2,
    "value": 0.9,
    "additivity_error": 0.0,
    "evaluations": 64,
}
COUNTED = {"rows": 3, "failed": 1}
#: Its names are its own, whatever they mean elsewhere.
ODD = {"rows": 1, "failed": 2, "form": "x"}
FILE, TOLD = Kept("a.png", "image/png", 3, "k"), {"name": "a.png", "content_type": "image/png", "bytes": 3}
LARGE = {"bytes": 9, "files": [TOLD]}
#: Each with what is shown of it, without an explanation and with one.
ALL: dict[str, tuple[Result | Fault, Any, Any]] = {
    "label": (GOOD, SHOWN, EXPLAINED),
    "tags": (
        Tags(["b", "a"], {"a": 0.6, "b": 0.9, "c": 0.1}),
        {"tags": [{"label": "b", "confidence": 0.9}, {"label": "a", "confidence": 0.6}]},
        {
            "tags": [{"label": "b", "confidence": 0.9}, {"label": "a", "confidence": 0.6}],
            "explanation": {"method": "scores", "scores": {"a": 0.6, "b": 0.9, "c": 0.1}},
        },
    ),
    "tensors": (
        Tensors({"y": {"dtype": "int8", "shape": [1, 2], "data": [1, 2]}}),
        {"tensors": {"y": {"dtype": "int8", "shape": [1, 2], "data": [1, 2]}}},
        {"tensors": {"y": {"dtype": "int8", "shape": [1, 2], "data": [1, 2]}}},
    ),
    "boxes": (
        Boxes([{"label": "cat", "confidence": 0.9, "box": [1, 2, 3.5, 4]}]),
        {"boxes": [{"label": "cat", "confidence": 0.9, "box": [1, 2, 3.5, 4]}]},
        {"boxes": [{"label": "cat", "confidence": 0.9, "box": [1, 2, 3.5, 4]}]},
    ),
    "no boxes": (Boxes([]), {"boxes": []}, {"boxes": []}),
    "text": (Text("Grüezi"), {"text": "Grüezi"}, {"text": "Grüezi"}),
    "fault": (BAD, {"error": BAD.error}, {"error": BAD.error}),
    "a number": (Numbers({"price": 7.5}), {"prediction": 7.5}, {"prediction": 7.5}),
    "numbers": (Numbers({"a": 1, "b": 2}), {"prediction": {"a": 1, "b": 2}}, {"prediction": {"a": 1, "b": 2}}),
    "embedding": (Embedding([0.5, -1]), {"embedding": [0.5, -1]}, {"embedding": [0.5, -1]}),
    "an object": (Object(ODD), {"record": ODD}, {"record": ODD}),
    "several": (
        Several([GOOD, BAD]),
        {"predictions": [SHOWN, {"error": BAD.error}]},
        {"predictions": [EXPLAINED, {"error": BAD.error}]},
    ),
    "record": (Record(ODD), ODD, ODD),
    "rows": (Rows(3, 1, "a", "b", sent=False, send_error={"code": "X"}), COUNTED, COUNTED),
    "rows without": (Rows(3, 1), COUNTED, COUNTED),
    "part": (Part("k", 3, 1, "e"), COUNTED, COUNTED),
    "stored": (Stored("k", 9), {"bytes": 9}, {"bytes": 9}),
    "with files": (WithFiles(Record(ODD), [FILE]), {**ODD, "files": [TOLD]}, {**ODD, "files": [TOLD]}),
    "stored with files": (WithFiles(Stored("k", 9), [FILE]), LARGE, LARGE),
}


@pytest.mark.parametrize("name", ALL)
def test_it_is_read_as_it_was_written_and_shown_as_it_is_asked_for(name: str) -> None:
    found, plain, explained = ALL[name]
    assert result.load(result.dump(found)) == found
    assert (told.v1(found, ""), told.v1(found, "simple")) == (plain, explained)


def test_each_is_stored_by_a_word_that_stays_as_other_releases_read_it() -> None:
    words = {type(found): result.dump(found)["form"] for found, _, _ in ALL.values()}
    assert words == {
        Label: "label", Tags: "tags", Numbers: "numbers", Embedding: "embedding", Text: "text", Tensors: "tensors",
        Boxes: "boxes", Object: "object", Record: "record", Fault: "fault", Several: "several", Rows: "rows",
        Part: "part", Stored: "stored", WithFiles: "with_files",
    }  # fmt: skip


@pytest.mark.parametrize("said", [Label("positive", 0.9, dict(GOOD.scores), WHY), Numbers({"price": 7.5}, WHY)])
def test_reasons_are_kept_with_the_answer_and_told_by_their_weight(said: Label | Numbers) -> None:
    exact = dataclasses.replace(said, explained=dataclasses.replace(WHY, std_errors=None))
    shown = {
        feature["feature"]: feature.keys() for feature in told.v1(exact, "shap")["explanation"]["feature_importance"]
    }
    assert shown == {name: {"feature", "place", "score"} for name in "ab"}
    short = dataclasses.replace(said, explained=dataclasses.replace(WHY, cut_short=True))
    for each in (said, exact, short):
        assert result.load(result.dump(each)) == each
        # A large list is kept as it is told.
        again = result.load({"predictions": [told.v1(each, "shap")]})
        assert told.v1(again, "shap") == {"predictions": [told.v1(each, "shap")]}
        assert [reasons(one) for one in again.items] == [each.explained]
    assert told.v1(said, "shap")["explanation"] == TOLD_WHY
    assert told.v1(short, "shap")["explanation"] == {**TOLD_WHY, "cut_short": True}
    assert "explanation" not in told.v1(said, "")


@pytest.mark.parametrize(
    ("stored", "found"),
    [
        ({**SHOWN, "scores": dict(GOOD.scores)}, GOOD),
        (SHOWN, Label("positive", 0.9, {})),
        ({"predictions": [{**SHOWN, "scores": dict(GOOD.scores)}, {"error": BAD.error}]}, Several([GOOD, BAD])),
        ({"segments": [], "duration_s": 1.0}, Record({"segments": [], "duration_s": 1.0})),
        ({"rows": 3, "failed": 1, "output_key": "a", "errors_key": "b"}, Rows(3, 1, "a", "b")),
        ({"rows": 3, "failed": 0, "output_key": "a", "sent": True}, Rows(3, 0, "a", sent=True)),
        ({"key": "k", "rows": 3, "failed": 0}, Part("k", 3, 0)),
        ({"stored_key": "k", "bytes": 9}, Stored("k", 9)),
    ],
)
def test_what_an_earlier_release_stored_is_read(stored: dict[str, Any], found: Result) -> None:
    assert result.load(stored) == found


OF_AN_INPUT = {
    name for name in ALL if not isinstance(ALL[name][0], Several | Record | Rows | Part | Stored | WithFiles)
}


@pytest.mark.parametrize("explain", ["", "simple"])
@pytest.mark.parametrize("name", sorted(OF_AN_INPUT))
def test_a_list_that_was_stored_as_it_was_told_is_told_so_again(name: str, explain: str) -> None:
    stored = {"predictions": [ALL[name][2 if explain else 1], {"error": BAD.error}]}
    read = result.load(stored)
    assert told.v1(read, explain) == stored
    # A Record is told as it is as well: other editions tell by the class.
    assert [type(one) for one in read.items] == [type(ALL[name][0]), Fault]


def test_what_a_later_release_stored_is_not_guessed_at() -> None:
    with pytest.raises(errors.Unavailable, match="'hologram'"):
        result.load({"form": "hologram", "rays": 7})


def test_the_errors_of_a_list_that_an_earlier_release_kept_with_the_job_are_in_their_places(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    options = {"explain": "", "faults": {"0": {"error": BAD.error}, "2": {"error": BAD.error}}}
    job_id = factories.job(platform, tenant, status="completed", options=options, inputs=[{}])["id"]
    factories.add(platform, models.JobResult, job_id=job_id, body={"predictions": [SHOWN]})
    assert queries.get(platform.engine, tenant, job_id).result == Several([BAD, Label("positive", 0.9, {}), BAD])


@pytest.mark.parametrize(("text", "told_"), [("x" * 8181, True), ("x" * 8182, False), ("ä" * 4091, False)])
def test_receivers_are_told_of_a_result_up_to_eight_kibibytes(text: str, told_: bool) -> None:
    job: Any = SimpleNamespace(options={})
    said = told.to_receivers(job, Record({"text": text}))
    assert (said is not None) is told_
    assert len(('{"text":"' + text + '"}').encode()) <= 8192 or said is None
