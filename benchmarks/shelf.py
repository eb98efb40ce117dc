"""Fifty models of 20 MB where there is room for ten, asked for by eight callers at once for a minute: is everybody
answered, by the right model, and does the API's memory stay what it was? How often was each opened?"""

from __future__ import annotations

import http.client
import itertools
import json
import random
import re
import statistics
import threading
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnx.parser
import yaml
from onnx import numpy_helper

from benchmarks import bed
from benchmarks.inline import rss_mb
from inference import bundle
from local import platform_processes
from local.child import Program

MODELS, MODEL_MB, ROOM = 50, 20, 10
CALLERS, SECONDS = 8, 60
PORT = 8001
GRAPH = """
<ir_version: 10, opset_import: ["" : 17]> g (float[N, 2] features) => (float[N, 2] probabilities)
<float zero = {0}> {
  place = Cast <to = 7> (features) weight = Gather (weights, place) nothing = Mul (weight, zero)
  sum = Add (nothing, features) probabilities = Softmax <axis = 1> (sum)
}
"""
ROW = {"x": 2, "y": 1}


@dataclass
class Told:
    """What callers saw; list.append is what threads share."""

    took_s: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    resident_mb: list[float] = field(default_factory=list)


def run() -> None:
    with bed.made() as found:
        names = [f"m{number:02}" for number in range(MODELS)]
        for name in names:
            found.parts.catalog.publish(bundle.load(made(found.folder / name, name)))
        key, metrics = (found.once("keys", "create", "--name", "bench", *more) for more in ((), ("--metrics",)))
        room_mb = ROOM * (MODEL_MB * 5 // 4 + 5)
        env = {**found.env, "COATCHECK_MODEL_MEMORY_MB": str(room_mb)}
        api = found.start(Program("api", platform_processes.command("serve", "--port", str(PORT)), env))
        bed.until(lambda: platform_processes.answers(f"http://127.0.0.1:{PORT}/ready"))
        # Each was open once by now: whatever the first time leaves behind is there.
        told, opened_before = Told(), openings(metrics)
        begins = rss_mb(api.pid)
        load(names, key, told, api.pid)
        opened = {name: count - opened_before.get(name, 0) for name, count in openings(metrics).items()}
    show(told, begins, [opened.get(name, 0) for name in names], room_mb)


def made(folder: Path, name: str) -> Path:
    """A bundle whose model says its own name to ROW."""
    graph = onnx.parser.parse_model(GRAPH)
    weights = np.random.default_rng().random(MODEL_MB * 2**18, np.float32)
    graph.graph.initializer.append(numpy_helper.from_array(weights, "weights"))
    golden = {"inputs": ROW, "prediction": name, "confidence": 0.731059}
    says = {
        "name": name, "version": "1.0.0", "kind": "tabular", "summary": "Which is larger?", "licence": "Apache-2.0",
        "fields": [{"name": "x", "type": "number"}, {"name": "y", "type": "number"}], "labels": [name, "other"],
        "inline": True, "golden": [golden],
    }  # fmt: skip
    folder.mkdir()
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    (folder / "model.yaml").write_text(yaml.safe_dump(says))
    return folder


def load(names: list[str], key: str, told: Told, pid: int) -> None:
    """A model is asked for by its rank as words are: the second half as often as the first, the third a third."""
    ends_at = time.monotonic() + SECONDS
    shares = list(itertools.accumulate(1 / rank for rank in range(1, len(names) + 1)))

    def calls(seed: int) -> None:
        dice, connection = random.Random(seed), http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        while time.monotonic() < ends_at:
            [name] = dice.choices(names, cum_weights=shares)
            began = time.monotonic()
            connection.request("POST", "/api/v1/predict", json.dumps({"model": name, "inputs": ROW}), headers)
            answer = connection.getresponse()
            body = answer.read()
            told.took_s.append(time.monotonic() - began)
            if answer.status != 200 or json.loads(body)["prediction"] != name:
                told.failed.append(f"{answer.status} {body[:300]!r}")

    callers = [threading.Thread(target=calls, args=(seed,)) for seed in range(CALLERS)]
    for caller in callers:
        caller.start()
    while time.monotonic() < ends_at:
        told.resident_mb.append(rss_mb(pid))
        time.sleep(0.2)
    for caller in callers:
        caller.join()


def openings(key: str) -> dict[str, int]:
    """How often each model was opened, as the API's metrics have it."""
    request = urllib.request.Request(f"http://127.0.0.1:{PORT}/metrics", headers={"Authorization": f"Bearer {key}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read().decode()
    found = re.findall(r'infer_model_open_seconds_count\{model="(m\d+)",process="api"\} ([\d.]+)', text)
    return {name: int(float(count)) for name, count in found}


def show(told: Told, begins: float, opened: list[int], room_mb: int) -> None:
    cuts = statistics.quantiles(told.took_s, n=100, method="inclusive")
    third = len(told.resident_mb) // 3
    parts = (told.resident_mb[start : start + third] for start in (0, third, 2 * third))
    memory = ", ".join(f"{statistics.fmean(part):.0f}" for part in parts)
    print(f"{MODELS} models of {MODEL_MB} MB, room for {ROOM} ({room_mb} MiB), {CALLERS} callers, {SECONDS} s")
    print(f"  requests {len(told.took_s):,}, failed or wrong {len(told.failed)} {told.failed[:1] or ''}")
    print(f"  ms p50 {cuts[49] * 1000:.1f}  p90 {cuts[89] * 1000:.1f}  p99 {cuts[98] * 1000:.1f}")
    print(f"  MB resident: at first {begins:.0f}; mean of each third {memory}; most {max(told.resident_mb):.0f}")
    print(f"  opened {sum(opened):,} times; by rank: {' '.join(map(str, opened))}")
