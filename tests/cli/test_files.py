"""Files that people name: what is told of one that is handed in, and what is left of one that answers go to."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.failures import Failure
from cli.files import Source, Target
from cli.formats import DASH


def broken() -> Iterator[bytes]:
    yield b"new"
    raise ZeroDivisionError


@pytest.mark.parametrize("before", [None, b"old, and longer"])
def test_an_answer_is_there_whole_or_not_at_all(tmp_path: Path, before: bytes | None) -> None:
    out = tmp_path / "o.jsonl"
    if before is not None:
        out.write_bytes(before)
    with pytest.raises(ZeroDivisionError):
        Target(out).write(broken())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == ({"o.jsonl": before} if before else {})
    Target(out).write([b"ne", b"w"])
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"o.jsonl": b"new"}


def test_behind_a_link_the_file_is_written_and_the_link_stays(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    link, real = tmp_path / "o.jsonl", tmp_path / "far" / "real.jsonl"
    link.symlink_to(real)
    for content in (b"one", b"two"):
        Target(link).check(tmp_path / "rows.jsonl")
        Target(link).write([content])
        assert (link.is_symlink(), real.read_bytes(), os.listdir(tmp_path / "far")) == (True, content, ["real.jsonl"])


def test_what_lies_beside_it_under_a_name_like_its_own_is_not_touched(tmp_path: Path) -> None:
    beside = tmp_path / "o.jsonl.part"
    beside.write_bytes(b"mine")
    target = Target(tmp_path / "o.jsonl")
    target.check(tmp_path / "rows.jsonl")
    assert os.listdir(tmp_path) == ["o.jsonl.part"]
    target.write([b"new"])
    assert (beside.read_bytes(), sorted(os.listdir(tmp_path))) == (b"mine", ["o.jsonl", "o.jsonl.part"])


def test_a_name_as_long_as_one_may_be_is_written(tmp_path: Path) -> None:
    target = Target(tmp_path / ("o" * 255))
    target.check(tmp_path / "rows.jsonl")
    target.write([b"new"])
    assert target.path.read_bytes() == b"new"


def test_what_is_no_file_gets_what_comes_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reads = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    target = Target(pipe)
    target.check(tmp_path / "rows.jsonl")
    target.write([b"a", b"b"])
    assert os.read(reads, 10) == b"ab"
    os.close(reads)
    assert (target.plain, target.faults, pipe.is_fifo(), os.listdir(tmp_path)) == (False, None, True, ["pipe"])


@pytest.mark.parametrize(
    ("out", "faults"),
    [("o.jsonl", "o.errors.jsonl"), ("o.json", "o.json.errors.jsonl"), ("o", "o.errors.jsonl"),
     ("o.jsonl.jsonl", "o.jsonl.errors.jsonl"), ("o.JSONL", "o.JSONL.errors.jsonl")],
)  # fmt: skip
@pytest.mark.parametrize("there", [True, False])
def test_the_failed_rows_alone_lie_beside_the_answers(tmp_path: Path, out: str, faults: str, there: bool) -> None:
    if there:
        (tmp_path / out).touch()
    found = Target(tmp_path / out).faults
    assert found == Target(tmp_path / faults)
    assert Target(DASH).faults is None


def test_what_is_removed_is_a_file_that_was_there(tmp_path: Path) -> None:
    assert not Target(tmp_path / "o").remove()
    (tmp_path / "o").touch()
    assert Target(tmp_path / "o").remove()
    assert not list(tmp_path.iterdir())


def test_a_place_is_tried_without_a_trace(tmp_path: Path) -> None:
    rows, out = tmp_path / "rows.jsonl", tmp_path / "o.jsonl"
    rows.touch()
    Target(out).check(rows)
    assert os.listdir(tmp_path) == ["rows.jsonl"]
    out.write_text("old")
    Target(out).check(rows)
    assert (sorted(os.listdir(tmp_path)), out.read_text()) == (["o.jsonl", "rows.jsonl"], "old")
    Target(out).check(DASH)
    Target(DASH).check(rows)
    with pytest.raises(Failure, match=r"o cannot be written \(No such file or directory\); choose another file"):
        Target(tmp_path / "nowhere" / "o").check(rows)


def test_an_answer_never_takes_the_place_of_its_question(tmp_path: Path) -> None:
    rows, same = tmp_path / "rows.jsonl", tmp_path / "same.jsonl"
    rows.touch()
    os.link(rows, same)
    for place in (rows, tmp_path / "." / "rows.jsonl", same):
        with pytest.raises(click.UsageError, match="is the input; choose another --output"):
            Target(place).check(rows)


def test_what_may_not_be_written_is_told_before_the_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "o").touch()
    # Root may write everything.
    monkeypatch.setattr("os.access", lambda path, mode: (path, mode) != (tmp_path / "o", os.W_OK))
    with pytest.raises(Failure, match=r"o cannot be written \(it may not be written\)") as caught:
        Target(tmp_path / "o").check(tmp_path / "rows.jsonl")
    assert caught.value.code == "FILE"


@pytest.mark.parametrize(
    ("name", "told"),
    [(b"rows.jsonl", "rows.jsonl"), ("é 本.csv".encode(), "é 本.csv"), (b"a\xff.csv", "a�.csv"),
     (b"a\nb\x1b.csv", "a_b_.csv"), (b"x" * 251 + b".csv", "x" * 251 + ".csv")],
)  # fmt: skip
def test_a_name_is_told_in_characters_that_can_be_shown(tmp_path: Path, name: bytes, told: str) -> None:
    path = tmp_path / os.fsdecode(name)
    path.touch()
    assert Source.named(path, None).name == told


@pytest.mark.parametrize("content", [b"", b"x" * 5000])
def test_all_of_a_file_is_handed_in_and_an_empty_one_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(content)
    if not content:
        with pytest.raises(Failure, match=r"rows\.csv is empty") as caught, Source.named(path, None).opened():
            pass
        assert caught.value.code == "FILE"
        return
    with Source.named(path, None).opened() as (stream, size, _):
        assert (stream.read(), size) == (content, len(content))


def test_what_comes_through_a_pipe_with_a_name_is_handed_in_whole_as_standard_input_is(tmp_path: Path) -> None:
    pipe = tmp_path / "rows.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"text\nGreat\n",))
    writer.start()
    source = Source.named(pipe, None)
    with source.opened() as (stream, size, _):
        assert (stream.read(), size) == (b"text\nGreat\n", 11)
    writer.join()
    assert (source.name, source.piped) == ("stdin.csv", True)
