"""`coatcheck models push`: what an operator with an own model sees on the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from tests import graphs
from tests.cli.conftest import Run
from tests.conftest import ROOT, Platform

pytestmark = pytest.mark.usefixtures("platform")


def push(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cli.main", "models", "push", str(folder)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


def test_a_bundle_is_checked_without_settings_and_nothing_is_published(tmp_path: Path, platform: Platform) -> None:
    name = f"m{uuid.uuid4().hex}"
    folders = [str(graphs.bundle(tmp_path / "own", name=name)), str(tmp_path / "wrong")]
    graphs.bundle(tmp_path / "wrong", labels=["b", "a"])
    done = subprocess.run(
        [sys.executable, "-m", "cli.main", "models", "check", *folders],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=False, env={"PATH": os.environ["PATH"]},
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stdout.startswith(f"{name} 1.0.0  answers its 2 examples  sha256:")
    assert done.stderr.startswith(f"Error: {folders[1]}: golden example 1 must give a 0.731059, but gives b 0.7310")
    assert name not in {item.model for item in platform.catalog.versions()}


def test_a_model_of_ones_own_is_published(platform: Platform, tmp_path: Path) -> None:
    name = f"m{uuid.uuid4().hex}"
    done = push(graphs.bundle(tmp_path / "own", name=name))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{name} 1.0.0  published  sha256:")


def test_a_version_that_is_taken_is_one_sentence_with_what_to_do(tmp_path: Path) -> None:
    name = f"m{uuid.uuid4().hex}"
    assert push(graphs.bundle(tmp_path / "own", name=name)).returncode == 0
    done = push(graphs.bundle(tmp_path / "other", name=name, summary="Another"))
    assert done.returncode == 1
    said = (
        f"Error: {name} 1.0.0 is already published with other contents: version is taken; raise it (published_digest: "
    )
    assert done.stderr.startswith(said)


def test_what_onnx_runtime_says_is_on_the_terminal_once_and_nothing_else(tmp_path: Path) -> None:
    # A place outside of a table, which only the run finds.
    body = "place = Cast <to = 7> (features) far = Gather (zeros, place) probabilities = Softmax (far)"
    golden = [{"inputs": {"x": 7, "y": 1}, "prediction": "a", "confidence": 0.5}]
    done = push(graphs.bundle(tmp_path / "own", graphs.graph(body), golden=golden))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(
        f"Error: {tmp_path / 'own'}: golden example 1 cannot be run: small failed: InvalidArgument."
    )
    assert "ONNX Runtime says: " in done.stderr
    assert "indices element out of data bounds" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_all_mistakes_in_a_manifest_are_on_the_terminal_each_on_a_line_of_its_own(tmp_path: Path) -> None:
    done = push(graphs.bundle(tmp_path / "own", labels=[0, True], summary=5))
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        f"Error: {tmp_path / 'own' / 'model.yaml'}:",
        "  summary must be a text, but is the number 5; put it in quotes",
        "  label 1 must be a text, but is the number 0; put it in quotes",
        "  label 2 must be a text, but is true; YAML reads yes, no, on and off as true and false: put it in quotes",
    ]


@pytest.mark.parametrize("verb", ["check", "push"])
def test_a_file_in_the_place_of_a_folder_is_said_before_it_is_looked_into(run: Run, verb: str) -> None:
    done = run("models", verb, "rows.jsonl")
    assert (done.code, done.out) == (2, "")
    assert "Error: Invalid value for 'FOLDERS...': Directory 'rows.jsonl' is a file." in done.err


def test_a_push_says_which_version_still_answers() -> None:
    done = push(ROOT / "bundles" / "sentiment-2")
    assert done.stdout.startswith("sentiment 2.1.0  already there  sha256:")
    assert done.stderr == (
        "sentiment 1.0.0 still answers by default; `coatcheck models stable sentiment 2.1.0` changes that\n"
    )


def test_a_graph_that_kills_its_process_is_one_sentence_and_not_the_end_of_the_command(tmp_path: Path) -> None:
    body = (
        f"low = Constant <value = int64[1] {{{-(2**63)}}}> () whole = Cast <to = 7> (features) minus = Neg (whole) "
        "quotient = Div (low, minus) back = Cast <to = 1> (quotient) probabilities = Softmax (back)"
    )
    done = push(graphs.bundle(tmp_path / "own", graphs.graph(body), inline=False))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"Error: {tmp_path / 'own'}: golden example 1 ended the process: SIGFPE, ")
    assert len(done.stderr.splitlines()) == 1
