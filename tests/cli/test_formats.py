"""What is said of a file that cannot be handed in: what it is, and what helps. No server is asked."""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from cli import formats
from cli.failures import Failure
from cli.files import Source
from cli.formats import DASH, FORMATS, ROWS, WHOLE
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
    ("r.jsonl", b'\xef\xbb\xbf[{"text": "a"}]', "r.jsonl is a JSON array"),
    ("r.json", b'\xef\xbb\xbf{\n"text": "a"}', "r.json is one JSON object over several lines"),
    ("r.json", b' [{"text": "a"}]', "r.json is a JSON array, and JSON Lines is wanted, one object on each line: "),
    ("r.jsonl", b'[{"text": "a"}]', "jq -c '.[]' r.jsonl > r.new.jsonl makes it"),
    ("r.json", b'{\n"text": "a"}', "r.json is one JSON object over several lines, and JSON Lines is wanted"),
    ("r.json", LINES, "r.json may be JSON Lines, whatever its name is: if it is, add --format jsonl"),
    ("r.json", b"?", "r.json is JSON, and JSON Lines is wanted, one object on each line: jq -c . r.json > r.jsonl"),
    ("r.csv", b"SQLite format 3\x00", "r.csv is a SQLite database: export the table as CSV"),
    ("r.feather", b"ARROW1\x00\x00", "r.feather is an Arrow file: write it as JSON Lines"),
    ("p.gif", b"GIF89a", "p.gif is a GIF picture: save it as PNG"),
    ("r.csv", b"RIFF\x00\x00\x00\x00WEBPVP8 ", "r.csv holds WEBP, whatever its name is: add --format webp"),
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


CSV, PDF, PNG, FLAC, LINES_OF_PANDAS = (
    "as CSV",
    "as PDF",
    "as PNG",
    "to FLAC: ffmpeg -i ",
    "pandas: to_json('rows.jsonl',",
)
UNPACK, GZIP = "unpack it, and hand in what is inside", "unpack it, or use gzip"
#: What is said of a name where the content says nothing, and what helps; all there are.
FOREIGN = {
    "an Excel workbook": (CSV, ".xlsx .xls .xlsm"),
    "a spreadsheet": (CSV, ".ods .numbers"),
    "a Parquet file": (LINES_OF_PANDAS, ".parquet .pq"),
    "an Arrow file": (LINES_OF_PANDAS, ".feather .arrow"),
    "a file of Python's": (LINES_OF_PANDAS, ".pkl .pickle .npy .npz"),
    "an office document": (PDF, ".docx .doc .odt .rtf .pptx .ppt"),
    "a ZIP archive": (UNPACK, ".zip"),
    "a tar archive": (UNPACK, ".tar .tgz"),
    "a 7z archive": (UNPACK, ".7z"),
    "compressed by bzip2": (GZIP, ".bz2"),
    "compressed by xz": (GZIP, ".xz"),
    "compressed by Zstandard": (GZIP, ".zst"),
    "JSON, and JSON Lines is wanted, one object on each line": ("jq -c . ", ".json"),
    "a GIF picture": (PNG, ".gif"),
    "a picture of a type that is not read": (PNG, ".bmp .heic .heif .avif .svg"),
    "MP3 audio": (FLAC, ".mp3"),
    "an MPEG-4 recording": (FLAC, ".m4a .mp4 .mov"),
    "an Ogg recording": (FLAC, ".ogg .oga .opus"),
    "a recording of a type that is not read": (FLAC, ".aac .wma .aiff .aif .webm .mkv"),
}
ENDINGS = [(ending, what, fix) for what, (fix, endings) in FOREIGN.items() for ending in endings.split()]


def said_of(path: Path) -> str:
    """What is said of a file when it is named, or when its bytes are wanted."""
    with pytest.raises(Failure) as caught, Source.named(path, None).opened():
        pass
    return caught.value.message


@pytest.mark.parametrize(("ending", "what", "fix"), ENDINGS, ids=[ending for ending, *_ in ENDINGS])
def test_every_name_that_nothing_takes_is_known_for_what_it_is(
    tmp_path: Path, ending: str, what: str, fix: str
) -> None:
    for name in (f"r{ending}", f"R{ending.upper()}"):
        (tmp_path / name).write_bytes(b"?")
        said = said_of(tmp_path / name)
        assert said.startswith(f"{tmp_path / name} is {what}: ")
        assert fix in said


def test_no_name_is_left_out_of_these_tests() -> None:
    assert {ending for ending, *_ in ENDINGS} == set(formats._BY_NAME)


#: What the name says where many formats begin alike, and where it says nothing of the kind.
ALIKE = {
    "a ZIP archive": (archive("r.csv"), ".csv .jsonl .zip .tar .pkl .npy .rtf"),
    "an office document": (EXCEL, ".csv .wav .zip .rtf"),
    "an Excel workbook": (EXCEL, ".xlsx .xlsm .xls"),
    "a spreadsheet": (archive("r"), ".ods .numbers"),
    "a file of Python's": (archive("r.npy"), ".npz"),
    "an office document: save it as PDF": (archive("r"), ".docx .doc .odt .pptx .ppt"),
}


