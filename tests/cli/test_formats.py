"""What is said of a file that cannot be handed in: what it is, and what helps. No server is asked."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.failures import Failure
from cli.files import Source
from cli.formats import FORMATS, ROWS, WHOLE
from tests.cli.conftest import KEY, Run

NOWHERE = {"COATCHECK_URL": "http://127.0.0.1:9", "COATCHECK_API_KEY": KEY}


def archive(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, "x")
    return made.getvalue()


def tarred() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as file:
        file.addfile(tarfile.TarInfo("rows.csv"))
    return made.getvalue()


EXCEL = archive("[Content_Types].xml", "xl/workbook.xml")
LINES = b'{"text": "a"}\n{"text": "b"}\n'
#: Names and contents, and what is said.
REFUSED = [
    ("r.xlsx", EXCEL, "r.xlsx is an Excel workbook: save it as CSV"),
    ("r.xls", b"\xd0\xcf\x11\xe0\xa1\xb1", "r.xls is an Excel workbook: save it as CSV"),
    ("r.csv", EXCEL, "r.csv is an office document: save it as CSV"),
    ("r.ods", archive("mimetype"), "r.ods is a spreadsheet: save it as CSV"),
    ("r.docx", EXCEL, "r.docx is an office document: save it as PDF"),
    ("r.zip", archive("r.csv"), "r.zip is a ZIP archive: unpack it, and hand in what is inside"),
    ("r.jsonl", archive("r.csv"), "r.jsonl is a ZIP archive: unpack it"),
    ("r.tar", tarred(), "r.tar is a tar archive: unpack it"),
    ("r.csv", b"BZh91AY&SY", "r.csv is compressed by bzip2: unpack it, or use gzip"),
    ("r.csv.zst", b"x", "r.csv.zst is compressed by Zstandard: unpack it, or use gzip"),
    ("r.parquet", b"PAR1\x15\x04", "r.parquet is a Parquet file: write it as JSON Lines; pandas: to_json("),
    ("r.csv", b"PAR1\x15\x04", "r.csv is a Parquet file"),
    ("r.json", b' [{"text": "a"}]', "r.json is a JSON array, and JSON Lines is wanted, one object on each line: "),
    ("r.jsonl", b'[{"text": "a"}]', "jq -c '.[]' r.jsonl > r.new.jsonl makes it"),
    ("r.json", b'{\n"text": "a"}', "r.json is one JSON object over several lines, and JSON Lines is wanted"),
    ("r.json", LINES, "r.json may be JSON Lines, whatever its name is: if it is, add --format jsonl"),
    ("r.json", b"?", "r.json is JSON, and JSON Lines is wanted, one object on each line: jq -c . r.json > r.jsonl"),
    ("r.csv", b"SQLite format 3\x00", "r.csv is a SQLite database: export the table as CSV"),
    ("r.feather", b"ARROW1\x00\x00", "r.feather is an Arrow file: write it as JSON Lines"),
    ("p.gif", b"GIF89a", "p.gif is a GIF picture: save it as PNG"),
    ("p.png", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "p.png is a WebP picture: save it as PNG"),
    ("p.heic", b"?", "p.heic is a picture of a type that is not read: save it as PNG"),
    ("my talk.mp3", b"ID3\x04\x00", "is MP3 audio: convert it to FLAC: ffmpeg -i 'my talk.mp3' 'my talk.flac'"),
    ("talk.wav", b"\xff\xfb\x90\x00", "talk.wav is MP3 audio"),
    ("talk.m4a", b"\x00\x00\x00\x20ftypM4A ", "talk.m4a is an MPEG-4 recording: convert it to FLAC"),
    ("talk.opus", b"OggS\x00", "talk.opus is an Ogg recording: convert it to FLAC"),
    ("r.csv", b"%PDF-1.7", "r.csv holds PDF, whatever its name is: add --format pdf"),
    ("r.jsonl", b"fLaC", "r.jsonl holds FLAC, whatever its name is: add --format flac"),
    ("scan", b"\x89PNG\r\n\x1a\n", "scan holds PNG, whatever its name is: add --format png"),
]


@pytest.mark.parametrize(
    ("name", "content", "said"), REFUSED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_what_a_file_is_and_what_helps_is_said_before_it_is_sent(
    run: Run, tmp_path: Path, name: str, content: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = run("submit", name, "--json", **NOWHERE)
    assert (done.code, done.out) == (1, "")
    error = json.loads(done.err.splitlines()[-1])["error"]
    assert (error["code"], said in error["message"]) == ("FILE", True), error["message"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("r.csv", b"ID3,text\n"),
        ("r.csv", b"PAR1,text\n"),
        ("r.csv", b"GIF8,PK,BZh9\n"),
        ("r.csv", "text\n".encode("utf-16")),
        ("r.tsv", b"id\ttext\n"),
        ("r.TSV.GZ", b"\x1f\x8b\x08"),
        ("r.jsonl", LINES),
        ("r.jsonl", b"[1]\n" + LINES),
        ("talk.wav", b"RIFF\x00\x00\x00\x00WAVEfmt "),
        ("scan.jpeg", b"\xff\xd8\xff\xe0"),
    ],
)
def test_what_can_be_handed_in_is_let_through(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with Source.named(tmp_path / name, None).opened() as (stream, size, kind):
        assert (stream.read(), size) == (content, len(content))
    assert kind in {*ROWS.values(), *WHOLE.values(), "application/gzip"}


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_said_of_the_format_does_not_hide_what_the_file_is(tmp_path: Path, form: str) -> None:
    (tmp_path / "r.xlsx").write_bytes(EXCEL)
    with pytest.raises(Failure, match="is an Excel workbook"), Source.named(tmp_path / "r.xlsx", form).opened():
        pass


def test_a_text_that_may_be_anything_is_asked_about(run: Run, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("text\na\n")
    done = run("submit", "r.txt", **NOWHERE)
    assert done.code == 2
    assert "The name of r.txt does not say what it holds: rows (.jsonl, .ndjson, .csv, .tsv, also gzipped)" in done.err


def test_standard_input_is_looked_at_too(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process("submit", "-", "--format", "jsonl", env=NOWHERE, stdin=subprocess.PIPE)
    err = child.communicate(b"[\n{}]", timeout=60)[1].decode()
    assert child.returncode == 1
    assert "Error: standard input is a JSON array, and JSON Lines is wanted, one object on each line" in err
    assert "jq -c '.[]' FILE > FILE.jsonl makes it" in err
