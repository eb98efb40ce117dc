"""Where results go, on whatever standard output is, and that nothing else goes there."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from cli import output
from tests.cli.conftest import JOB, KEY, Answer, Run, serving
from tests.conftest import until

JSON = {"Content-Type": "application/json"}
Process = Callable[..., "subprocess.Popen[bytes]"]
LONG = "a-model-with-a-very-long-name-that-is-longer-than-any-terminal-is-wide-"


def job(number: int, **more: object) -> dict[str, object]:
    return {
        "job_id": f"job_{number:032x}", "status": "processing", "progress": 5, "model": f"{LONG}{number}",
        "model_version": "1.0.0", "created_at": "2026-11-26T06:11:19.000000+00:00", **more,
    }  # fmt: skip


def answers(path: str) -> Answer:
    if path.startswith("/api/v1/jobs/"):
        return 200, JSON, json.dumps(job(0)).encode()
    return 200, JSON, json.dumps({"jobs": [job(1), job(2)], "next_cursor": None}).encode()


@pytest.fixture
def env() -> Iterator[dict[str, str]]:
    with serving(answers) as (url, _):
        yield {"COATCHECK_URL": url, "COATCHECK_API_KEY": KEY}


def _read(terminal: int) -> bytes:
    """What is left in a terminal whose other end is closed."""
    try:
        return os.read(terminal, 65_536)
    except OSError:
        return b""


def shown(process: Process, env: dict[str, str], columns: int, *words: str) -> str:
    """What a terminal of so many columns gets."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    child = process(*words, env={**env, "TERM": "xterm"}, stdout=theirs, stderr=theirs)
    assert child.wait(60) == 0
    os.close(theirs)
    text = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return text.decode().replace("\r", "")


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_on_a_narrow_terminal_nothing_is_cut(process: Process, env: dict[str, str], columns: int) -> None:
    text = shown(process, env, columns, "jobs")
    for number in (1, 2):
        assert f"job_{number:032x}" in text
        assert f"{LONG}{number} 1.0.0" in text
    assert all(len(line) <= columns for line in text.splitlines() if LONG not in line)
    assert "\x1b" not in text


