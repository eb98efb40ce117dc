"""`./run` where nothing was installed yet."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT


@pytest.mark.parametrize(("command", "code"), [("status", 3), ("down", 0)])
def test_nothing_runs_and_nothing_is_installed_to_say_so(tmp_path: Path, command: str, code: int) -> None:
    shutil.copy(ROOT / "run", tmp_path)
    done = subprocess.run([sys.executable, "run", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "Not running\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
