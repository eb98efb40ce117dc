"""The benchmark of explanations beside shap: the same scores, how much sooner, and how near for as many questions."""

from __future__ import annotations

import functools
import itertools
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import orjson
import shap
import yaml
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks import bed
from benchmarks import explain_models as models
from benchmarks.explain import Told
from benchmarks.explain_models import Array
from inference import bundle
from inference.explain import asked, sampled
from inference.model import Model, open_model

ROUNDS, EACH, OF_TEXTS, SEEDS = 21, 10, 3, 10
TUMOR, SENTIMENT = bed.ROOT / "bundles" / "tumor-2", bed.ROOT / "bundles" / "sentiment-2"
Call = Callable[[], object]
#: Of twelve words, so that all combinations can be asked for the truth; shap asks ten of them in every combination too.
TEXTS = (
    "The acting was fine, but I would not watch this film again.",
    "Cold food and slow service, yet the staff were kind to us.",
)


def equal() -> Iterator[Told]:
    """Scores of the model in its own library's form, and of the same model as a graph in a bundle."""
    with tempfile.TemporaryDirectory() as scratch:
        for case in (*models.TREES, *models.LINEAR):
            yield _equal(case, Path(scratch) / case.name)


def _equal(case: models.Case, folder: Path) -> Told:
    rows, target = models.data(case)
    linear = case in models.LINEAR
    estimator = case.estimator.fit(rows.astype(float) if linear else rows, target)
    usual, rows = np.split(rows[: 2 * models.USUAL], 2)
    opened = models.opened(folder, case.graph(estimator, case.classes), usual, case.classes)
    inputs = [models.row_of(models.NAMES, row) for row in rows]
    whys = [one.explained for one in opened.explained(inputs, opened.predict(inputs))]
    answers = [opened.bundle.manifest.labels.index(why.output) if case.classes else 0 for why in whys]
    every = np.arange(len(rows))
    if linear:
        weights = np.atleast_2d(estimator.coef_)
        wanted = (rows - usual.mean(axis=0, dtype=float))[:, :, None] * weights.T
    else:
        native = shap.TreeExplainer(estimator, data=usual, feature_perturbation="interventional")
        wanted = native.shap_values(rows, check_additivity=False)
    wanted = _of_each_answer(wanted.reshape(*rows.shape, -1), case.classes)[every, :, answers]
    margins = _of_each_answer(case.margins(estimator, rows).reshape(len(rows), -1), case.classes)[every, answers]
    off = float(np.abs(np.array([why.scores for why in whys]) - wanted).max())
    sums = float(np.abs(np.array([why.value for why in whys]) - margins).max())
    most = 1e-6 if linear else 1e-5
    found = f"{off:.1e} off, of up to {np.abs(wanted).max():.2f}; the sum {sums:.1e}"
    return Told(case.name, found, f"{most:.0e}, the sum 1e-03", off <= most and sums <= 1e-3)


def _of_each_answer(found: Array, classes: int) -> Array:
    """Of two labels with one number, the first has what the second has not."""
    return np.concatenate([-found, found], axis=-1) if classes == 2 and found.shape[-1] == 1 else found


def times() -> Iterator[Told]:
    """One row at a time."""
    names, rows, target = _tumors()
    usual = np.array([[*orjson.loads(line).values()] for line in (TUMOR / "usual.jsonl").open()], np.float32)
    trees = open_model(bundle.load(TUMOR), threads=1)
    yield _beside("trees: tumor 1.1.0", trees, usual, rows, 20)
    with tempfile.TemporaryDirectory() as scratch:
        estimator = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows, target)
        graph = models.of_sklearn(estimator, 2)
        yield _beside("linear", models.opened(Path(scratch) / "l", graph, usual, 2, names), usual, rows, 50)
    yield from _texts()


def _tumors() -> tuple[list[str], Array, Array]:
    data = load_breast_cancer()
    return [name.replace(" ", "_") for name in data.feature_names], data.data.astype(np.float32), data.target


def _beside(name: str, opened: Model, usual: Array, rows: Array, least: float) -> Told:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(opened.bundle.graphs[0], options, providers=["CPUExecutionProvider"])
    takes, gives = session.get_inputs()[0].name, session.get_outputs()[-1].name
    theirs = shap.Explainer(lambda asked: session.run([gives], {takes: asked.astype(np.float32)})[0][:, 1], usual)
    names = [field.name for field in opened.bundle.manifest.fields]

    def ours(row: Array) -> None:
        inputs = [models.row_of(names, row)]
        opened.explained(inputs, opened.predict(inputs))

    rows = rows[:ROUNDS]
    plainly = [functools.partial(theirs, row[None], silent=True) for row in rows]
    took = by_turns([functools.partial(ours, row) for row in rows], plainly, EACH)
    return _ratio(name, *took, type(theirs).__name__, least)


