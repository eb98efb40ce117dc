"""What a file of rows is taken for by its first bytes, and what of it is text."""

from __future__ import annotations

import codecs
import gzip
from collections.abc import Iterable

import pytest

from core import errors
from jobs.bulk.unpack import unpacked

FOREIGN = {
    b"PK\x03\x04": "a ZIP archive or a spreadsheet (.xlsx, .ods)",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "a spreadsheet (.xls)",
    b"\n" * 257 + b"ustar": "a tar archive",
    b"BZh91AY&SY": "compressed by bzip2",
    b"BZh1\x17rE8P\x90": "compressed by bzip2",
    b"\xfd7zXZ\x00": "compressed by xz",
    b"\x28\xb5\x2f\xfd": "compressed by Zstandard",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"PAR1\x15": "Parquet",
    b"ARROW1\x00\x00": "Arrow",
    gzip.compress(b"x"): "a gzip within a gzip",
    b"%PDF-": "a PDF",
    b"SQLite format 3\x00": "a SQLite database",
}
TEXT = "text\nGrün\n"


def bit_by_bit(data: bytes) -> Iterable[bytes]:
    return (data[place : place + 1] for place in range(len(data)))


def read(data: bytes) -> str:
    (found,) = {b"".join(unpacked(iter(pieces))) for pieces in ([data], bit_by_bit(data))}
    return found.decode()


def refused(pieces: Iterable[bytes]) -> str:
    with pytest.raises(errors.InputUnreadable) as caught:
        list(unpacked(iter(pieces)))
    return caught.value.message


def test_what_is_no_text_is_called_by_its_name() -> None:
    for magic, named in FOREIGN.items():
        said = f"The file is {named}; it must be JSONL or CSV, plain or gzipped"
        assert refused(bit_by_bit(gzip.compress(magic + b"\nmore"))) == said
        # A gzip is opened once.
        if named != "a gzip within a gzip":
            assert refused(bit_by_bit(magic + b"\nmore")) == said


@pytest.mark.parametrize("magic", [b"BZh", b"BZh0 is a word", b"PAR", b"%PDX", b"PK is a word", b"\n" * 256 + b"ustar"])
def test_what_only_begins_like_it_is_text(magic: bytes) -> None:
    assert read(magic) == magic.decode()


@pytest.mark.parametrize(
    "data",
    [
        TEXT.encode(), codecs.BOM_UTF8 + TEXT.encode(), codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"),
        codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"),
    ],
    ids=["UTF-8", "with a mark", "UTF-16", "UTF-16 of the other end"],
)  # fmt: skip
@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_every_form_of_text_is_the_same_text(data: bytes, packed: type[bytes]) -> None:
    assert read(packed(data)) == TEXT


def test_members_of_a_gzip_are_one_text_whatever_padding_is_behind_them() -> None:
    one, other = gzip.compress(b"one\n"), gzip.compress(b"other\n")
    assert read(one + other) == read(one + b"\0" * 9 + other + b"\0" * 99) == "one\nother\n"
    assert read(gzip.compress(b"")) == read(b"") == ""


#: With no time in it: every process of a run must find the same tests.
PACKED = gzip.compress(TEXT.encode(), mtime=0)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (PACKED[:-1], "The file is damaged: its gzip ends early"),
        (PACKED + b"x", "The file is damaged: its gzip ends early"),
        (PACKED + b"no gzip", "The file is damaged: it does not gunzip"),
        (codecs.BOM_UTF16_LE + b"a\0b", "The file is damaged: it begins as UTF-16, and is not"),
        (codecs.BOM_UTF16_LE + b"\x00\xd8a\0", "The file is damaged: it begins as UTF-16, and is not"),
        (b"te\0xt", "The file is not text: it holds a NUL byte (UTF-16 must begin with a byte order mark)"),
        (codecs.BOM_UTF32_LE + "x".encode("utf-32-le"),
         "The file is not text: it holds a NUL byte (UTF-16 must begin with a byte order mark)"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_said_to_be(data: bytes, said: str) -> None:
    assert {refused(pieces) for pieces in ([data], bit_by_bit(data))} == {said}
