"""The folder that a command makes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from cli import folders


def fill(new: Path) -> None:
    (new / "data").mkdir(parents=True)
    for name in ("model.yaml", "data/graph"):
        (new / name).write_text("new")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def test_it_comes_about_whole_with_what_is_above_it(here: Path) -> None:
    with folders.made(Path("a/b")) as new:
        fill(new)
        assert list(here.iterdir()) == [here / "a"]
        assert not (here / "a" / "b").exists()
    assert (here / "a" / "b" / "data" / "graph").read_text() == "new"
    assert list((here / "a").iterdir()) == [here / "a" / "b"]


@pytest.mark.parametrize("named", [".", "../here", "../link"])
def test_one_that_is_there_already_stays_the_same_and_keeps_what_it_has(here: Path, named: str) -> None:
    (here.parent / "link").symlink_to("here")
    (here / "data").mkdir()
    before = here.stat().st_ino
    with folders.made(Path(named)) as new:
        # Not in it: who copies all that it holds would copy what he makes of it.
        assert not new.is_relative_to(here)
        fill(new)
    assert (here.stat().st_ino, (here / "model.yaml").read_text()) == (before, "new")
    assert list((here / "data").iterdir()) == []
    assert sorted(path.name for path in here.parent.iterdir()) == ["here", "link"]


def test_nothing_is_left_where_it_fails(here: Path) -> None:
    with contextlib.suppress(OSError), folders.made(Path("a")) as new:
        fill(new)
        raise OSError("full")
    assert list(here.iterdir()) == []
