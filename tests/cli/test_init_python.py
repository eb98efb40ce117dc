"""`coatcheck models init --python`: what somebody has after it who has installed a class and brings a row."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests import graphs
from tests.cli.conftest import Run
from tests.cli.test_init import begun

ROW = '{"age": 61, "spent": 1.5, "city": "Bern", "new": true}'
Install = Callable[..., str]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a class, by what it answers to a `row`, and give its name."""
    packages = tmp_path / "packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(packages)

    def go(answers: str, load: str = "pass", name: str = "churn") -> str:
        code = f"import numpy as np\nclass Kind:\n def load(self, folder): {load}\n"
        body = f" def predict(self, rows): return [{answers} for row in rows]\n"
        graphs.plug_in(packages, name, code + body, "coatcheck.models")
        return name

    return go


#: What a class gives, and what of it is then in model.yaml.
GIVES: dict[str, tuple[str, dict[str, Any]]] = {
    "probabilities of labels": (
        "{'no': 0.25, 'yes': 0.75}", {"labels": ["no", "yes"], "golden": {"prediction": "yes", "confidence": 0.75}}),
    "probabilities": ("np.array([0.25, 0.75])", {"labels": ["label_0", "label_1"]}),
    "a number": ("row['spent'] * 2", {"numbers": [{"name": "churn"}], "golden": {"prediction": 3.0}}),
    "a vector": ("[row['age'] + 0.5] * 20", {"embedding": 20, "golden": {"embedding": [61.5] * 4}}),
    "a text": ("'From ' + row['city']", {"text": True, "golden": {"text": "From Bern"}}),
    "numbers that are no probabilities": (
        "{'low': 1, 'high': 2.5}", {"record": {"low": {"type": "number"}, "high": {"type": "number"}}}),
    "a record": (
        "{'words': [row['city']], 'new': row['new'], 'by': None, 'more': {'x': np.float32(1)}}",
        {"record": {"words": {"type": "array"}, "new": {"type": "boolean"}, "by": {}, "more": {"type": "object"}},
         "golden": {"record": {"words": ["Bern"], "new": True, "by": None, "more": {"x": 1.0}}}}),
}  # fmt: skip


@pytest.mark.parametrize("case", GIVES)
def test_what_a_class_answers_to_a_row_is_written_and_passes_check_as_it_is(
    run: Run, tmp_path: Path, install: Install, case: str
) -> None:
    answers, wanted = GIVES[case]
    found, text = begun(run, tmp_path, "--python", install(answers), "--row", ROW)
    says = yaml.safe_load(text)
    assert (found["model"], found["kind"], found["issue"]) == ("churn", "python", None)
    assert says["options"] == {"class": "churn"}
    assert [(field["name"], field["type"]) for field in says["fields"]] == [
        ("age", "integer"), ("spent", "number"), ("city", "string"), ("new", "boolean"),
    ]  # fmt: skip
    [golden] = says["golden"]
    assert golden["inputs"] == json.loads(ROW)
    said = {**says, "golden": {key: golden[key] for key in wanted.get("golden", {})}}
    assert {key: said[key] for key in wanted} == wanted


def test_the_data_of_a_class_are_in_the_folder_that_model_yaml_is_put_into(
    run: Run, tmp_path: Path, install: Install
) -> None:
    name = install("self.by * row['x']", "self.by = float((folder / 'by.txt').read_text())")
    words = ("models", "init", "--python", name, "--row", '{"x": 3}', "--out", "data")
    done = run(*words)
    assert (done.code, "cannot be loaded: FileNotFoundError" in done.err) == (1, True)
    assert "'data/by.txt'" in done.err
    assert not (tmp_path / "data").exists()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "by.txt").write_text("2")
    _, text = begun(run, tmp_path, *words[2:])
    assert yaml.safe_load(text)["golden"] == [{"inputs": {"x": 3}, "prediction": 6.0}]
    assert {path.name for path in (tmp_path / "data").iterdir()} == {"by.txt", "model.yaml"}
    assert "data has something in it already" in run(*words).err


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("None", "churn gave a NoneType for a row, which is neither a number, "),
        ("[[1]]", "churn gave a list for a row, which is neither a number, "),
        ("{}", "churn gave a dict for a row, which is neither a number, "),
        ("float('nan')", "churn gave what is no answer: its answer is a number that is not finite"),
        ("row['age']['x']", "churn cannot answer the row: churn failed: TypeError. Python says: 'int' object is not"),
        ("__import__('os')._exit(3)", "the row ended the process: exit code 3"),
    ],
)  # fmt: skip
def test_a_class_that_does_not_answer_is_a_sentence_and_leaves_no_folder(
    run: Run, tmp_path: Path, install: Install, answers: str, told: str
) -> None:
    done = run("models", "init", "--python", install(answers), "--row", ROW)
    assert (done.code, done.out, told in done.err) == (1, "", True), done.err
    assert not (tmp_path / "churn").exists()


def test_a_class_that_is_not_installed_is_told_with_those_that_are(run: Run, install: Install) -> None:
    install("1")
    done = run("models", "init", "--python", "chrun", "--row", ROW)
    assert (done.code, "class 'chrun' is not installed" in done.err) == (1, True)
    assert done.err.rstrip().endswith("there are here: churn")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "say SOURCE, or --python CLASS with a --row"),
        (("--python", "churn"), "say SOURCE, or --python CLASS with a --row"),
        (("--row", ROW), "say SOURCE, or --python CLASS with a --row"),
        (("rows.jsonl", "--row", "{}"), "must be a JSON object, such as"),
        (("rows.jsonl", "--row", ROW), "--python and --row go together, without SOURCE"),
        (("rows.jsonl", "--python", "churn"), "--python and --row go together, without SOURCE"),
        (("--python", "churn", "--row", "[1]"), "must be a JSON object, such as"),
        (("--python", "churn", "--row", "{age: 61}"), "must be a row as JSON: "),
        (("--python", "churn", "--row", '{"age": NaN}'), "row.age is a number that is not finite"),
        (("--python", "churn", "--row", '{"age": [1]}'), "age must be a text, a number, true or false"),
    ],
)
def test_what_is_missing_or_odd_is_told_as_usage(run: Run, words: tuple[str, ...], told: str) -> None:
    done = run("models", "init", *words)
    assert (done.code, done.out, told in " ".join(done.err.split())) == (2, "", True), done.err