@pytest.mark.parametrize("what", ALIKE)
def test_of_formats_that_begin_alike_the_name_says_which(tmp_path: Path, what: str) -> None:
    content, endings = ALIKE[what]
    for ending in endings.split():
        (tmp_path / f"r{ending}").write_bytes(content)
        assert said_of(tmp_path / f"r{ending}").startswith(f"{tmp_path / 'r'}{ending} is {what}")


#: How a file begins that is called otherwise; each line is one of the beginnings that are known.
BEGINS: list[tuple[bytes, str]] = [
    (b"PK\x03\x04..mimetypeapplication/vnd.oasis", "is an office document"),
    (b"PK\x03\x04\n[Content_Types]", "is an office document"),
    (b"PK\x05\x06", "is a ZIP archive"),
    (b"\xd0\xcf\x11\xe0", "is an office document"),
    (b"PAR1\x00", "is a Parquet file"),
    (b"PAR1\x1f", "is a Parquet file"),
    (b"ARROW1\x00\x00", "is an Arrow file"),
    (b"SQLite format 3\x00", "is a SQLite database"),
    (b"BZh11AY&SY", "is compressed by bzip2"),
    (b"BZh9\x17rE8P\x90", "is compressed by bzip2"),
    (b"\xfd7zXZ", "is compressed by xz"),
    (b"\x28\xb5\x2f\xfd", "is compressed by Zstandard"),
    (b"7z\xbc\xaf", "is a 7z archive"),
    (b"\n" * 257 + b"ustar", "is a tar archive"),
    (b"GIF87a", "is a GIF picture"),
    (b"RIFF\n\n\n\nWEBP", "holds WEBP, whatever its name is: add --format webp"),
    (b"ID3\x02", "is MP3 audio"),
    *((b"\xff" + second, "is MP3 audio") for second in (b"\xfb", b"\xf3", b"\xf2")),
    (b"\n\n\n\nftyp", "is an MPEG-4 recording"),
    (b"OggS\x00", "is an Ogg recording"),
    (b"%PDF-", "holds PDF, whatever its name is: add --format pdf"),
    (b"\x89PNG\r\n", "holds PNG, whatever its name is: add --format png"),
    (b"\xff\xd8\xff", "holds JPG, whatever its name is: add --format jpg"),
    (b"II*\x00", "holds TIFF, whatever its name is: add --format tiff"),
    (b"MM\x00*", "holds TIFF, whatever its name is: add --format tiff"),
    (b"RIFF\n\n\n\nWAVE", "holds WAV, whatever its name is: add --format wav"),
    (b"RF64\n\n\n\nWAVE", "holds WAV, whatever its name is: add --format wav"),
    (b"fLaC", "holds FLAC, whatever its name is: add --format flac"),
]


@pytest.mark.parametrize(("content", "said"), BEGINS, ids=range(len(BEGINS)))
def test_how_a_file_begins_says_what_it_is_whatever_it_is_called(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "r.csv").write_bytes(content)
    assert said_of(tmp_path / "r.csv").startswith(f"{tmp_path / 'r.csv'} {said}")


def test_no_beginning_is_left_out_of_these_tests() -> None:
    for known in (formats._BY_CONTENT, formats._WHOLE_BEGINS):
        for begins, _ in known:
            assert any(begins.match(content) for content, _ in BEGINS), begins.pattern


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


#: The media types that the server is told.
TOLD = {
    "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson", "csv": "text/csv", "tsv": "text/csv",
    "wav": "audio/wav", "flac": "audio/flac", "pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg",
    "jpeg": "image/jpeg", "webp": "image/webp", "tif": "image/tiff", "tiff": "image/tiff",
}  # fmt: skip


@pytest.mark.parametrize("ending", TOLD)
def test_a_file_goes_out_under_the_media_type_of_its_name(tmp_path: Path, ending: str) -> None:
    rows = ending in ("jsonl", "ndjson", "csv", "tsv")
    (tmp_path / f"r.{ending}").write_bytes(b"x")
    found = Source.named(tmp_path / f"r.{ending}", None)
    with found.opened() as (_, _, kind):
        assert (kind, found.whole) == (TOLD[ending], not rows)
    (tmp_path / f"r.{ending}.gz").write_bytes(b"\x1f\x8b")
    with Source.named(tmp_path / f"r.{ending}.gz", None).opened() as (_, _, kind):
        assert kind == ("application/gzip" if rows else TOLD[ending])


@pytest.mark.parametrize("form", FORMATS)
def test_what_is_said_of_the_format_takes_the_place_of_a_name(form: str) -> None:
    found = Source.named(DASH, form)
    assert (found.kind, found.name) == (TOLD[form], f"stdin.{form}")


def test_every_format_can_be_said() -> None:
    assert {TOLD[form] for form in FORMATS} == set(TOLD.values())
    assert {f".{ending}" for ending in TOLD} == {*ROWS, *WHOLE}


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


def test_a_closed_standard_input_is_told(process: Callable[..., subprocess.Popen[bytes]]) -> None:
    child = process("submit", "-", "--format", "jsonl", env=NOWHERE, preexec_fn=lambda: os.close(0))
    err = child.communicate(timeout=60)[1].decode()
    assert (child.returncode, err) == (1, "Error: Standard input is closed\n")
