"""`coatcheck explain`: why a model answers so, for people, for programs and as a picture."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shutil
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from cli import explain
from inference.explain import heat
from inference.output import Explanation, Label
from jobs import settle
from tests import graphs
from tests.cli.conftest import KEY, Here, Run
from tests.conftest import ROOT
from tests.engines import until
from tests.hands import took

pytestmark = pytest.mark.usefixtures("quiet")
USUAL = '{"x": 0, "y": 0}\n{"x": 1, "y": 0}\n'


def asked(here: Here) -> str:
    """A model whose reasons are found by questions."""
    name = f"m{uuid.uuid4().hex}"
    says = {"method": "sampled", "background": "usual.jsonl", "evaluations": 64}
    folder = graphs.bundle(here.folder / name, name=name, explanation=["shap"], explain=says)
    (folder / "usual.jsonl").write_text(USUAL)
    assert here("models", "push", str(folder)).code == 0
    return name


def why(scores: dict[str, float], **more: Any) -> Explanation:
    told: dict[str, Any] = {"algorithm": "linear", "output": "b", "scale": "number", "std_errors": None,
                            "base_value": 0.0, "value": 1.0, "additivity_error": 0.0, "evaluations": 0}  # fmt: skip
    return Explanation(features=[*scores], scores=[*scores.values()], **{**told, **more})


@contextmanager
def answering(here: Here, model: str, said: Label) -> Iterator[None]:
    """What the next job for the model's reasons comes to."""

    def work() -> None:
        pending = "SELECT FROM jobs WHERE status = 'pending' AND model = :model"
        until(lambda: here.platform.rows(pending, model=model))
        done = [settle.Done(job, said, 1, run_ms=3) for job in took(here.platform, pool="explain")]
        settle.complete(here.platform.engine, done)

    worker = threading.Thread(target=work)
    worker.start()
    yield
    worker.join()


def test_each_feature_has_a_bar_and_all_of_them_come_to_the_answer(here: Here) -> None:
    done = here("explain", "tumor", "--version", "1.1.0")
    assert (done.code, done.err) == (0, "")
    head, *rows = done.out.splitlines()
    found = re.fullmatch(r"(\w+): (\S+) usually, (\S+) here \(log-odds; trees, exact\)", head)
    assert found
    scores = [float(row.split()[-1]) for row in rows]
    assert len(rows) == explain.MOST + 1
    assert rows[-1].startswith("10 others ")
    assert sum(scores) == pytest.approx(float(found[3]) - float(found[2]), abs=0.02)
    longest = max(rows[:-1], key=lambda row: abs(float(row.split()[-1])))
    assert rows[0] == longest


def test_what_takes_many_questions_is_waited_for_and_says_how_far_off_it_may_be(here: Here) -> None:
    name = asked(here)
    reasons = why({"x": 0.5, "y": -0.25}, std_errors=[0.125, 0.0625], algorithm="leverage", evaluations=64)

    with answering(here, name, Label("b", 0.7, {"a": 0.3, "b": 0.7}, explained=reasons)):
        done = here("explain", name, "--input", "x=3", "--tolerance", "0.5", "--strict")
    assert done.code == 0, done.err
    [(options,)] = here.platform.rows("SELECT options FROM jobs WHERE model = :name", name=name)
    assert options == {"explain": "shap", "explain_tolerance": 0.5, "explain_strict": True}
    assert done.out.splitlines()[0] == "b: 0 usually, 1 here (number; leverage, 64 inputs asked)"
    assert [line.split()[-3:] for line in done.out.splitlines()[1:]] == [
        ["+0.5", "+-", "0.12"],
        ["-0.25", "+-", "0.062"],
    ]


def test_for_programs_all_of_it_is_json(here: Here) -> None:
    told = json.loads(here("explain", "tumor", "--version", "1.1.0", "--input", "worst_area=500", "--json").out)
    assert (told["model_version"], told["job_id"], told["inputs"]["worst_area"]) == ("1.1.0", None, 500)
    assert told["answer"]["explanation"]["algorithm"] == "trees"


def test_a_picture_is_drawn_as_well(here: Here) -> None:
    done = here("explain", "tumor", "--version", "1.1.0", "--picture", "why.svg")
    assert (done.code, "log-odds" in done.out) == (0, True)
    drawn = ElementTree.fromstring(Path(here.folder, "why.svg").read_text())
    assert drawn.tag.endswith("svg")


