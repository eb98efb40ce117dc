"""What a file holds, by its name and by how it begins: what can be handed in, and what to do about the rest."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROWS = {
    ".jsonl": "application/x-ndjson", ".ndjson": "application/x-ndjson", ".csv": "text/csv", ".tsv": "text/csv",
}  # fmt: skip
GZIP, GZIP_STARTS = "application/gzip", b"\x1f\x8b"
#: What a model takes whole.
WHOLE = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".pdf": "application/pdf", ".png": "image/png", ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg", ".webp": "image/webp", ".tif": "image/tiff", ".tiff": "image/tiff",
}  # fmt: skip
FORMATS = ("jsonl", "csv", "wav", "flac", "pdf", "png", "jpg", "webp", "tiff")
#: So much of a file is looked at.
HEAD_BYTES = 4096
#: Standard input.
DASH = Path("-")

_CSV, _PDF, _PNG = "save it as CSV", "save it as PDF", "save it as PNG"
_FLAC, _UNPACK = "convert it to FLAC: ffmpeg -i {path} {flac}", "unpack it, and hand in what is inside"
_PANDAS = "write it as JSON Lines; pandas: to_json('rows.jsonl', orient='records', lines=True)"
_GZIP = "unpack it, or use gzip"


@dataclass(frozen=True)
class Foreign:
    """A format that nothing takes, by a name with its article, and what helps."""

    what: str
    fix: str

    def told(self, path: Path) -> str:
        here = Path("FILE") if path == DASH else path
        # What is read must not be written.
        new = {end: here.stem + (f".new.{end}" if here.suffix == f".{end}" else f".{end}") for end in ("jsonl", "flac")}
        names = {name: shlex.quote(str(value)) for name, value in {"path": here, **new}.items()}
        return f"{shown(path)} is {self.what}: {self.fix.format_map(names)}"


_EXCEL, _PARQUET = Foreign("an Excel workbook", _CSV), Foreign("a Parquet file", _PANDAS)
_OFFICE = Foreign("an office document", f"{_CSV}, or as PDF")
_ARROW = Foreign("an Arrow file", _PANDAS)
_ZIP, _TAR = Foreign("a ZIP archive", _UNPACK), Foreign("a tar archive", _UNPACK)
_MP3, _MP4 = Foreign("MP3 audio", _FLAC), Foreign("an MPEG-4 recording", _FLAC)
_OGG, _GIF = Foreign("an Ogg recording", _FLAC), Foreign("a GIF picture", _PNG)
_RECORDING = Foreign("a recording of a type that is not read", _FLAC)
_PICTURE = Foreign("a picture of a type that is not read", _PNG)
_ARRAY = Foreign(
    "a JSON array, and JSON Lines is wanted, one object on each line", "jq -c '.[]' {path} > {jsonl} makes it"
)
_OBJECT = Foreign(
    "one JSON object over several lines, and JSON Lines is wanted, one object on each line",
    "jq -c . {path} > {jsonl} makes it",
)
#: Where the content says nothing.
_BY_NAME: Mapping[str, Foreign] = {
    **dict.fromkeys((".xlsx", ".xls", ".xlsm"), _EXCEL),
    **dict.fromkeys((".ods", ".numbers"), Foreign("a spreadsheet", _CSV)),
    **dict.fromkeys((".parquet", ".pq"), _PARQUET),
    **dict.fromkeys((".feather", ".arrow"), _ARROW),
    **dict.fromkeys((".pkl", ".pickle", ".npy", ".npz"), Foreign("a file of Python's", _PANDAS)),
    **dict.fromkeys((".docx", ".doc", ".odt", ".rtf", ".pptx", ".ppt"), Foreign("an office document", _PDF)),
    ".zip": _ZIP,
    **dict.fromkeys((".tar", ".tgz"), _TAR),
    ".7z": Foreign("a 7z archive", _UNPACK),
    ".bz2": Foreign("compressed by bzip2", _GZIP),
    ".xz": Foreign("compressed by xz", _GZIP),
    ".zst": Foreign("compressed by Zstandard", _GZIP),
    ".json": Foreign("JSON, and JSON Lines is wanted, one object on each line", "jq -c . {path} > {jsonl} makes it"),
    ".gif": _GIF,
    **dict.fromkeys((".bmp", ".heic", ".heif", ".avif", ".svg"), _PICTURE),
    ".mp3": _MP3,
    **dict.fromkeys((".m4a", ".mp4", ".mov"), _MP4),
    **dict.fromkeys((".ogg", ".oga", ".opus"), _OGG),
    **dict.fromkeys((".aac", ".wma", ".aiff", ".aif", ".webm", ".mkv"), _RECORDING),
}  # fmt: skip
#: What has one beginning for many formats: there, the name says more.
_INSIDE = {
    ".xlsx", ".xlsm", ".xls", ".ods", ".numbers", ".docx", ".doc", ".odt", ".pptx", ".ppt", ".npz",
}  # fmt: skip
#: How a file begins whatever its name says, so that no text begins like it.
_BY_CONTENT: tuple[tuple[re.Pattern[bytes], Foreign], ...] = (
    (re.compile(rb"PK\x03\x04(?s:.*)(\[Content_Types\]|mimetypeapplication/vnd)"), _OFFICE),
    (re.compile(rb"PK[\x03\x05]"), _ZIP),
    (re.compile(rb"\xd0\xcf\x11\xe0"), _OFFICE),
    (re.compile(rb"PAR1[\x00-\x1f]"), _PARQUET),
    (re.compile(rb"ARROW1\x00\x00"), _ARROW),
    (re.compile(rb"SQLite format 3\x00"), Foreign("a SQLite database", "export the table as CSV")),
    (re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"), _BY_NAME[".bz2"]),
    (re.compile(rb"\xfd7zXZ"), _BY_NAME[".xz"]),
    (re.compile(rb"\x28\xb5\x2f\xfd"), _BY_NAME[".zst"]),
    (re.compile(rb"7z\xbc\xaf"), _BY_NAME[".7z"]),
    (re.compile(rb"(?s:.{257})ustar"), _TAR),
    (re.compile(rb"GIF8[79]a"), _GIF),
    (re.compile(rb"ID3[\x02-\x04]|\xff[\xfb\xf3\xf2]"), _MP3),
    (re.compile(rb"(?s).{4}ftyp"), _MP4),
    (re.compile(rb"OggS\x00"), _OGG),
)
_WHOLE_ARRAY = re.compile(rb"\[(\{|[ \t]*[\r\n])")
_WHOLE_BEGINS: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"%PDF-"), "pdf"),
    (re.compile(rb"\x89PNG\r\n"), "png"),
    (re.compile(rb"\xff\xd8\xff"), "jpg"),
    (re.compile(rb"(?s)RIFF.{4}WEBP"), "webp"),
    (re.compile(rb"II\*\x00|MM\x00\*"), "tiff"),
    (re.compile(rb"(?s)(RIFF|RF64).{4}WAVE"), "wav"),
    (re.compile(rb"fLaC"), "flac"),
)


def shown(path: Path) -> str:
    return "standard input" if path == DASH else str(path)


def ending(path: Path, form: str | None) -> str:
    """Of what is inside: what `form` says, else the name, without .gz."""
    return f".{form}" if form else Path(path.name.lower().removesuffix(".gz")).suffix


def refusal(path: Path, head: bytes, said: str) -> str | None:
    """Why a file that begins so is not taken for what its ending says, and what helps; None where it may be."""
    if found := next((kind for begins, kind in _BY_CONTENT if begins.match(head)), None):
        named = path.suffix.lower()
        return (_BY_NAME[named] if found in (_ZIP, _OFFICE) and named in _INSIDE else found).told(path)
    whole = next((form for begins, form in _WHOLE_BEGINS if begins.match(head)), None)
    if whole and said not in WHOLE:
        return f"{shown(path)} holds {whole.upper()}, whatever its name is: add --format {whole}"
    return _of_json(path, head, said) or (_BY_NAME[said].told(path) if said in _BY_NAME else None)


def _of_json(path: Path, head: bytes, said: str) -> str | None:
    """JSON that is not in lines, and lines that are called JSON."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    # In JSON Lines an array may stand for a bad row; one of objects, or over several lines, is the whole file.
    if text.startswith(b"[") and (said == ".json" or (said in (".jsonl", ".ndjson") and _WHOLE_ARRAY.match(text))):
        return _ARRAY.told(path)
    if said == ".json" and text.startswith(b"{"):
        if _is_object(text.partition(b"\n")[0]):
            return f"{shown(path)} may be JSON Lines, whatever its name is: if it is, add --format jsonl"
        return _OBJECT.told(path)
    return None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
