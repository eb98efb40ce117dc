"""The benchmark of explanations, without a peer: how fast, whether the stated errors are true, and what was planted."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx.helper
import orjson
from skl2onnx import to_onnx
from skl2onnx.common.data_types import StringTensorType
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from benchmarks import bed
from benchmarks import explain_models as models
from benchmarks.explain import Told
from benchmarks.explain_models import Array
from core import strict_json
from inference import bundle, schema
from inference.explain import forest, graph, sampled, trees
from inference.model import Model, open_model
from inference.output import Explanation
from jobs import told
from tests import graphs

TUMOR = bed.ROOT / "bundles" / "tumor-2"
ROWS, ROUNDS, ONES, CASES = 10_000, 5, 500, 250
#: Usual rows of the cases of which the truth is known, and the players of those that are games.
USUAL, PLAYERS = 20, 12
FILLS = "we sent the parcel back on monday because it was late and then asked for our money as agreed"
DECIDES = "refund"


def fast() -> Iterator[Told]:
    opened = open_model(bundle.load(TUMOR), threads=1)
    usual = [orjson.loads(line) for line in (TUMOR / "usual.jsonl").open()]
    random = np.random.default_rng(0)
    mixed = [{name: usual[random.integers(len(usual))][name] for name in usual[0]} for _ in range(ROWS)]
    rows = [schema.validate_inputs(opened.bundle.manifest, row) for row in mixed[:ONES]]
    took = [_seconds(lambda row=row: opened.explained([row], opened.predict([row]))) for row in rows]
    ms = 1e3 * statistics.median(took)
    yield Told("one row, predicted and explained", f"{ms:.2f} ms", "2 ms", ms <= 2)
    lines = [orjson.dumps(row) for row in mixed]
    rounds = [_bulk(opened, lines) for _ in range(ROUNDS)]
    clock, whole, why = (statistics.median(column) for column in zip(*rounds, strict=True))
    found = f"{whole:.2f} s of the core, of it reasons {why:.2f} ({clock:.2f} by the clock)"
    yield Told(f"{ROWS:,} rows, read, answered, written", found, "2 s", whole <= 2)


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _bulk(opened: Model, lines: list[bytes]) -> tuple[float, float, float]:
    """As a chunk of a file goes: the seconds it takes, those of the core, and of these what the reasons take."""
    began, cpu, why, manifest = time.perf_counter(), time.process_time(), 0.0, opened.bundle.manifest
    for start in range(0, len(lines), manifest.max_batch):
        read = [strict_json.loads(line) for line in lines[start : start + manifest.max_batch]]
        rows = [schema.validate_inputs(manifest, row) for row in read]
        said = opened.predict(rows)
        asks = time.process_time()
        said = opened.explained(rows, said)
        why += time.process_time() - asks
        for one in said:
            orjson.dumps(told.v1(one, "shap"))
    return time.perf_counter() - began, time.process_time() - cpu, why


def covered() -> Iterator[Told]:
    """Of every score of 500 cases whose truth is known."""
    within: dict[str, list[bool]] = defaultdict(list)
    for name, (worth, players, truth), budget, seed in itertools.chain(_games(), _tumors()):
        found = sampled.estimate(worth, players, budget, seed)
        within[f"{name}, {found.algorithm}"] += (np.abs(found.scores - truth) <= 2 * found.errors).tolist()
    within[f"all {2 * CASES} cases"] = [*itertools.chain(*within.values())]
    for name, each in within.items():
        share = 100 * statistics.mean(each)
        yield Told(name, f"{share:.1f} % of {len(each):,} scores", "90 to 99 %", 90 <= share <= 99)


Case = tuple[str, tuple[sampled.Worth, int, Array], int, int]


def _games() -> Iterator[Case]:
    """Players who also help and hinder each other, to a worth that is no sum."""
    for seed, budget in zip(range(CASES), itertools.cycle((sampled.least(PLAYERS), 72, 200, 512)), strict=False):
        random = np.random.default_rng(seed)
        alone, pairs = random.normal(size=PLAYERS), random.normal(size=(PLAYERS, PLAYERS)) * 0.3

        def worth(masks: Array, alone: Array = alone, pairs: Array = pairs) -> Array:
            return np.tanh((masks @ alone + ((masks @ pairs) * masks).sum(axis=1)) / 3)

        truth = sampled.estimate(worth, PLAYERS, 2**PLAYERS, 0).scores
        yield f"games of {PLAYERS}", (worth, PLAYERS, truth), budget, seed


def _tumors() -> Iterator[Case]:
    """The log-odds of tumor, whose exact scores are those of its trees."""
    usual = np.array([[*orjson.loads(line).values()] for line in (TUMOR / "usual.jsonl").open()], np.float32)
    read = next(node for node in graph.read(TUMOR / "model.onnx").nodes if node.op in trees.OPS)
    players = usual.shape[1]
    exact = forest.Forest(trees.of(read), usual[:USUAL], np.arange(players))
    for seed, budget in zip(range(CASES), itertools.cycle((sampled.least(players), 180, 300, 512)), strict=False):
        row = np.random.default_rng(seed).permuted(usual, axis=0)[0]

        def worth(masks: Array, row: Array = row) -> Array:
            mixed = np.where(masks[:, None], row, usual[:USUAL]).reshape(-1, players)
            return exact.margins(mixed).reshape(len(masks), USUAL).mean(axis=1)

        truth = exact.explain(row[None], np.zeros(1, int))[1][0]
        yield "tumor", (worth, players, truth), budget, seed


def planted() -> Iterator[Told]:
    with tempfile.TemporaryDirectory() as scratch:
        yield _deciding(Path(scratch) / "text")
        yield from _twins(Path(scratch) / "few", 6, 0.0)
        yield from _twins(Path(scratch) / "many", 14, 2.0)
        yield _unused(Path(scratch) / "trees")


def _deciding(folder: Path) -> Told:
    """Texts in which one word alone makes the label."""
    random, words = np.random.default_rng(0), FILLS.split()
    texts = [[*map(str, random.choice(words, 13))] for _ in range(300)]
    for number, text in enumerate(texts):
        text.insert(int(random.integers(14)), DECIDES if number % 2 else words[number % len(words)])
    # Not made lower-case: ONNX would need a locale for it.
    pipeline = make_pipeline(TfidfVectorizer(lowercase=False), LogisticRegression()).fit(
        [" ".join(text) for text in texts], [int(DECIDES in text) for text in texts]
    )
    made = to_onnx(
        pipeline, initial_types=[("text", StringTensorType([None, 1]))], target_opset=17,
        options={id(pipeline[-1]): {"zipmap": False}},
    )  # fmt: skip
    graphs.bundle(
        folder, made.SerializeToString(), kind="text", fields=[{"name": "text", "type": "string"}], labels=["l0", "l1"],
        golden=[{"inputs": {"text": "a"}, "prediction": "l0", "confidence": 0.5}], explanation=["shap"],
        explain={"method": "sampled"},
    )  # fmt: skip
    opened = open_model(bundle.load(folder), threads=1)
    asked = [{"text": " ".join(text)} for text in texts[1:60:2]]
    first = [max(zip(map(abs, why.scores), why.features, strict=True))[1] for why in _whys(opened, asked)]
    found = f"first in {first.count(DECIDES)} of {len(first)} texts of 14 words"
    return Told("a word that decides", found, "all", first.count(DECIDES) == len(first))


def _twins(folder: Path, columns: int, errors: float) -> Iterator[Told]:
    """A network that takes two columns alike and one not at all, asked about rows where the two are alike; all
    differences count in so many standard errors, 0 where there are none."""
    random = np.random.default_rng(1)
    weights = random.normal(size=(columns, 8)).astype(np.float32)
    weights[1], weights[2] = weights[0], 0
    rows = random.normal(size=(USUAL * 2, columns)).astype(np.float32)
    rows[:, 1] = rows[:, 0]
    names = [f"f{number}" for number in range(columns)]
    opened = models.opened(
        folder, _network(weights, random.normal(size=(8, 1))), rows[:USUAL], 0, names, method="sampled"
    )
    whys = _whys(opened, [models.row_of(names, row) for row in rows[USUAL:]])
    scores = np.array([why.scores for why in whys])
    off = np.array([why.std_errors or np.zeros(columns) for why in whys])
    apart, unused = np.abs(scores[:, 0] - scores[:, 1]), np.abs(scores[:, 2])
    near = errors * np.sqrt(off[:, 0] ** 2 + off[:, 1] ** 2) + 1e-6, errors * off[:, 2] + 1e-6
    share = 0.9 if errors else 1.0
    wanted = "within twice the error, 9 of 10" if errors else "within 1e-06"
    for what, gap, most in (("two alike", apart, near[0]), ("one that is ignored", unused, near[1])):
        inside = int((gap <= most).sum())
        found = f"{gap.max():.1e} at most, in {inside} of {len(gap)} rows near enough"
        yield Told(f"{what}, of {columns} ({whys[0].algorithm})", found, wanted, inside >= share * len(gap))


def _network(first: Array, second: Array) -> bytes:
    given = [onnx.helper.make_tensor(name, 1, made.shape, made.ravel()) for name, made in (("v", first), ("w", second))]
    nodes = [
        onnx.helper.make_node(op, takes, gives)
        for op, takes, gives in (("MatMul", ["x", "v"], ["h"]), ("Tanh", ["h"], ["t"]), ("MatMul", ["t", "w"], ["y"]))
    ]
    ends = [[onnx.helper.make_tensor_value_info(name, 1, [None, size])] for name, size in (("x", len(first)), ("y", 1))]
    made = onnx.helper.make_graph(nodes, "g", *ends, given)
    version = [onnx.helper.make_opsetid("", 17)]
    return bytes(onnx.helper.make_model(made, opset_imports=version, ir_version=10).SerializeToString())


def _unused(folder: Path) -> Told:
    """Trees that never ask for one of their columns."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(300, models.COLUMNS)).astype(np.float32)
    learned = rows.copy()
    learned[:, 3] = 0
    estimator = RandomForestClassifier(30, random_state=0).fit(learned, rows[:, 0] * rows[:, 1] > 0)
    opened = models.opened(folder, models.of_sklearn(estimator, 2), rows[:USUAL], 2)
    whys = _whys(opened, [models.row_of(models.NAMES, row) for row in rows[USUAL : 2 * USUAL]])
    most = max(abs(why.scores[3]) for why in whys)
    return Told("one that no tree asks for", f"{most:g} at most", "0", most == 0)


def _whys(opened: Model, rows: list[Any]) -> list[Explanation]:
    return [one.explained for one in opened.explained(rows, opened.predict(rows))]
