"""Rows a second by a GPU through a whole worker, beside loops of ONNX Runtime alone with its largest batch: by turns,
and how large the worker's batches were. `COATCHECK_PROVIDER=cpu` has the processor do the same, to try it."""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from rich.console import Console
from rich.progress import track
from sqlalchemy import text

from benchmarks import bed, drain
from core import errors
from inference import bundle, device
from inference.model import GraphModel, open_model
from tests import graphs

PROVIDER = os.environ.get("COATCHECK_PROVIDER", "cuda")
ROUNDS, SECONDS = 5, 3.0
#: Products of the deep graph with a matrix of WIDE by WIDE: its runs take a GPU as long as jobs take a worker.
DEEP, WIDE = (2_000 if PROVIDER == "cuda" else 4), 2_048
JOBS = 20_000 if PROVIDER == "cuda" else 1_000

_BATCHES = text("""
SELECT began.batch_size, count(*) / began.batch_size AS runs, avg(ended.run_ms) AS ms
FROM job_events began JOIN job_events ended USING (job_id, attempt)
WHERE began.type = 'processing' AND ended.type = 'completed' AND began.at >= :since
GROUP BY began.batch_size ORDER BY count(*) DESC LIMIT 8
""")
_SHARE = ("nvidia-smi", "--id=0", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=200")


@dataclass(frozen=True)
class Case:
    folder: Path
    row: dict[str, Any]


def run() -> None:
    _need_it()
    with bed.made() as found:
        cases = (Case(encoder(found.folder), drain.ROW), Case(deep(found.folder), {"x": 2, "y": 1}))
        print("rows a second: a loop of runs, one whose rows and answers stay in the device's memory, the whole worker")
        for case in cases:
            found.once("models", "push", str(case.folder))
        found.key()
        found.env["COATCHECK_PROVIDER"] = PROVIDER
        for child in (("worker", "-Q", "gpu", "--concurrency", "1"), ("worker", "-Q", "control", "-P", "threads")):
            found.python(child[2], "celery", "-A", "workers.app", *child, "-n", f"{child[2]}@%h", "-l", "WARNING")
        found.python("beat", "celery", "-A", "workers.app", "beat", "--pidfile=", "-l", "WARNING")
        for case in cases:
            _compare(found, case)


def _need_it() -> None:
    try:
        open_model(bundle.load(bed.ROOT / "bundles" / "sentiment-1"), device=device.named(PROVIDER))
    except errors.BundleInvalid as error:
        sys.exit(f"There is no GPU to measure here, or not what it needs (requirements/gpu.txt): {error.message}")


def encoder(folder: Path) -> Path:
    """The transformer that is shipped, for a GPU's workers."""
    made = folder / "encoder"
    shutil.copytree(bed.ROOT / "bundles" / "sentiment-2", made)
    manifest = made / "model.yaml"
    told = manifest.read_text().replace("name: sentiment\n", "name: encoder\n").replace("pool: cpu", "pool: gpu")
    manifest.write_text(told.replace("max_batch: 32", "max_batch: 256"))
    return made


def deep(folder: Path) -> Path:
    """Two numbers a row, and much work for a device that multiplies matrices."""
    rng = np.random.default_rng(0)
    weights = {"wider": (2, WIDE), "square": (WIDE, WIDE)}
    nodes = [helper.make_node("MatMul", ["features", "wider"], ["h0"])]
    for at in range(DEEP):
        nodes.append(helper.make_node("MatMul", [f"h{at}", "square"], [f"m{at}"]))
        nodes.append(helper.make_node("Tanh", [f"m{at}"], [f"h{at + 1}"]))
    nodes += [
        helper.make_node("ReduceMean", [f"h{DEEP}"], ["mean"], axes=[1], keepdims=1),
        helper.make_node("Mul", ["mean", "zero"], ["nothing"]),
        helper.make_node("Add", ["features", "nothing"], ["sum"]),
        helper.make_node("Softmax", ["sum"], ["probabilities"], axis=1),
    ]
    values = [
        numpy_helper.from_array((rng.standard_normal(shape) / WIDE**0.5).astype(np.float32), name)
        for name, shape in weights.items()
    ]
    takes, gives = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in ("features", "probabilities")
    )
    zero = numpy_helper.from_array(np.zeros((), np.float32), "zero")
    graph = helper.make_graph(nodes, "deep", [takes], [gives], [*values, zero])
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(made)
    says = {"name": "deep", "pool": "gpu", "inline": False, "max_batch": 256}
    return graphs.bundle(folder / "deep", made.SerializeToString(), **says)


def _compare(found: bed.Bed, case: Case) -> None:
    opened = open_model(bundle.load(case.folder), device=device.named(PROVIDER))
    if not isinstance(opened, GraphModel):
        raise TypeError(opened)
    manifest = opened.bundle.manifest
    what = drain.What(manifest.name, manifest.version, "gpu", case.row)
    inputs = opened.encode([case.row] * manifest.max_batch)
    [(_, session)] = opened.graphs
    loops = (lambda: session.run(None, inputs), _bound(session, inputs))
    drain.ended(found, drain.waiting(found, JOBS, what), JOBS)
    rates: list[tuple[float, ...]] = []
    for _ in track(range(ROUNDS), manifest.name, console=Console(stderr=True)):
        alone = [manifest.max_batch * _runs(loop) for loop in loops]
        since = drain.waiting(found, JOBS, what)
        with _share() as shares:
            rates.append((*alone, JOBS / drain.ended(found, since, JOBS)))
    plain, bound, ours = (statistics.median(side) for side in zip(*rates, strict=True))
    ratio = statistics.median(mine / other for other, _, mine in rates)
    print(f"{manifest.name}, {manifest.max_batch} a run: {plain:.0f}, {bound:.0f}, {ours:.0f}: {ratio:.2f} of the loop")
    with found.parts.engine.connect() as connection:
        for size, runs, ms in connection.execute(_BATCHES, {"since": since}):
            print(f"    {runs:5} batches of {size:3}, {ms:.1f} ms each")
    told = f"{statistics.mean(shares):.0f} % of the time" if shares else "nvidia-smi did not say how much"
    print(f"    the GPU was at work in the last round: {told}")


def _bound(session: onnxruntime.InferenceSession, inputs: dict[str, Any]) -> Callable[[], object]:
    """A run whose rows lie on the device already, and whose answers stay there."""
    place, binding = ("cuda" if PROVIDER == "cuda" else "cpu"), session.io_binding()
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array), place))
    for output in session.get_outputs():
        binding.bind_output(output.name, place)

    def once() -> None:
        session.run_with_iobinding(binding)
        binding.synchronize_outputs()

    return once


def _runs(loop: Callable[[], object]) -> float:
    """A second, after one that does not count."""
    loop()
    began, runs = time.perf_counter(), 0
    while (took := time.perf_counter() - began) < SECONDS:
        loop()
        runs += 1
    return runs / took


@contextlib.contextmanager
def _share() -> Iterator[list[float]]:
    """In how many percent of the time meanwhile the GPU did something, five times a second, once it is over."""
    found: list[float] = []
    if PROVIDER != "cuda" or shutil.which(_SHARE[0]) is None:
        yield found
        return
    with subprocess.Popen(_SHARE, stdout=subprocess.PIPE, text=True) as asked:
        try:
            yield found
        finally:
            asked.terminate()
            said, _ = asked.communicate()
    found.extend(float(line) for line in said.split() if line.isdigit())
