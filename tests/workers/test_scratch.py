"""What a killed child of a worker leaves in its temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workers import scratch

#: A child with a bundle of a mebibyte unpacked, which says so.
CHILD = """
import tempfile, time
from celery.signals import worker_process_init
from workers import node
worker_process_init.send(sender=None)
folder = tempfile.mkdtemp(prefix="coatcheck-bundle-")
open(folder + "/model.onnx", "wb").write(bytes(1 << 20))
print(folder, flush=True)
time.sleep(600)
"""

Start = Callable[[], tuple["subprocess.Popen[str]", Path]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    begun: list[subprocess.Popen[str]] = []

    def made() -> tuple[subprocess.Popen[str], Path]:
        env = {**os.environ, "TMPDIR": str(tmp_path)}
        process = subprocess.Popen([sys.executable, "-c", CHILD], env=env, stdout=subprocess.PIPE, text=True)
        begun.append(process)
        assert process.stdout is not None
        return process, Path(process.stdout.readline().strip())

    yield made
    for process in begun:
        process.kill()
        process.communicate()


def test_what_a_killed_child_left_goes_when_the_next_one_begins_and_what_another_uses_stays(
    start: Start, tmp_path: Path
) -> None:
    killed, left = start()
    _, used = start()
    killed.kill()
    killed.wait()
    assert left.is_dir()
    start()
    assert not left.parent.exists()
    assert (used / "model.onnx").stat().st_size == 1 << 20
    assert len(list(tmp_path.iterdir())) == 2


def test_what_only_looks_like_a_childs_folder_is_left_alone(start: Start, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(precious)
    (tmp_path / f"{scratch.PREFIX}file").write_text("mine")
    start()
    assert (precious / "file").read_text() == "mine"
    assert (tmp_path / f"{scratch.PREFIX}file").exists()
