"""What there is no memory for at once is run in parts, and only what there is none for by itself is told so."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from inference import opened
from tests import graphs
from tests.conftest import ROOT

#: Each row takes 64 MiB for a moment.
LARGE = """
  much = Constant <value = int64[3] {1, 1, 8388608}> () last = Constant <value = int64[1] {2}> ()
  deep = Unsqueeze (features, last) wide = Expand (deep, much) back = ReduceMax <axes = [2], keepdims = 0> (wide)
  probabilities = Softmax <axis = 1> (back)
"""
#: In a process that may have so much more than it has when the model is opened.
RUN = """
import json, resource, sys
from pathlib import Path
from inference import bundle, model
from core import errors
found = model.open_model(bundle.load(Path(sys.argv[1])))
rows = [{"x": float(number % 3), "y": 1.0} for number in range(int(sys.argv[3]))]
if int(sys.argv[2]):
    has = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (has + (int(sys.argv[2]) << 20),) * 2)
try:
    said = [[one.label, one.confidence] for one in found.predict(rows)]
except errors.ModelError as error:
    said = [type(error).__name__, error.message]
print("SAID", json.dumps(said))
"""


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return graphs.bundle(tmp_path_factory.mktemp("large") / "own", graphs.graph(LARGE))


def predicted(folder: Path, rows: int, mebibytes: int) -> tuple[Any, str]:
    """What a model says to so many rows, and what is logged."""
    command = [sys.executable, "-c", RUN, str(folder), str(mebibytes), str(rows)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    [line] = [line for line in done.stdout.splitlines() if line.startswith("SAID ")]
    return json.loads(line.removeprefix("SAID ")), done.stdout + done.stderr


def test_a_batch_that_is_too_large_for_what_is_there_is_answered_as_if_it_were_not(large: Path) -> None:
    alone, quiet = predicted(large, 11, 0)
    halved, log = predicted(large, 11, 300)
    assert halved == alone
    assert len({tuple(one) for one in alone}) == 3
    # Eleven, then five and six; of those some once more.
    assert ("batch_halved" in quiet, "batch_halved" in log) == (False, True)
    assert [re.search(rf"rows={rows}\b", log) is not None for rows in (11, 5, 6, 1)] == [True, True, True, False]


def test_a_row_for_which_there_is_not_enough_by_itself_may_be_tried_again(large: Path) -> None:
    said, _ = predicted(large, 3, 20)
    assert said == ["OutOfMemory", "small has not enough memory for this input"]


class OutOfMemoryError(RuntimeError):
    """As PyTorch calls it."""


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (MemoryError(), True), (OutOfMemoryError("CUDA out of memory"), True), (RuntimeError("out of memory"), False),
        (ValueError("Failed to allocate memory"), False),
    ],
)  # fmt: skip
def test_what_a_class_says_of_memory_is_believed_by_the_kind_of_its_error(error: Exception, is_it: bool) -> None:
    assert opened.is_out_of_memory(error) == is_it


@pytest.mark.parametrize(
    ("said", "is_it"),
    [
        ("Non-zero status code returned while running Expand: Failed to allocate memory for a buffer", True),
        ("Exception during initialization: std::bad_alloc", True), ("bad allocation", True),
        ("CUDA failure 2: out of memory ; GPU=0", True), ("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED", True),
        ("CUDNN_STATUS_ALLOC_FAILED", True),
        ("CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED", True),
        ("Failed to find a free memory block despite calling Extend. rounded_bytes:512", True),
        ("bfc_arena.cc:360 Available memory of 53280256 is smaller than requested bytes of 65536000", True),
        ("Got invalid dimensions for input: features", False), ("", False),
    ],
)  # fmt: skip
def test_what_onnx_runtime_says_of_memory_is_found_in_its_words(said: str, is_it: bool) -> None:
    from onnxruntime.capi import onnxruntime_pybind11_state as ort

    assert opened.is_out_of_memory(ort.Fail(said)) == is_it
