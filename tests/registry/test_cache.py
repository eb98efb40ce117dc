"""A worker's copies of bundles: one that was damaged is fetched again, and costs nobody a job."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from inference import bundle
from registry.shelf import Shelf
from tests.conftest import Platform


def cut(copy: Path) -> None:
    (copy / "model.onnx").write_bytes((copy / "model.onnx").read_bytes()[:1000])


def empty(copy: Path) -> None:
    shutil.rmtree(copy)
    copy.mkdir()


def a_file(copy: Path) -> None:
    shutil.rmtree(copy)
    copy.write_text("")


def a_link(copy: Path) -> None:
    shutil.rmtree(copy)
    copy.symlink_to("/nowhere")


def a_link_inside(copy: Path) -> None:
    (copy / "model.yaml").unlink()
    (copy / "model.yaml").symlink_to("/etc/hostname")


def one_more(copy: Path) -> None:
    (copy / "notes.txt").write_text("mine")


@pytest.mark.parametrize("there", [".", "cache", "cache/of/models"])
def test_a_cache_is_made_where_there_is_none_yet_and_used_where_there_is(
    platform: Platform, tmp_path: Path, there: str
) -> None:
    (tmp_path / there).mkdir(parents=True, exist_ok=True)
    wanted = platform.catalog.resolve("sentiment", "1.0.0")
    Shelf(platform.store, tmp_path / "cache" / "of" / "models").open(wanted)
    assert bundle.digest(tmp_path / "cache" / "of" / "models" / wanted.digest) == wanted.digest


@pytest.mark.parametrize("harm", [shutil.rmtree, cut, empty, a_file, a_link, a_link_inside, one_more])
def test_a_damaged_copy_is_fetched_again(platform: Platform, tmp_path: Path, harm: Callable[[Path], None]) -> None:
    wanted = platform.catalog.resolve("sentiment", "1.0.0")
    Shelf(platform.store, tmp_path).open(wanted)
    harm(tmp_path / wanted.digest)
    Shelf(platform.store, tmp_path).open(wanted)
    assert [path.name for path in tmp_path.iterdir()] == [wanted.digest]
    assert bundle.digest(tmp_path / wanted.digest) == wanted.digest
