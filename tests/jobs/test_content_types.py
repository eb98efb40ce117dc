"""What a file is called is taken for what it is, by every name that browsers, systems and libraries know."""

from __future__ import annotations

import pytest

from jobs import content_types

KNOWN = {
    "application/x-ndjson": "application/jsonl application/jsonlines application/json-lines application/ndjson "
    "application/x-jsonlines text/jsonl text/x-ndjson",
    "text/csv": "application/csv application/x-csv text/comma-separated-values text/tab-separated-values text/x-csv",
    "application/gzip": "application/x-gzip application/x-gunzip application/gzipped",
    "application/x-tar": "application/tar application/x-gtar application/x-ustar",
    "audio/wav": "audio/wave audio/vnd.wave audio/x-wav audio/x-pn-wav",
    "audio/flac": "audio/x-flac application/x-flac",
    "application/pdf": "application/x-pdf",
    "image/png": "image/x-png",
    "image/jpeg": "image/jpg image/pjpeg",
    "image/webp": "",
    "image/tiff": "image/tif image/x-tiff image/x-tif",
}
ENDINGS = {
    "jsonl": "application/x-ndjson", "ndjson": "application/x-ndjson", "csv": "text/csv", "tsv": "text/csv",
    "gz": "application/gzip", "tar": "application/x-tar", "wav": "audio/wav", "flac": "audio/flac",
    "pdf": "application/pdf", "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "tif": "image/tiff", "tiff": "image/tiff",
}  # fmt: skip
UNSAID = ("", "application/octet-stream", "binary/octet-stream", "text/plain", "application/vnd.ms-excel")


def test_every_type_is_known_by_all_of_its_names_however_they_are_written() -> None:
    assert tuple(KNOWN) == content_types.TYPES
    for ours, others in KNOWN.items():
        for name in (ours, *others.split()):
            for said in (name, name.upper(), f" {name} ; charset=utf-8"):
                assert content_types.canonical(said, "a.pdf") == ours, said


def test_a_type_that_says_nothing_is_that_of_the_files_name() -> None:
    for ending, ours in ENDINGS.items():
        for said in UNSAID:
            assert content_types.canonical(said, f"a.B.{ending.upper()}") == ours, (said, ending)


@pytest.mark.parametrize("said", ["text/html", "application", *UNSAID])
def test_what_nobody_knows_has_no_type(said: str) -> None:
    assert content_types.canonical(said, "a.html") is None
