"""What kind of file a document is, by the marks at its edges, and what goes wrong while one is decoded."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from core import errors
from inference import guarded, pages, pictures
from inference.decoders import picture
from inference.interrupt import Interrupt
from inference.limits import Limits
from inference.pages import Document
from inference.pictures import Form
from tests.inference.paper import pdf


def opened(folder: Path, data: bytes) -> Document:
    (folder / "file").write_bytes(data)
    return pages.opened(folder / "file", Limits(1, 10**6), dpi=72, interrupt=Interrupt())


def test_a_pdf_begins_and_ends_within_a_kibibyte_of_the_edges_of_its_file(tmp_path: Path) -> None:
    beside = b"\n" * 1019
    found = opened(tmp_path, beside + pdf() + beside)
    assert (found.decoder, found.count) == ("pdf", 1)
    with pytest.raises(
        errors.InputUnreadable, match=r"^The file is cut short: it begins as a PDF, but does not end as"
    ):
        opened(tmp_path, pdf() + beside + b"\n")
    with pytest.raises(errors.InputUnreadable, match=r"^The file cannot be read as PNG, JPEG, TIFF or PDF$"):
        opened(tmp_path, beside + b"\n" + pdf())


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (MemoryError(), "Page 1 cannot be decoded within 1024 MiB"),
        (ValueError("odd"), "Page 1 cannot be decoded: odd"),
        (errors.InputUnreadable("as it is"), "as it is"),
    ],
    ids=["no memory", "odd", "said already"],
)  # fmt: skip
def test_whatever_a_decoder_meets_is_the_files_failure(raised: Exception, told: str) -> None:
    with pytest.raises(errors.InputUnreadable) as caught, picture.decoding("Page 1", "PNG"):
        raise raised
    assert caught.value.message == told


def nowhere(_module: str, *_: object) -> list[str]:
    """How a program is called that is not there."""
    return ["/nowhere/python"]


def test_where_no_decoder_can_be_started_it_is_not_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guarded, "command", nowhere)
    with pytest.raises(errors.Unavailable, match=r"^No decoder can be started: No such file or directory$"):
        opened(tmp_path, pdf())


def test_where_the_disk_is_full_it_is_not_the_pictures_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    told = r"^Pictures cannot be handed to their decoder: No space left on device$"
    with Path("/dev/full").open("wb", buffering=0) as full:
        monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **_: full)
        with pytest.raises(errors.Unavailable, match=told):
            pictures.read([b"any"], Form(8, 6, 3, "stretch", 255), Interrupt())