def test_where_a_picture_cannot_go_is_said_before_anybody_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    nowhere = {"COATCHECK_URL": "http://127.0.0.1:9", "COATCHECK_API_KEY": KEY}
    done = run("explain", "tumor", "--picture", "nowhere/why.svg", **nowhere)
    assert (done.code, done.out) == (1, "")
    assert "nowhere/why.svg cannot be written (No such file or directory)" in done.err


def test_the_picture_of_a_text_is_the_one_that_the_api_draws(here: Here) -> None:
    name, text = f"m{uuid.uuid4().hex}", "good good bad good"
    folder = shutil.copytree(ROOT / "bundles" / "sentiment-1", here.folder / name)
    says = yaml.safe_load((folder / "model.yaml").read_text())
    says |= {"name": name, "explanation": ["shap"], "explain": {"method": "sampled"}}
    (folder / "model.yaml").write_text(yaml.safe_dump(says))
    assert here("models", "push", str(folder)).code == 0
    reasons = why({}, std_errors=[0.1] * 4, algorithm="leverage", evaluations=64)
    reasons = dataclasses.replace(reasons, features=text.split(), scores=[0.1, 0.3, -0.4, 0.2])

    with answering(here, name, Label("b", 0.7, {"b": 0.7}, reasons)):
        done = here("explain", name, "--input", f"text={text}", "--picture", "heat.svg")
    assert done.code == 0, done.err
    assert Path(here.folder, "heat.svg").read_text() == heat.heat(reasons, text)
    assert [line.split()[0] for line in done.out.splitlines()[1:]] == ["bad", "good", "good", "good"]


def test_what_must_be_exact_says_how_exact(here: Here) -> None:
    done = here("explain", "tumor", "--version", "1.1.0", "--strict")
    assert (done.code, done.out, "--tolerance" in done.err) == (2, "", True)
    done = here("explain", "tumor", "--version", "1.1.0", "--tolerance", "nan")
    assert (done.code, done.out) == (2, "")


def test_a_model_that_has_no_reasons_says_so(here: Here) -> None:
    done = here("explain", "sentiment")
    assert (done.code, done.out) == (1, "")
    assert "explain" in done.err


def test_bars_are_as_long_as_the_scores_and_on_their_side() -> None:
    head, *rows = explain._told(why({"up": 2.0, "down": -1.0, "none": 0.0}))
    assert head == "b: 0 usually, 1 here (number; linear, exact)"
    bars = [row[len("down") + 2 :][: 2 * explain.BAR + 1] for row in rows]
    left, right = zip(*(bar.split("│") for bar in bars), strict=True)
    assert [bar.count("█") for bar in right] == [explain.BAR, 0, 0]
    assert [bar.count("█") for bar in left] == [0, explain.BAR // 2, 0]
    assert left[1] == f"{'█' * (explain.BAR // 2):>{explain.BAR}}"
    assert [row.split()[-1] for row in rows] == ["+2", "-1", "+0"]


def test_a_small_score_is_a_part_of_a_cell() -> None:
    _, _, small = explain._told(why({"a": 160.0, "b": 1.0}))
    assert "│▏" in small


def test_what_is_not_exact_says_how_far_off_it_may_be() -> None:
    head, row = explain._told(why({"a": 1.0}, std_errors=[0.123], algorithm="leverage", evaluations=1200))
    assert head.endswith("(number; leverage, 1,200 inputs asked)")
    assert row.endswith("+1 +- 0.12")
    head, _ = explain._told(why({"a": 1.0}, std_errors=[0.5], algorithm="leverage", evaluations=64, cut_short=True))
    assert head.endswith("(number; leverage, 64 inputs asked, cut short by its time)")


def test_a_terminal_without_blocks_gets_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
        _, up, down, half = explain._told(why({"a": 1.0, "b": -1.0, "c": 0.5}))
    assert up == f"a  {' ' * 20}|{'#' * 20}  +1"
    assert down == f"b  {'#' * 20}|{' ' * 20}  -1"
    assert half == f"c  {' ' * 20}|{'#' * 10}{' ' * 10}  +0.5"
    _, nothing = explain._told(why({"a": 0.0}))
    assert nothing.split("│") == [f"a  {' ' * 20}", f"{' ' * 20}  +0"]


def test_a_name_steers_no_terminal_and_has_an_end() -> None:
    _, first, _ = explain._told(why({f"\x1b[2J{'long' * 30}": 1.0, "電" * 40: 0.5}))
    assert first.index("...  ") == 29
    assert ("\x1b" in first, first.startswith("�[2J")) == (False, True)
    assert "..." in first
