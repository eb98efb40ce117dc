"""A model in Python as docs/models.md says it, by the commands there; and what the command says of others."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import uuid
from pathlib import Path

import flask.testing
import pytest
import yaml

from inference import bundle, check
from jobs.drain import Drainer
from tests import graphs
from tests.conftest import ROOT, Platform, until

SECTION = (ROOT / "docs/models.md").read_text().split("## A model in Python")[1].split("\n## ")[0]
CLASS, PACKAGE, TRAINING, MANIFEST, COMMANDS, FILE_CLASS, FILE_MANIFEST, _FILES = re.findall(
    r"```\w*\n(.*?)```", SECTION, re.DOTALL
)


def run(*command: str, at: Path, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (ROOT, path) if path else (ROOT,)))}
    return subprocess.run(command, cwd=at, env=env, capture_output=True, text=True, timeout=300, check=False)


def models(command: str, folder: str, at: Path, path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return run(sys.executable, "-m", "cli.main", "models", command, folder, *more, at=at, path=path)


def test_a_stranger_brings_a_class_by_the_lines_and_commands_of_the_docs(
    platform: Platform, drainer: Drainer, client: flask.testing.FlaskClient, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    package, installed = tmp_path / "churn-model", tmp_path / "installed"
    package.mkdir()
    (package / "churn_model.py").write_text(CLASS)
    (package / "pyproject.toml").write_text(PACKAGE)
    assert len([line for line in CLASS.splitlines() if line]) <= 10
    assert COMMANDS.startswith("pip install ./churn-model ")
    # As that, with what is here already, and beside it.
    offline = ("--no-index", "--no-build-isolation", "--no-deps", "--target", str(installed))
    made = run(sys.executable, "-m", "pip", "install", *offline, "./churn-model", at=tmp_path)
    assert made.returncode == 0, made.stderr
    trained = run(sys.executable, "-c", TRAINING, at=tmp_path)
    assert trained.returncode == 0, trained.stderr
    (tmp_path / "churn-python" / "model.yaml").write_text(MANIFEST)
    for line in ("coatcheck models check churn-python", "coatcheck models push churn-python"):
        assert line in COMMANDS
    checked = models("check", "churn-python", tmp_path, installed)
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.startswith("churn-python 1.0.0  answers its example  sha256:")
    assert checked.stdout.endswith("  by churn_model:Churn of churn-model 1.0.0\n")
    pushed = models("push", "churn-python", tmp_path, installed)
    assert pushed.returncode == 0, pushed.stderr
    monkeypatch.syspath_prepend(installed)
    until(lambda: client.get("/api/v1/models/churn-python").status_code == 200)
    until(lambda: "churn-python" in {item.model for item in platform.catalog.versions()})
    example = client.get("/api/v1/models/churn-python").json["example"]
    ticket = client.post("/api/v1/jobs", json=example)
    drainer.drain("cpu", "wake")
    assert client.get(f"/api/v1/jobs/{ticket.json['job_id']}").json["result"]["prediction"] == "leaves"


def test_the_class_for_files_of_the_docs_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"lines{uuid.uuid4().hex}"
    graphs.plug_in(tmp_path, name, f"{FILE_CLASS}\n\nKind = Lines\n", "coatcheck.models")
    monkeypatch.syspath_prepend(tmp_path)
    says = yaml.safe_load(FILE_MANIFEST.replace("class: lines", f"class: {name}"))
    folder = graphs.bundle(tmp_path / "bundle", **{"labels": None, "fields": None, "inline": None, **says})
    (folder / "golden.csv").write_text("a\nb\n")
    check.check(bundle.load(folder))


LOUD = """
import os
print("at import")
class Kind:
    def load(self, folder): os.write(1, b"at load")
    def predict(self, rows):
        print("at predict", flush=True)
        return [[0.731059, 0.268941] if row["x"] > row["y"] else [0.268941, 0.731059] for row in rows]
"""


@pytest.mark.parametrize("command", ["check", "push"])
@pytest.mark.usefixtures("platform")
def test_what_a_class_prints_is_not_what_the_command_says(tmp_path: Path, command: str) -> None:
    name = f"loud{uuid.uuid4().hex}"
    graphs.plug_in(tmp_path, name, LOUD, "coatcheck.models")
    graphs.bundle(tmp_path / "bundle", name=name, kind="python", inline=None, options={"class": name})
    done = models(command, "bundle", tmp_path, tmp_path, "--json")
    assert [row["model"] for row in json.loads(done.stdout)] == [name]
    assert done.stderr == ""
