"""What `models show`, `models try` and `explain` make of whatever a platform says of a model, to the last word."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import JOB, KEY, Answer, Done, Run, serving

JSON = {"Content-Type": "application/json"}
ROWS = ["application/x-ndjson", "text/csv"]
TAKES = {
    "required": ["text", "inner"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "maxLength": 1000, "description": "What is said"},
        "tags": {"type": "array", "minItems": 2, "maxItems": 3, "default": None},
        "size": {"type": "number", "minimum": 0, "maximum": 9, "unit": "CHF", "default": 0},
        "mode": {"enum": ["a", "b"], "default": "é"},
        "inner": {"required": ["x"], "properties": {"x": {"type": "integer"}, "y": {"type": "boolean"}}},
    },
}
VERSION: dict[str, Any] = {
    "model": "m", "version": "1.0.0", "stable": True, "deprecated": False, "summary": "Says é", "kind": "text",
    "inline": True, "pool": "gpu", "licence": "MIT", "example": {"text": "é"}, "input_schema": TAKES,
    "output_schema": {}, "file_types": ROWS,
}  # fmt: skip


def platform(*, answer: Answer | None = None, job: Answer | None = None, **version: Any) -> Callable[[str], Answer]:
    """One that has the model `m`, says this of it, and answers so."""
    found = {**VERSION, **version}

    def answers(path: str) -> Answer:
        if path.endswith("/models/m"):
            return 200, JSON, json.dumps({"versions": ["1.0.0"], "stable_version": "1.0.0"}).encode()
        if "/versions/" in path:
            return 200, JSON, json.dumps(found).encode()
        said = job if "/jobs/" in path else answer
        assert said is not None, path
        return said

    return answers


def asked(run: Run, answers: Callable[[str], Answer], *words: str) -> Done:
    with serving(answers) as (url, _):
        return run(*words, COATCHECK_URL=url, COATCHECK_API_KEY=KEY)


def test_a_model_is_shown_with_every_limit_of_what_it_takes(run: Run) -> None:
    done = asked(run, platform(), "models", "show", "m")
    assert (done.code, done.err) == (0, "")
    assert [re.split(r"\s{2,}", line) for line in done.out.splitlines()] == [
        ["m 1.0.0", "the stable version"],
        ["Says é"],
        ["kind text, answers at once on gpu, licence MIT"],
        [""],
        ["takes:"],
        ["name", "type", "required", "default", "limits", "description"],
        ["text", "string", "yes", "at least 1 characters, at most 1000 characters", "What is said"],
        ["tags", "array", "at least 2 items, at most 3 items"],
        ["size", "number", "0", "from 0, to 9, in CHF"],
        ["mode", '"é"', "one of a, b"],
        ["inner.x", "integer", "yes"],
        ["inner.y", "boolean"],
        [""],
        ['example: {"text": "é"}'],
    ]


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({}, "deprecated: use another version"),
        ({"sunset_at": "2999-01-31T00:00:00Z"}, "deprecated; until 2999-01-31: use another version"),
        ({"deprecation": "Use 2.0.0"}, "deprecated: Use 2.0.0"),
    ],
)
def test_what_is_known_of_the_end_of_a_version_is_told(run: Run, more: dict[str, Any], told: str) -> None:
    done = asked(run, platform(deprecated=True, inline=False, **more), "models", "show", "m")
    assert done.out.splitlines()[1:4] == [told, "Says é", "kind text, answers by a job on gpu, licence MIT"]


PREDICTED = {"model": "m", "model_version": "1.0.0", "request_id": "r", "prediction": "a"}


def test_who_is_answered_at_once_hears_how_long_it_took_and_of_no_job(run: Run) -> None:
    answer: Answer = (200, JSON, json.dumps(PREDICTED).encode())
    done = asked(run, platform(answer=answer), "models", "try", "m", "--input", "text=1=2")
    assert json.loads(done.out) == {"prediction": "a"}
    (took,) = re.findall(r"^m 1\.0\.0 answered in ([\d,]+) ms\n$", done.err)
    assert int(took.replace(",", "")) < 60_000
    told = json.loads(asked(run, platform(answer=answer), "models", "try", "m", "--input", "text=1=2", "--json").out)
    assert told["inputs"] == {"text": "1=2"}


def ended(status: str, **more: Any) -> Answer:
    job = {"job_id": JOB, "status": status, "progress": 100, "model": "m", "model_version": "1.0.0", **more}
    return 200, JSON, json.dumps(job).encode()


TICKET: Answer = (202, JSON, json.dumps({"model": "m", "model_version": "1.0.0", "job_id": JOB}).encode())
#: What came of the job that was waited for; the code and the words of that.
ENDS = [
    (ended("failed", error={"code": "MODEL_ERROR", "message": "No"}), "MODEL_ERROR", "failed: No (MODEL_ERROR)"),
    (ended("expired"), "EXPIRED", "expired before it was done"),
]  # fmt: skip


@pytest.mark.parametrize(("job", "code", "said"), ENDS, ids=["failed", "expired"])
@pytest.mark.parametrize("words", [("models", "try", "m"), ("explain", "m")], ids=" ".join)
def test_a_job_that_does_not_answer_is_told_with_its_own_error(
    run: Run, words: tuple[str, ...], job: Answer, code: str, said: str
) -> None:
    done = asked(run, platform(answer=TICKET, job=job), *words, "--json")
    error = json.loads(done.err)["error"]
    assert (done.code, done.out, error["code"], error["message"]) == (1, "", code, f"{JOB} {said}")


def test_who_is_answered_by_a_job_hears_of_which(run: Run) -> None:
    answers = platform(answer=TICKET, job=ended("completed", result={"prediction": "a"}))
    done = asked(run, answers, "models", "try", "m")
    assert json.loads(done.out) == {"prediction": "a"}
    assert done.err.endswith(f" ms, by {JOB}\n")


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--inputs", "bad.json"), "FILE", "bad.json is no JSON"),
        (("--inputs", "list.json"), "FILE", "list.json must be a JSON object"),
        (("--input", "nosuch=1"), "USAGE", "Invalid value for --input: must be FIELD=VALUE"),
        (("--input", "size=big"), "USAGE", "Invalid value for --input: size must be number"),
    ],
)
def test_what_cannot_be_asked_is_told_by_its_code(
    run: Run, tmp_path: Path, words: tuple[str, ...], code: str, told: str
) -> None:
    (tmp_path / "bad.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    error = json.loads(asked(run, platform(), "models", "try", "m", *words, "--json").err)["error"]
    assert (error["code"], error["message"].startswith(told)) == (code, True), error["message"]


def test_a_model_of_whole_files_is_told_with_what_it_takes(run: Run) -> None:
    error = json.loads(asked(run, platform(file_types=["audio/wav"]), "models", "try", "m", "--json").err)["error"]
    assert (error["code"], error["details"]) == ("INVALID_INPUT", {"file_types": ["audio/wav"]})


REASONS = {
    "method": "SHAP", "algorithm": "leverage", "output": "b", "scale": "number", "base_value": 0.0, "value": 1.0,
    "additivity_error": 0.0, "evaluations": 64, "cut_short": True,
    "feature_importance": [{"feature": "y", "score": 0.25, "place": 1}, {"feature": "x", "score": 0.75, "place": 0}],
}  # fmt: skip


def test_reasons_that_were_cut_short_are_said_to_be_and_an_answer_without_any_is_none(run: Run) -> None:
    def answer(**explanation: Any) -> Answer:
        return 200, JSON, json.dumps({**PREDICTED, "explanation": explanation}).encode()

    head, *rows = asked(run, platform(answer=answer(**REASONS)), "explain", "m").out.splitlines()
    assert head == "b: 0 usually, 1 here (number; leverage, exact, cut short by its time)"
    assert [(row.split()[0], row.split()[-1]) for row in rows] == [("x", "+0.75"), ("y", "+0.25")]
    for other in (answer(**{**REASONS, "method": "scores"}), (200, JSON, json.dumps(PREDICTED).encode())):
        error = json.loads(asked(run, platform(answer=other), "explain", "m", "--json").err)["error"]
        assert (error["code"], "came without its reasons" in error["message"]) == ("NOT_COATCHECK", True)
