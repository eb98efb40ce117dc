"""What a model is said to take, before it is opened."""

from __future__ import annotations

from pathlib import Path

from inference.bundle import Bundle
from inference.manifest import Manifest
from registry import memory
from tests import graphs


def test_it_is_four_mebibytes_and_a_quarter_more_than_its_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name, size in (("model.onnx", 700), ("deep/words.txt", 300)):
        (tmp_path / name).write_bytes(b"x" * size)
    assert memory.weight(Bundle(tmp_path, Manifest.from_dict(graphs.manifest()), "digest")) == 4 * 2**20 + 1250
