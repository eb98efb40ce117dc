"""`coatcheck submit`, `jobs` and `result`, as people run them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cli import store
from cli.failures import Failure
from inference import bundle
from local import platform_processes
from local.child import Child
from local.state import held_port
from tests.conftest import ROOT, Platform, until
from tests.inference import drawn

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(platform: Platform, quiet: None, spawn: Callable[..., Child], tmp_path: Path) -> Command:
    """Run `coatcheck` in an empty folder, against a platform with an API and a worker."""
    port = str(held_port())
    api = ("granian", "--interface", "wsgi", "--factory", "api:create_app", "--port", port, "--blocking-threads", "8")
    spawn("api", *api)
    spawn("worker", "celery", "-A", "workers.app", "worker", "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1")
    url = f"http://127.0.0.1:{port}"
    until(lambda: platform_processes.answers(f"{url}/ready"))
    _, key = platform.new_tenant()
    env = {**os.environ, "COATCHECK_URL": url, "COATCHECK_API_KEY": key}

    def run(*arguments: str, **more: Any) -> subprocess.CompletedProcess[str]:
        called = [sys.executable, "-m", "cli.main", *arguments]
        return subprocess.run(
            called, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120, **more
        )

    return run


def test_files_of_rows_and_recordings_go_in_and_answers_come_out(
    command: Command, tmp_path: Path, platform: Platform
) -> None:
    (tmp_path / "rows.jsonl").write_text('{"id": "a", "text": "Great"}\n{"id": "b", "text": ""}\n')
    done = command("submit", "rows.jsonl", "--model", "sentiment")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in (tmp_path / "rows.jsonl.out.jsonl").read_text().splitlines()]
    assert [(item["id"], item.get("prediction")) for item in answers] == [("a", "positive"), ("b", None)]

    recording = tmp_path / "talk.flac"
    recording.write_bytes((ROOT / "bundles" / "speech" / "golden.flac").read_bytes())
    done = command("submit", "talk.flac", "--model", "speech")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "talk.flac.out.json").read_text())["segments"]

    listed = command("jobs")
    assert listed.stdout.count("completed") == 2
    job_id = next(line.split()[0] for line in listed.stdout.splitlines() if "speech" in line)
    short = command("result", job_id).stdout
    assert json.loads(short)["segments"]

    # As if it were a large one.
    platform.store.put("large.json", short.encode())
    stored = f'{{"stored_key": "large.json", "bytes": {len(short)}}}'
    platform.execute("UPDATE job_results SET body = CAST(:body AS json) WHERE body ->> 'segments' <> ''", body=stored)
    assert command("result", job_id).stdout == short
    assert command("result", job_id, "-o", "large.json").returncode == 0
    assert (tmp_path / "large.json").read_text() == short


@pytest.mark.timeout(400)
def test_what_cannot_work_is_said_in_a_sentence_before_anything_is_sent(command: Command, tmp_path: Path) -> None:
    for name in ("rows.txt", "scan.gif", "a.wav"):
        (tmp_path / name).write_text("x")
    (tmp_path / "empty.jsonl").touch()
    for name in ("out.errors.jsonl", "same.jsonl"):
        (tmp_path / name).write_text('{"text": ""}')
    for arguments, said in (
        (("rows.txt",), "add --format jsonl|csv|"),
        (("scan.gif",), "scan.gif is a GIF picture: save it as PNG"),
        (
            ("same.jsonl", "--model", "speech"),
            "speech takes a whole file (audio/wav, audio/flac), and same.jsonl is",
        ),
        (("a.wav", "--model", "sentiment"), "sentiment takes rows of a file (application/x-ndjson, text/csv, applicat"),
        (("-",), "Nothing says what standard input holds"),
        (("same.jsonl", "--model", "nosuch"), "There is no model 'nosuch'; there are: "),
        (("same.jsonl", "--model", "../jobs"), "There is no model '../jobs'"),
        (("same.jsonl", "--model", "tumor", "--version", "9"), "tumor has no version '9'. There are "),
        (("same.jsonl", "-o", "nowhere/x"), "nowhere/x cannot be written (No such file or directory)"),
        (("same.jsonl", "-o", "x" * 252), "cannot be written (File name too long)"),
        (("same.jsonl", "--json", "-o", "-"), "would both go to standard output"),
        (("a.wav", "--fail-fast"), "--fail-fast is for rows"),
        (("empty.jsonl",), "is empty"),
        (("nothing.jsonl",), "does not exist"),
        (("same.jsonl", "-o", "same.jsonl"), "same.jsonl is the input"),
        (("out.errors.jsonl", "-o", "out.jsonl"), "out.errors.jsonl is the input"),
    ):
        done = command("submit", *arguments)
        assert done.returncode != 0
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""
    done = command("submit", "same.jsonl", "--fail-fast")
    assert "Line 1: Input validation failed: text must not be blank" in done.stderr


def test_a_name_that_is_no_text_and_an_output_that_is_no_file_are_as_good(command: Command, tmp_path: Path) -> None:
    name = os.fsdecode(b"bad\xff.jsonl")
    (tmp_path / name).write_text('{"text": ""}\n')
    done = command("submit", name, "-o", "/dev/stdout")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["line"] == 1
    assert not Path("/dev/stdout.errors.jsonl").exists()


@pytest.mark.parametrize("size", [2, 4])
def test_a_file_that_changes_while_it_is_sent_is_named(platform: Platform, tmp_path: Path, size: int) -> None:
    (tmp_path / "rows.jsonl").write_bytes(b"{}\n")
    with (
        (tmp_path / "rows.jsonl").open("rb") as file,
        pytest.raises(Failure, match=r"rows\.jsonl was changed"),
    ):
        store.send(platform.settings.storage.endpoint_url, {}, file, size, name="rows.jsonl", sent=lambda _: None)


@pytest.mark.timeout(300)
def test_standard_input_and_output_take_the_place_of_files(command: Command, tmp_path: Path) -> None:
    rows = '{"text": "Great"}\n{"text": ""}\n'
    done = command("submit", "-", "--format", "jsonl", "--model", "sentiment", input=rows)
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["line"] for line in done.stdout.splitlines()] == [1, 2]
    assert "2 rows, 1 failed" in done.stderr
    zipped = gzip.compress(b"text\nGreat\n").decode("latin-1")
    done = command("submit", "/dev/stdin", "--format", "csv", input=zipped, encoding="latin-1")
    assert json.loads(done.stdout)["prediction"] == "positive"
    assert "No --model was given: sentiment 1.0.0 answers" in done.stderr
    sound = (ROOT / "bundles" / "speech" / "golden.flac").read_bytes().decode("latin-1")
    done = command("submit", "-", "--format", "flac", "--model", "speech", input=sound, encoding="latin-1")
    assert json.loads(done.stdout)["segments"]
    assert list(tmp_path.iterdir()) == []
    done = command("submit", "-", "--format", "jsonl", input="")
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: standard input is empty\n")

    done = command("submit", "-", "--format", "jsonl", "-o", "o.jsonl", "--json", input=rows)
    told = json.loads(done.stdout)
    assert (told["rows"], told["failed"], told["output"], told["errors_output"]) == (2, 1, "o.jsonl", "o.errors.jsonl")
    made = json.loads(command("submit", "-", "--format", "jsonl", "--no-wait", "--json", input=rows).stdout)
    assert made.keys() == told.keys()
    assert made["output"] is None
    done = command("result", made["job_id"], "-o", "-")
    assert len(done.stdout.splitlines()) == 2
    listed = json.loads(command("jobs", "--json", "--limit", "1").stdout)
    assert [item["job_id"] for item in listed] == [made["job_id"]]


@pytest.mark.timeout(300)
def test_an_earlier_run_leaves_no_file_of_failed_rows(command: Command, tmp_path: Path) -> None:
    rows, faults = tmp_path / "[a] rows é.jsonl", tmp_path / "o[/b].errors.jsonl"
    faults.parent.mkdir()
    rows.write_text('{"text": ""}\n')
    done = command("submit", rows.name, "--model", "sentiment", "-o", "o[/b].jsonl")
    assert done.returncode == 0, done.stderr
    assert "1 row, 1 failed: o[/b].jsonl\n" in done.stderr
    assert faults.exists()
    rows.write_text('{"text": "fine"}\n')
    done = command("submit", rows.name, "--model", "sentiment", "-o", "o[/b].jsonl")
    assert "1 row, 0 failed: o[/b].jsonl\n" in done.stderr
    assert "removed o[/b].errors.jsonl, of an earlier run\n" in done.stderr
    assert [path.name for path in faults.parent.iterdir()] == ["b].jsonl"]


def test_pictures_go_in_as_files_and_in_rows(command: Command, tmp_path: Path, platform: Platform) -> None:
    name = f"pictures-{uuid.uuid4().hex}"
    platform.catalog.publish(bundle.load(drawn.bundle(tmp_path / name, name=name)))
    (tmp_path / "blue.webp").write_bytes(drawn.encoded(Image.new("RGB", (9, 9), (0, 0, 255)), "WEBP", lossless=True))
    (tmp_path / "rows.jsonl").write_text(json.dumps({"id": "a", **drawn.row(drawn.plain(0, 255, 0))}) + "\n")
    for file in ("blue.webp", "rows.jsonl"):
        done = command("submit", file, "--model", name)
        assert done.returncode == 0, done.stderr
    whole = json.loads((tmp_path / "blue.webp.out.json").read_text())
    assert whole["prediction"] == {"red": 0.0, "green": 0.0, "blue": 1.0}
    [row] = map(json.loads, (tmp_path / "rows.jsonl.out.jsonl").read_text().splitlines())
    assert (row["id"], row["prediction"]["green"]) == ("a", 1.0)
    (tmp_path / "talk.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    done = command("submit", "talk.wav", "--model", name)
    assert (done.returncode, "takes rows of a file or a whole file (image/png, " in done.stderr) == (1, True), (
        done.stderr
    )
