"""`coatcheck submit` of rows to a model that takes the file whole."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests import classes
from tests.cli.conftest import Here

FILE: dict[str, Any] = {
    "kind": "python-file", "labels": None, "options": {"takes": ["text/csv"]},
    "fields": [{"name": "pause_s", "type": "number", "required": False, "default": 0, "maximum": 1}],
    "record": {"lines": {"type": "integer"}}, "golden": [{"file": "golden.csv", "record": {"lines": 2}}],
}  # fmt: skip


@pytest.mark.usefixtures("worker")
def test_a_table_is_answered_whole_by_a_model_that_reads_no_rows(
    here: Here, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"p{uuid.uuid4().hex}"
    monkeypatch.syspath_prepend(tmp_path)
    folder = classes.install(tmp_path, name, "Lines", {"golden.csv": b"a\nb\n"}, **FILE)
    assert here("models", "push", str(folder)).code == 0
    table = tmp_path / "table.csv"
    table.write_text("one\ntwo\nthree\n")
    assert here("submit", str(table), "--model", name).code == 0
    assert json.loads((tmp_path / "table.csv.out.json").read_text()) == {"lines": 3}
    (tmp_path / "table.wav").write_bytes(b"RIFF    WAVE")
    other = here("submit", str(tmp_path / "table.wav"), "--model", name, "--json")
    told = json.loads(other.err)["error"]
    assert (other.code, told["code"]) == (1, "INVALID_INPUT")
    assert told["details"] == {"file_types": ["text/csv"], "received": "audio/wav"}
    refused = here("submit", str(table), "--model", name, "--fail-fast")
    assert (refused.code, "--fail-fast is for rows" in refused.err) == (2, True)


@pytest.mark.parametrize(("words", "asked"), [((), "individual"), (("--fail-fast",), "fail_fast")])
def test_whether_a_row_without_an_answer_is_the_end_of_it_is_as_was_said(
    here: Here, tmp_path: Path, words: tuple[str, ...], asked: str
) -> None:
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "a"}\n')
    done = here("submit", str(rows), "--model", "sentiment", *words, "--no-wait")
    job_id = uuid.UUID(done.out.strip().removeprefix("job_"))
    (options,) = here.platform.one("SELECT options FROM jobs WHERE id = :id", id=job_id)
    assert options["return_errors"] == asked
