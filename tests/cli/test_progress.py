"""How far a command is, as people see it on a terminal; and where standard output and input are something else."""

from __future__ import annotations

import datetime as dt
import io
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cli import answers, main, output
from cli.failures import Failure
from cli.files import Source
from cli.formats import DASH
from cli.load.drive import Load, Plan
from cli.load.mix import DEFAULT
from cli.remote import Remote
from cli.upload import upload
from tests.cli.conftest import JOB, KEY, Answer, Run, serving

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """A wide one, without colours."""
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, color_system=None, width=200, _environ={})
    monkeypatch.setattr("cli.answers.screen", console)
    return shown


def job(**more: object) -> Answer:
    found = {"job_id": JOB, "status": "completed", "progress": 57, "model": "m", "model_version": "1.0.0", **more}
    return 200, JSON, json.dumps(found).encode()


@pytest.mark.parametrize(
    ("more", "told"),
    [({"rows": {"total": 1234, "done": 1200, "failed": 1}}, "1,200 of 1,234 rows, 1 failed"), ({}, ""),
     ({"rows": {"total": None, "done": 0, "failed": 0}}, "")],
)  # fmt: skip
def test_a_job_that_is_waited_for_shows_its_state_and_its_rows_and_is_wiped_away(
    terminal: io.StringIO, more: dict[str, object], told: str
) -> None:
    with serving(lambda _: job(**more)) as (url, _), answers.progress_bar() as progress:
        answers.watch(Remote(url, KEY), JOB, progress)
    shown = terminal.getvalue()
    assert "completed " in shown
    assert " 57%" in shown
    assert (" of " in shown, told in shown) == (bool(told), True)
    # The line is gone in the end.
    assert shown.endswith("\x1b[1A\x1b[2K")


def test_a_file_that_is_sent_shows_how_much_of_it_is(terminal: io.StringIO) -> None:
    at: list[str] = []

    def answer(path: str) -> Answer:
        if path == "/store":
            return 204, {}, b""
        return 201, JSON, json.dumps({"upload_id": "u", "url": f"{at[0]}/store", "fields": {}}).encode()

    with serving(answer) as (url, _), answers.progress_bar() as progress:
        at.append(url)
        file = io.BytesIO(b"{}\n")
        sent = upload(Remote(url, KEY), file, progress, size=3, kind="text/csv", filename="r.csv", shown="r.csv")
    assert sent == "u"
    assert "uploading " in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_a_load_shows_how_far_it_is(run: Run, terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"stable_version": "1.0.0", "inline": True, "example": {}, "file_types": ["application/x-ndjson"]}
    plans: list[tuple[object, ...]] = []

    def plan(*what: Any) -> Plan:
        plans.append(what)
        return Plan(*what)

    monkeypatch.setattr("cli.load.command.Plan", plan)
    monkeypatch.setattr(Load, "run", lambda _, tell: tell(3.0))
    words = ("load", "--model", "m", "--seconds", "5", "--warm-up", "1")
    with serving(lambda _: (200, JSON, json.dumps(found).encode())) as (url, _):
        assert run(*words, COATCHECK_URL=url, COATCHECK_API_KEY=KEY).code == 0
    assert plans == [(20.0, 5.0, 1.0, DEFAULT, False)]
    assert "load " in terminal.getvalue()
    assert " 50%" in terminal.getvalue()


def test_without_a_terminal_nothing_of_it_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(lambda _: job()) as (url, _), answers.progress_bar() as progress:
        answers.watch(Remote(url, KEY), JOB, progress)
    assert capfd.readouterr() == ("", "")


def test_a_result_is_indented_json_in_its_own_characters_with_times_to_the_second() -> None:
    at = dt.datetime(2026, 11, 28, 12, 30, 15, 123456, tzinfo=dt.UTC)
    value = {"at": at, "name": "é\udcff", "where": Path("a/b")}
    told = '{\n  "at": "2026-11-28T12:30:15+00:00",\n  "name": "é\\udcff",\n  "where": "a/b"\n}\n'
    assert output.encoded(value) == told.encode()
    assert [output.when(at), output.when(None)] == ["2026-11-28 12:30", ""]


def test_what_a_terminal_has_no_character_for_is_shown_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1", write_through=True))
    with pytest.raises(SystemExit) as ended:
        main.main(["load", "--help"])
    assert (ended.value.code, b"KIND=WEIGHT,\\u2026" in written.getvalue()) == (0, True)


def test_on_a_terminal_that_does_not_know_its_width_a_row_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "w") as stream, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stream)
        output.table(["one", "two"], [["x", "y"]])
    read = iter(lambda: os.read(ours, 1), b"y")  # a terminal gives as much at once as it likes
    assert b"".join(read).decode().splitlines() == ["one  two", "x    "]
    os.close(ours)


def test_a_column_that_is_too_wide_for_any_line_has_one_of_its_own(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "10")
    output.table(["one" * 5, "two"], [["x", "y"], ["", ""]])
    assert capfd.readouterr().out.splitlines() == ["one" * 5, "  two", "x", "  y", ""]


def test_a_closed_standard_output_and_input_are_told_by_their_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", None)
        with pytest.raises(Failure) as caught:
            output.document({})
    assert caught.value.code == "OUTPUT"
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(Failure) as caught, Source.named(DASH, "jsonl").opened():
        pass
    assert caught.value.code == "FILE"


def test_a_full_disk_behind_standard_output_is_told_by_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w") as full, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(Failure) as caught:
            output.document({})
    assert caught.value.code == "OUTPUT"


def test_who_types_the_rows_is_told_how_to_end_them(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, b'{"text": "a"}\n\x04')
    with os.fdopen(theirs) as typed:
        monkeypatch.setattr(sys, "stdin", typed)
        with Source.named(DASH, "jsonl").opened() as (stream, size, _):
            assert (stream.read(), size) == (b'{"text": "a"}\n', 14)
    os.close(ours)
    assert capfd.readouterr().err == "Reading standard input; Ctrl-D ends it\n"


def test_who_pipes_them_is_told_nothing(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with open(__file__) as piped:
        monkeypatch.setattr(sys, "stdin", piped)
        with Source.named(DASH, "jsonl").opened() as (stream, _, _):
            assert stream.read() == Path(__file__).read_bytes()
    assert capfd.readouterr().err == ""
