"""Every limit of a file: one below it, at it, and one above it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest

from core import errors
from inference.manifest import Manifest
from jobs.bulk import plan, rows
from jobs.bulk.plan import Plan
from jobs.job import Claimed
from jobs.lease import Held
from jobs.payloads import Chunk
from tests.conftest import Platform

#: The shortest row there is.
ROW = b"{}\n"


@pytest.fixture
def manifest(platform: Platform) -> Manifest:
    return platform.catalog.resolve("sentiment", "1.0.0").manifest


def cut(
    platform: Platform,
    manifest: Manifest,
    data: bytes,
    *,
    max_batch: int = 1,
    max_bytes: int = 1 << 30,
    form: str = "jsonl",
) -> Plan:
    held = Held(Claimed(uuid4(), UUID(int=0), "bulk", 1, 4, "m", "1", 300, {}, {}, "req"))
    return plan.make(
        platform.store, held, iter([data]), form=form, fields=manifest.fields, key=f"tests/{held.job.id.hex}",
        max_batch=max_batch, max_bytes=max_bytes,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("count", "chunks"), [(1, [1]), (63, [63]), (64, [64]), (65, [64, 1]), (128, [64, 64]), (129, [64, 64, 1])]
)
def test_a_chunk_has_no_more_rows_than_its_batches(
    platform: Platform, manifest: Manifest, count: int, chunks: list[int]
) -> None:
    made = cut(platform, manifest, ROW * count, max_batch=2)
    assert 2 * plan.BATCHES_PER_CHUNK == 64
    assert [span.rows for span in made.spans] == chunks
    assert [span.line for span in made.spans] == [1 + sum(chunks[:part]) for part in range(len(chunks))]
    assert [span.end - span.start for span in made.spans] == [len(ROW) * size for size in chunks]


@pytest.mark.parametrize(("size", "chunks"), [(-1, [2, 2]), (0, [1, 3]), (1, [1, 3])])
def test_a_chunk_ends_with_the_row_that_fills_its_bytes(
    platform: Platform, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, size: int, chunks: list[int]
) -> None:
    monkeypatch.setattr(plan, "CHUNK_BYTES", 1000)
    row = b"{" + b" " * (1000 + size - 3) + b"}\n"
    assert [span.rows for span in cut(platform, manifest, row + ROW * 3, max_batch=100).spans] == chunks


@pytest.mark.parametrize(("chunks", "more"), [(2, 0), (2, 1), (3, 0), (3, 1), (4, 0)])
def test_a_file_has_no_more_chunks_than_may_be(
    platform: Platform, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, chunks: int, more: int
) -> None:
    monkeypatch.setattr(plan, "MAX_CHUNKS", 3)
    data = ROW * (chunks * plan.BATCHES_PER_CHUNK + more)
    if chunks + more <= 3:
        assert len(cut(platform, manifest, data).spans) == chunks + more
        return
    with pytest.raises(errors.InputTooLarge) as refused:
        cut(platform, manifest, data)
    assert refused.value.details == {"limit": 3}


@pytest.mark.parametrize("over", [-1, 0, 1])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_a_row_has_no_more_bytes_than_may_be(platform: Platform, manifest: Manifest, form: str, over: int) -> None:
    size = rows.MAX_ROW + over
    row = b"{" + b" " * (size - 3) + b"}\n" if form == "jsonl" else b'"' + b"x" * (size - 5) + b'",a\n'
    data = ROW + row if form == "jsonl" else b"text,id\n" + row
    assert len(row) == size
    if over <= 0:
        assert sum(span.rows for span in cut(platform, manifest, data, form=form).spans) == (
            2 if form == "jsonl" else 1
        )
        return
    with pytest.raises(errors.InputTooLarge) as refused:
        cut(platform, manifest, data, form=form)
    assert refused.value.details == {"line": 2, "limit": rows.MAX_ROW}


def test_of_a_first_row_that_is_too_long_it_is_said_that_it_is_the_first(
    platform: Platform, manifest: Manifest
) -> None:
    with pytest.raises(errors.InputTooLarge) as refused:
        cut(platform, manifest, b"{" + b" " * rows.MAX_ROW)
    assert refused.value.details == {"line": 1, "limit": rows.MAX_ROW}


def cut_again(platform: Platform, found: Iterator[tuple[int, bytes]]) -> Plan:
    """Rows of an earlier CSV, by their lines there."""
    held = Held(Claimed(uuid4(), UUID(int=0), "bulk", 1, 4, "m", "1", 300, {}, {}, "req"))
    return plan.make_again(platform.store, held, found, b"text\n", key=f"tests/{held.job.id.hex}", max_batch=2)


@pytest.mark.parametrize(("count", "chunks"), [(64, [64]), (65, [64, 1]), (129, [64, 64, 1])])
def test_rows_that_are_handed_in_again_are_cut_into_chunks_of_a_file_of_their_own(
    platform: Platform, count: int, chunks: list[int]
) -> None:
    found = [(3 * number, b"{%03d}" % number) for number in range(1, count + 1)]
    made = cut_again(platform, iter(found))
    data = platform.store.get(made.key)
    assert (made.header_end, data[:5]) == (5, b"text\n")
    assert [span.rows for span in made.spans] == chunks
    assert [data[span.start : span.end].splitlines() for span in made.spans] == [
        [text for _, text in found[64 * place : 64 * (place + 1)]] for place in range(len(chunks))
    ]
    assert [line for span in made.spans for line in span.lines or ()] == [line for line, _ in found]
    assert [span.line for span in made.spans] == [(span.lines or [0])[0] for span in made.spans]


def test_of_a_job_none_of_whose_rows_failed_there_is_nothing_to_hand_in_again(platform: Platform) -> None:
    with pytest.raises(errors.InputUnreadable, match="No row of the earlier job has failed"):
        cut_again(platform, iter([]))


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_the_first_line_of_a_csv_has_no_more_bytes_than_may_be(
    platform: Platform, manifest: Manifest, monkeypatch: pytest.MonkeyPatch, over: int
) -> None:
    monkeypatch.setattr(plan, "MAX_HEADER", len(b"text\n") - over)
    if over <= 0:
        assert cut(platform, manifest, b"text\nx\n", form="csv").header_end == 5
        return
    with pytest.raises(errors.InputTooLarge, match="first line"):
        cut(platform, manifest, b"text\nx\n", form="csv")


@pytest.mark.parametrize("over", [-1, 0, 1])
def test_a_file_is_unpacked_up_to_its_limit_of_bytes(platform: Platform, manifest: Manifest, over: int) -> None:
    data = ROW * 10
    if over <= 0:
        assert len(platform.store.get(cut(platform, manifest, data, max_bytes=len(data) - over).key)) == len(data)
        return
    with pytest.raises(errors.InputTooLarge) as refused:
        cut(platform, manifest, data, max_bytes=len(data) - over)
    assert refused.value.details == {"limit": len(data) - 1}


def read(platform: Platform, manifest: Manifest, data: bytes) -> Iterator[rows.Row]:
    made = cut(platform, manifest, data, max_batch=100)
    return (row for span in made.spans for row in rows.read(
        platform.store, manifest, Chunk(uuid4(), made.key, made.etag, made.header_end, 0, **vars(span))
    ))  # fmt: skip


@pytest.mark.parametrize(
    ("given", "fits"),
    [
        (f'"{"x" * (rows.MAX_ID - 1)}"', True),
        (f'"{"x" * rows.MAX_ID}"', True),
        (f'"{"x" * (rows.MAX_ID + 1)}"', False),
        (f'"{"ä" * rows.MAX_ID}"', True),
        (str(2**63 - 1), True),
        ("null", True),
        ("1.5", False),
        ("true", False),
        ("[1]", False),
    ],
)
def test_an_id_over_256_characters_is_refused(platform: Platform, manifest: Manifest, given: str, fits: bool) -> None:
    (row,) = read(platform, manifest, f'{{"text": "Good", "id": {given}}}'.encode())
    assert (row.error is None, row.inputs is not None) == (fits, fits)
    if row.error is not None:
        details: Any = row.error.details
        assert (row.id, details["field"]) == (None, "id")
        assert f"at most {rows.MAX_ID} characters" in details["issue"]
