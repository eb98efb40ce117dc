"""`./run` where nothing was installed yet."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: What is to be installed is not, but who would do it has to work.
INSTALLS = """
import importlib.machinery, pathlib, subprocess
run = importlib.machinery.SourceFileLoader("run", "run").load_module()
check, run.find_uv = run.check, lambda: None
def checked(command):
    if command[2] == "venv":
        return check(command)
    subprocess.run([*command[:3], "--version"], check=True, stdout=subprocess.DEVNULL)
    print(command[2], pathlib.Path(".venv/.coatcheck-lock").exists())
run.check = checked
run.install("cpu")
print((run.VENV / ".coatcheck-lock").read_text() == run.digest("cpu") + chr(10))
"""


def test_an_environment_whose_making_was_interrupted_is_made_whole_the_next_time(tmp_path: Path) -> None:
    pytest.importorskip("ensurepip")
    (tmp_path / "requirements").mkdir()
    for name in ("run", "setup.cfg", "requirements/cpu.txt", "requirements/dev.txt"):
        shutil.copy(ROOT / name, tmp_path / name)
    # Its Python comes first, and its pip a while later.
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / ".venv"], check=True)
    (tmp_path / ".venv" / ".coatcheck-lock").write_text("of another lock")
    done = subprocess.run([sys.executable, "-c", INSTALLS], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.splitlines()[1:-2]) == (0, ["pip False"] * 2), done.stderr
    assert done.stdout.endswith("\nTrue\n")


@pytest.mark.parametrize(("command", "code"), [("status", 3), ("down", 0)])
def test_nothing_runs_and_nothing_is_installed_to_say_so(tmp_path: Path, command: str, code: int) -> None:
    shutil.copy(ROOT / "run", tmp_path)
    done = subprocess.run([sys.executable, "run", command], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "Not running\n", "")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