def by_turns(ours: list[Call], theirs: list[Call], each: int) -> tuple[list[float], list[float]]:
    """How long each takes, a call of theirs after ours and then before; ours so many times in each turn, of which the
    middle one counts: where it is over in less than a millisecond, the first finds the caches full of theirs."""
    took: tuple[list[float], list[float]] = ([], [])
    for turn, (our, their) in enumerate(zip(ours, theirs, strict=True)):
        for side, call, often in ((0, our, each), (1, their, 1))[:: 1 if turn % 2 else -1]:
            took[side].append(statistics.median(_seconds(call) for _ in range(often)))
    return took


def _seconds(call: Call) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _ratio(name: str, ours: list[float], theirs: list[float], who: str, least: float) -> Told:
    each = [their / our for our, their in zip(ours, theirs, strict=True)]
    found = f"{1e3 * statistics.median(ours):.2f} ms, {who} {1e3 * statistics.median(theirs):.0f} ms: "
    ratio = statistics.median(each)
    return Told(name, f"{found}{ratio:.1f} times as fast", f"{least:g} times", ratio >= least)


def _texts() -> Iterator[Told]:
    """A transformer's words, as shap takes them for columns and as it takes them for texts, with their neighbours. All
    are asked about the very same game: words are left out."""
    opened = open_model(bundle.load(SENTIMENT), threads=1)
    games = [Game(opened, text) for text in TEXTS]
    for way in ("columns", "texts"):
        each = [game.theirs(way, seed) for game in games for seed in range(SEEDS)]
        far, asks = (statistics.mean(column) for column in zip(*each, strict=True))
        same = _error(games, round(asks))
        found = f"{same:.3f} off, shap {far:.3f} (Euclid, of the scores)"
        yield Told(f"transformer, as {way}: {asks:.0f} questions each", found, "no more", same <= far)
        budgets = range(sampled.least(games[0].players), 2 ** games[0].players, 4)
        enough = next(budget for budget in budgets if _error(games, budget) <= far)
        with tempfile.TemporaryDirectory() as scratch:
            asking = _asking(Path(scratch) / "b", max(64, enough))
            mine = [functools.partial(_explain, asking, text) for text in TEXTS] * OF_TEXTS
            took = by_turns(mine, [functools.partial(game.plainly, way) for game in games] * OF_TEXTS, 1)
        yield _ratio(f"transformer, as {way}: as near, {enough} questions", *took, "shap", 5)


def _explain(asking: Model, text: str) -> None:
    asking.explained([_row(text)], asking.predict([_row(text)]))


def _error(games: list[Game], budget: int) -> float:
    return statistics.mean(game.ours(budget, seed) for game in games for seed in range(SEEDS))


def _asking(folder: Path, evaluations: int) -> Model:
    shutil.copytree(SENTIMENT, folder)
    says = yaml.safe_load((folder / "model.yaml").read_text())
    says |= {"explanation": ["shap"], "explain": {"method": "sampled", "evaluations": evaluations}}
    (folder / "model.yaml").write_text(yaml.safe_dump(says))
    return open_model(bundle.load(folder), threads=1)


def _row(text: str) -> dict[str, Any]:
    return {"text": text, "language": "en", "confidence_threshold": 0.0}


class Game:
    """The words of a text: what the model says to its label with some of them, all combinations asked beforehand."""

    def __init__(self, opened: Model, text: str) -> None:
        self._opened, self._parts = opened, asked.parted(text)
        self.players, self._asked = len(self._parts), 0
        self._whole, nobody = np.ones((1, self.players)), np.zeros((1, self.players))
        neighbours = shap.maskers.Text(r"\s+").clustering(text)
        self._maskers = {"columns": nobody, "texts": shap.maskers.Partition(nobody, clustering=neighbours)}
        self._answer = int(opened.scores([_row(text)])[0].argmax())
        self._known = self._ask(np.arange(2**self.players)[:, None] >> np.arange(self.players) & 1)
        exact = shap.explainers.Exact(self._look_up, nobody)
        self._truth = exact(self._whole, max_evals=2**self.players, silent=True).values[0]

    def _ask(self, masks: Array) -> Array:
        rows = [_row("".join(itertools.compress(self._parts, mask > 0.5)).strip()) for mask in masks]
        return self._opened.scores(rows)[:, self._answer].astype(float)

    def _look_up(self, masks: Array) -> Array:
        self._asked += len(masks)
        return self._known[(masks > 0.5) @ (1 << np.arange(self.players))]

    def _off(self, scores: Array) -> float:
        return float(np.linalg.norm(scores - self._truth) / np.linalg.norm(self._truth))

    def theirs(self, way: str, seed: int) -> tuple[float, int]:
        """How far shap is off, and for how many answers it asked."""
        self._asked = 0
        found = shap.Explainer(self._look_up, self._maskers[way], seed=seed)(self._whole, silent=True)
        return self._off(found.values[0]), self._asked

    def ours(self, budget: int, seed: int) -> float:
        return self._off(sampled.estimate(self._look_up, self.players, budget, seed).scores)

    def plainly(self, way: str) -> None:
        shap.Explainer(self._ask, self._maskers[way])(self._whole, silent=True)
