from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

#: Where its library takes a run for one of a test, or was told otherwise, it says nothing anyway.
SILENT = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
LOADED = "import sys; assert 'onnxruntime' in sys.modules"


@pytest.mark.parametrize("code", ["from inference import device; device.load()", "import inference.documents"])
def test_onnx_runtime_gives_this_machine_no_number_and_sends_nothing(tmp_path: Path, code: str) -> None:
    """Before it sends anything, it writes down a number for this machine, and what is to be sent."""
    environ = {name: value for name, value in os.environ.items() if name not in SILENT}
    command = [sys.executable, "-c", f"{code}; {LOADED}"]
    subprocess.run(command, env={**environ, "HOME": str(tmp_path)}, cwd=ROOT, check=True)
    assert list(tmp_path.rglob("*")) == []


def test_whoever_wants_it_otherwise_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    said = "import inference, os; print(os.environ['ORT_DISABLE_TELEMETRY'])"
    monkeypatch.setenv("ORT_DISABLE_TELEMETRY", "0")
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