@pytest.mark.parametrize("columns", [60, 61, 79, 80, 100])
def test_a_table_fits_its_width_and_shows_every_cell(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    rows = [[f"{row}-{place}-" + "本" * place for place in range(9)] for row in range(5)]
    output.table([f"column {place}" for place in range(9)], rows)
    text = capfd.readouterr().out
    assert all(cell in text for row in rows for cell in row)
    assert max(len(line) + sum(char == "本" for char in line) for line in text.splitlines()) <= columns


def test_as_many_columns_stand_on_a_line_as_there_is_room_for(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    output.table(["one" * 5, "two" * 5], [["x", "y"]])
    output.table(["a" * 10, "b" * 8], [["x", "y"]])
    output.table(["a" * 10, "b" * 10, "c" * 6], [["x", "y", "z"]])
    lines = capfd.readouterr().out.splitlines()
    assert lines[:4] == ["oneoneoneoneone", "  twotwotwotwotwo", "x", "  y"]
    assert lines[4:6] == [f"{'a' * 10}  {'b' * 8}", f"x{' ' * 11}y"]
    assert lines[6:] == ["a" * 10, f"  {'b' * 10}  {'c' * 6}", "x", f"  y{' ' * 11}z"]


@pytest.mark.parametrize("columns", [None, "0", "", "wide"])
def test_a_pipe_gets_a_line_for_each_row(process: Process, env: dict[str, str], columns: str | None) -> None:
    env |= {} if columns is None else {"COLUMNS": columns}
    lines = process("jobs", env=env).communicate(timeout=60)[0].decode().splitlines()
    assert [line.split()[0] for line in lines] == ["job", f"job_{1:032x}", f"job_{2:032x}"]


def test_why_a_job_is_not_done_is_told_by_the_code_of_its_error_and_of_others_nothing_is(run: Run) -> None:
    last: dict[str, object] = {"error": None, "last_error": {"code": "WORKER_LOST"}}
    why: list[dict[str, object]] = [{"error": {"code": "MODEL_ERROR"}}, last, {"error": None}, {}]
    listed = {"jobs": [job(place, model="m", **more) for place, more in enumerate(why)], "next_cursor": None}
    with serving(lambda _: (200, JSON, json.dumps(listed).encode())) as (url, _):
        done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    row = ["processing", "5", "%", "m", "1.0.0", "2026-11-26", "06:11:19"]
    assert [line.split() for line in done.out.splitlines()[1:]] == [
        [f"job_{place:032x}", *row, *code] for place, code in enumerate((["MODEL_ERROR"], ["WORKER_LOST"], [], []))
    ]


def test_a_listing_goes_on_to_the_next_page_and_says_when_there_is_more(run: Run) -> None:
    def pages(path: str) -> Answer:
        start = 100 if "cursor=second" in path else 0
        listed = [job(start + place) for place in range(100 if start == 0 else 30)]
        cursor = "second" if start == 0 else "third"
        return 200, JSON, json.dumps({"jobs": listed, "next_cursor": cursor}).encode()

    with serving(pages) as (url, asked):
        done = run("jobs", "--limit", "130", "--json", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
        assert [item["job_id"] for item in json.loads(done.out)] == [job(place)["job_id"] for place in range(130)]
        assert "limit=30" in asked[1]
        assert "There are more" in run("jobs", "--limit", "130", COATCHECK_URL=url, COATCHECK_API_KEY=KEY).err


def test_what_a_terminal_would_obey_is_not_printed(run: Run) -> None:
    listed = {"jobs": [job(1, model="\x1b[2Jm\u202em\nx")], "next_cursor": None}
    with serving(lambda _: (200, JSON, json.dumps(listed).encode())) as (url, _):
        done = run("jobs", COATCHECK_URL=url, COATCHECK_API_KEY=KEY)
    assert "�[2Jm�m�x 1.0.0" in done.out
    assert len(done.out.splitlines()) == 2


def test_what_is_said_to_people_is_as_it_is_written_whatever_it_looks_like(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    terminal = Console(stderr=True, force_terminal=True, color_system="truecolor", width=20, _environ={})
    monkeypatch.setattr("cli.output.screen", terminal)
    words = (
        "job_1: 5 rows of 'x.csv' [bold]http://h/[/bold] True None \x1b[2J :smile: and so much that no line holds it"
    )
    output.say(words)
    assert capfd.readouterr() == ("", words.replace("\x1b", "�") + "\n")


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_a_locale_without_the_characters_is_no_reason_to_fail(process: Process, locale: str) -> None:
    listed = {"jobs": [job(1, model="modèle-本")], "next_cursor": None}
    with serving(lambda _: (200, JSON, json.dumps(listed).encode())) as (url, _):
        env = {"COATCHECK_URL": url, "COATCHECK_API_KEY": KEY, "LANG": locale, "LC_ALL": locale, "PYTHONUTF8": "0"}
        env |= {"PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": "ascii"}
        out, err = process("jobs", env=env).communicate(timeout=60)
        assert (err, b"mod\\xe8le-\\u672c 1.0.0" in out) == (b"", True)
        out, err = process("jobs", "--json", env=env).communicate(timeout=60)
        assert (err, json.loads(out)[0]["model"]) == (b"", "modèle-本")


@pytest.mark.parametrize("words", [("jobs",), ("jobs", "--json"), ("--help",)], ids=" ".join)
def test_a_reader_that_goes_early_ends_it_quietly(
    process: Process, env: dict[str, str], words: tuple[str, ...]
) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    child = process(*words, env=env, stdout=writes)
    os.close(writes)
    assert child.communicate(timeout=60)[1] == b""
    assert child.returncode == (1 if words == ("--help",) else 141)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_a_full_disk_behind_standard_output_is_told(
    process: Process, env: dict[str, str], more: tuple[str, ...]
) -> None:
    with open("/dev/full", "wb") as full:
        child = process("jobs", *more, env=env, stdout=full.fileno())
    err = child.communicate(timeout=60)[1].decode()
    assert (child.returncode, "Standard output cannot be written: No space left on device" in err) == (1, True)
    assert len(err.splitlines()) == 1


def test_a_closed_standard_output_is_told(process: Process, env: dict[str, str]) -> None:
    child = process("jobs", env=env, stdout=subprocess.PIPE, preexec_fn=lambda: os.close(1))
    err = child.communicate(timeout=60)[1].decode()
    assert (child.returncode, err) == (1, "Error: Standard output is closed, so there is nowhere to print the result\n")


def interrupted(child: subprocess.Popen[bytes]) -> tuple[bytes, bytes]:
    """What it says to Ctrl-C; Python loses one that comes while it calls back, and a person presses again."""
    child.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        return child.communicate(timeout=20)
    child.send_signal(signal.SIGINT)
    return child.communicate(timeout=60)


@pytest.mark.parametrize("more", [(), ("--json",)])
def test_ctrl_c_while_waiting_says_how_to_come_back(process: Process, more: tuple[str, ...]) -> None:
    with serving(answers) as (url, asked):
        child = process("result", JOB, *more, env={"COATCHECK_URL": url, "COATCHECK_API_KEY": KEY})
        until(lambda: asked)
        out, err = interrupted(child)
    assert (child.returncode, out) == (130, b"")
    told = f"Stopped waiting; {JOB} keeps running, and `coatcheck result {JOB}` fetches it later"
    if more:
        error = json.loads(err)["error"]
        assert (error["code"], error["details"], error["message"]) == ("INTERRUPTED", {"job_id": JOB}, told)
    else:
        assert err.decode() == f"Error: {told}\n"


@pytest.mark.parametrize("more", [(), ("--json",)])
@pytest.mark.parametrize("early", [True, False])
def test_ctrl_c_elsewhere_is_a_sentence_too(process: Process, early: bool, more: tuple[str, ...]) -> None:
    gone = threading.Event()

    def late(_: str) -> Answer:
        gone.wait(60)
        return answers("/api/v1/jobs")

    with serving(late) as (url, asked):
        child = process("jobs", *more, env={"COATCHECK_URL": url, "COATCHECK_API_KEY": KEY})
        until(lambda: asked or (early and b"sqlalchemy" in Path(f"/proc/{child.pid}/maps").read_bytes()))
        out, err = interrupted(child)
        gone.set()
    assert out == b""
    if more:
        assert json.loads(err)["error"]["code"] == "INTERRUPTED"
    else:
        assert err.strip() == b"Error: Stopped by Ctrl-C"
    assert child.returncode == 130
