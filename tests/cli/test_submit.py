"""`coatcheck submit`: what is handed in, where its answers go, and a table that a model takes whole."""

from __future__ import annotations

import json
import os
import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests import classes
from tests.cli.conftest import KEY, Here, Run

FILE: dict[str, Any] = {
    "kind": "python-file", "labels": None, "options": {"takes": ["text/csv"]},
    "fields": [{"name": "pause_s", "type": "number", "required": False, "default": 0, "maximum": 1}],
    "record": {"lines": {"type": "integer"}}, "golden": [{"file": "golden.csv", "record": {"lines": 2}}],
}  # fmt: skip


def takes_a_table(here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, Path]:
    """A model that takes tables whole, and one of three lines."""
    name = f"p{uuid.uuid4().hex}"
    monkeypatch.syspath_prepend(tmp_path)
    folder = classes.install(tmp_path, name, "Lines", {"golden.csv": b"a\nb\n"}, **FILE)
    assert here("models", "push", str(folder)).code == 0
    table = tmp_path / "table.csv"
    table.write_text("one\ntwo\nthree\n")
    return name, table


@pytest.mark.usefixtures("worker")
def test_a_table_is_answered_whole_where_the_platform_chooses_such_a_model(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, table = takes_a_table(here, tmp_path, monkeypatch)
    monkeypatch.setattr(here.app.extensions["coatcheck"].catalog, "_default", name)
    done = here("submit", str(table), "-o", "-")
    assert (done.code, json.loads(done.out)) == (0, {"lines": 3}), done.err


@pytest.mark.usefixtures("worker")
def test_a_table_is_answered_whole_by_a_model_that_reads_no_rows(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name, table = takes_a_table(here, tmp_path, monkeypatch)
    assert here("submit", str(table), "--model", name).code == 0
    assert json.loads((tmp_path / "table.csv.out.json").read_text()) == {"lines": 3}
    (tmp_path / "table.wav").write_bytes(b"RIFF    WAVE")
    other = here("submit", str(tmp_path / "table.wav"), "--model", name, "--json")
    told = json.loads(other.err)["error"]
    assert (other.code, told["code"]) == (1, "INVALID_INPUT")
    assert told["details"] == {"file_types": ["text/csv"], "received": "audio/wav"}
    assert f"{name} takes rows of a file (text/csv), and " in told["message"]
    refused = here("submit", str(table), "--model", name, "--fail-fast")
    assert (refused.code, "--fail-fast is for rows" in refused.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "errors", "priority", "version"),
    [
        ((), "individual", "normal", "1.0.0"),
        (("--fail-fast", "--priority", "low"), "fail_fast", "low", "1.0.0"),
        (("--format", "jsonl", "--priority", "high"), "individual", "high", "1.0.0"),
        (("--version", "2.1.0"), "individual", "normal", "2.1.0"),
        (("--version", "v2.1.0"), "individual", "normal", "2.1.0"),
        (("--version", "2"), "individual", "normal", "2.1.0"),
    ],
)
def test_a_job_is_handed_in_as_was_said(
    here: Here, words: tuple[str, ...], errors: str, priority: str, version: str
) -> None:
    done = here("submit", "rows.jsonl", "--model", "sentiment", *words, "--no-wait")
    assert (done.code, done.err) == (0, "")
    made = here.app.test_client().get(f"/api/v1/jobs/{done.out.strip()}", headers=here.key.headers).get_json()
    assert (made["priority"], made["model_version"]) == (priority, version)
    job_id = uuid.UUID(done.out.strip().removeprefix("job_"))
    (options,) = here.platform.one("SELECT options FROM jobs WHERE id = :id", id=job_id)
    assert options["return_errors"] == errors


def test_a_version_may_be_named_by_its_alias(here: Here, tmp_path: Path) -> None:
    def alias(aliases: str) -> None:
        (tmp_path / "routes.yaml").write_text(f"models: {{sentiment: {{aliases: {aliases}}}}}")
        assert here("apply", "-f", str(tmp_path / "routes.yaml")).code == 0

    alias("{newest: 2.1.0}")
    try:
        done = here("submit", "rows.jsonl", "--model", "sentiment", "--version", "newest", "--no-wait", "--json")
        assert (done.code, json.loads(done.out)["model_version"]) == (0, "2.1.0")
    finally:
        alias("{}")


def test_who_names_no_model_is_told_which_one_answers(here: Here) -> None:
    done = here("submit", "rows.jsonl", "--no-wait")
    assert (done.code, done.err) == (0, "No --model was given: sentiment 1.0.0 answers\n")


def test_what_there_is_instead_is_told_to_programs(here: Here) -> None:
    def told(*words: str) -> tuple[str, Any]:
        error = json.loads(here("submit", "rows.jsonl", *words, "--json").err)["error"]
        return error["code"], error["details"]

    code, details = told("--model", "nosuch")
    assert (code, {"sentiment", "tumor"} <= {*details["models"]}) == ("MODEL_NOT_FOUND", True)
    code, details = told("--model", "sentiment", "--version", "9")
    assert (code, details["field"]) == ("MODEL_VERSION_NOT_FOUND", "model_version")
    assert "sentiment has no version '9'. There are " in details["issue"]


NOWHERE = {"COATCHECK_URL": "http://127.0.0.1:9", "COATCHECK_API_KEY": KEY}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("rows.jsonl", "-o", "rows.jsonl"), 2, "rows.jsonl is the input; choose another --output"),
        (("o.errors.jsonl", "-o", "o.jsonl"), 2, "o.errors.jsonl is the input; choose another --output"),
        (("rows.jsonl", "-o", "-", "--json"), 2, "would both go to standard output: add --output FILE"),
        (("rows.jsonl", "-o", "nowhere/o"), 1, "nowhere/o cannot be written (No such file or directory)"),
        # Nothing is written then.
        (("rows.jsonl", "-o", "o.jsonl", "--no-wait"), 2, "--output is for answers that are waited for"),
        # A file that is answered whole has no failed rows.
        (("d.pdf", "-o", "d.json"), 1, "does not answer"),
    ],
)
def test_where_answers_cannot_go_is_said_before_anybody_is_asked(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], code: int, said: str
) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    (tmp_path / "o.errors.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "d.pdf").write_bytes(b"%PDF-1.7")
    os.link(tmp_path / "d.pdf", tmp_path / "d.json.errors.jsonl")
    done = run("submit", *words, **NOWHERE)
    assert (done.code, done.out, said in done.err) == (code, "", True), done.err


@pytest.mark.usefixtures("worker")
def test_what_comes_through_a_pipe_is_answered_on_standard_output(here: Here, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    writer = threading.Thread(target=(tmp_path / "pipe.jsonl").write_text, args=('{"text": "Great"}\n',))
    writer.start()
    done = here("submit", "pipe.jsonl", "--model", "sentiment")
    writer.join()
    assert (done.code, json.loads(done.out)["prediction"]) == (0, "positive"), done.err
    assert done.err.endswith("\n1 row, 0 failed\n")
