"""One arena for all models of a process: no more than its limit is taken, and what one gives back another has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference import bundle, device, model
from inference.device import Device
from tests import graphs
from tests.conftest import ROOT
from tests.inference.test_out_of_memory import LARGE

#: By a processor's memory, as ONNX Runtime names it: it has an arena as a GPU's has. Two models by turns.
RUN = """
import json, sys
from pathlib import Path
from inference import bundle, model
from inference.device import Device
device = Device("CPUExecutionProvider", "Cpu", int(sys.argv[3]))
both = [model.open_model(bundle.load(Path(folder)), device=device) for folder in sys.argv[1:3]]
said = []
for rows in map(int, sys.argv[4].split(",")):
    for found in both:
        inputs = [{"x": float(number % 3), "y": 1.0} for number in range(rows)]
        print("BEGIN", found.bundle.manifest.name, rows, flush=True)
        said.append([[one.label, one.confidence] for one in found.predict(inputs)])
held = Path("/proc/self/status").read_text().split("VmRSS:")[1].split()[0]
print("SAID", json.dumps([said, int(held) >> 10]))
"""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder, made = tmp_path_factory.mktemp("two"), graphs.graph(LARGE)
    return graphs.bundle(folder / "own", made, name="one"), graphs.bundle(folder / "other", made, name="other")


def predicted(two: tuple[Path, Path], mebibytes: int, rows: str) -> tuple[Any, int, str]:
    """What both say to so many rows each time, the MiB that they still hold then, and what is logged."""
    command = [sys.executable, "-c", RUN, *map(str, two), str(mebibytes), rows]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("SAID ")]
    said, held = json.loads(line.removeprefix("SAID "))
    return said, held, done.stdout


def test_what_has_no_room_in_the_arena_is_run_in_halves_and_answered_the_same(two: tuple[Path, Path]) -> None:
    said, _, quiet = predicted(two, 0, "11")
    halved, held, log = predicted(two, 200, "11")
    assert halved == said
    assert ("batch_halved" in quiet, "batch_halved" in log) == (False, True)
    assert held < 200 + 150  # what Python and ONNX Runtime take


def test_what_a_large_run_of_one_model_took_the_other_finds_free(two: tuple[Path, Path]) -> None:
    said, held, log = predicted(two, 700, "9,9,9")
    assert said == [said[0]] * 6
    assert "batch_halved" not in log
    # Two of their own would hold twice as much.
    assert held < 700 + 150
    with pytest.raises(subprocess.CalledProcessError) as refused:
        predicted(two, 60, "1")
    assert "OutOfMemory: one has not enough memory" in refused.value.stdout


def test_only_a_gpu_has_an_arena_for_all_and_no_more_of_it_than_is_said(tmp_path: Path) -> None:
    assert device.named("cpu", 100) == device.CPU == Device("CPUExecutionProvider")
    assert device.named("cuda", 100) == Device("CUDAExecutionProvider", "Cuda", 100)
    opened = model.open_model(bundle.load(graphs.bundle(tmp_path / "bundle")))
    [(_, session)] = opened.graphs
    with pytest.raises(RuntimeError):  # it has no such entry
        session.get_session_options().get_session_config_entry("session.use_env_allocators")
