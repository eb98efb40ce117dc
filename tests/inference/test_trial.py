"""A bundle is tried in a process of its own: what hangs or dies there is a sentence here, and is not published."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from core import errors
from inference import bundle, trial
from local.child import start_time
from tests import graphs
from tests.conftest import ROOT, until

LEAST = -(2**63)
ENDLESS = [{"inputs": {"x": graphs.ENDLESS, "y": 1}, "prediction": "a", "confidence": 1}]
#: The smallest whole number by -x and by -y.
DIES = (
    f"low = Constant <value = int64[1] {{{LEAST}}}> () whole = Cast <to = 7> (features) minus = Neg (whole) "
    "quotient = {operator} (low, minus) back = Cast <to = 1> (quotient) probabilities = Softmax (back)"
)


def tried(folder: Path, made: bytes, **says: Any) -> str | None:
    """How it is refused, if it is."""
    try:
        trial.run(bundle.load(graphs.bundle(folder, made, **says)))
    except errors.BundleInvalid as error:
        return error.message
    return None


def children() -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if (path / "stat").read_text().rpartition(")")[2].split()[1] == str(os.getpid()):
                found += [int(path.name)] if b"inference.trial_process" in (path / "cmdline").read_bytes() else []
    return found


def test_a_golden_example_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "INLINE_S", 0.5)
    monkeypatch.setattr(trial, "JOB_S", 0.6)
    made = graphs.graph(graphs.TURNS)
    inline = "golden example 1 did not end within 0.5 s: say inline: false, or mend the model"
    assert tried(tmp_path / "inline", made, golden=ENDLESS) == f"{tmp_path / 'inline'}: {inline}"
    job = "golden example 1 did not end within 0.6 s: mend the model"
    assert tried(tmp_path / "job", made, golden=ENDLESS, inline=False) == f"{tmp_path / 'job'}: {job}"
    assert not children()


@pytest.mark.parametrize("operator", ["Div", "Mod"])
@pytest.mark.parametrize("inline", [True, False])
def test_a_graph_that_kills_its_process_is_refused_with_what_did_it(
    tmp_path: Path, operator: str, inline: bool
) -> None:
    said = tried(tmp_path / "bundle", graphs.graph(DIES.replace("{operator}", operator)), inline=inline)
    assert said is not None
    assert said.startswith(f"{tmp_path / 'bundle'}: golden example 1 ended the process: SIGFPE, ")
    assert "keep -1 from its Div and Mod" in said


@pytest.mark.parametrize(("whole", "kind"), [(6, "int32"), (7, "int64")])
@pytest.mark.parametrize("operator", ["Div", "Mod"])
def test_an_inline_model_may_not_divide_what_clients_choose(
    tmp_path: Path, operator: str, whole: int, kind: str
) -> None:
    made = graphs.divides("whole", "other", operator, whole)
    said = tried(tmp_path / "inline", made)
    assert said is not None
    assert f"divides {kind} by {kind} ({operator}), neither of them a constant" in said
    assert "Say inline: false, divide by a constant, or divide floats" in said
    assert tried(tmp_path / "job", made, inline=False) is None


def test_an_inline_model_may_divide_by_a_constant_that_is_not_the_trap(tmp_path: Path) -> None:
    assert tried(tmp_path / "two", graphs.divides("whole", "two")) is None
    # What no client can hand in is no danger.
    fields = [{**field, "minimum": -100, "maximum": 100} for field in graphs.FIELDS]
    assert tried(tmp_path / "bounded", graphs.divides("whole", "minus"), fields=fields) is None


@pytest.mark.parametrize(
    ("limits", "whole", "extreme"),
    [({}, 7, LEAST), ({"minimum": 0}, 7, 2**63), ({"minimum": 0, "maximum": 1e11}, 6, 2**63)],
    ids=["the smallest", "a float beyond 64 bits", "a float beyond 32 bits"],
)
@pytest.mark.parametrize("operator", ["Div", "Mod"])
def test_an_inline_model_may_not_divide_by_minus_one_what_becomes_the_smallest(
    tmp_path: Path, limits: dict[str, float], whole: int, extreme: int, operator: str
) -> None:
    fields = [{**field, **limits} for field in graphs.FIELDS]
    said = tried(tmp_path / "minus", graphs.divides("whole", "minus", operator, whole), fields=fields)
    assert said is not None
    assert f"an input with {extreme} for every number, or the nearest it may be, ended the process: SIGFPE" in said


def test_an_inline_model_may_divide_floats(tmp_path: Path) -> None:
    made = graphs.graph(
        "most = ReduceMax <axes = [1]> (features) part = Div (features, most) nothing = Mul (part, zero) "
        "sum = Add (nothing, features) probabilities = Softmax (sum)"
    )
    assert tried(tmp_path / "bundle", made) is None


def test_what_the_check_itself_says_is_said(tmp_path: Path) -> None:
    said = tried(tmp_path / "bundle", b"hello")
    assert said is not None
    assert said.startswith(f"{tmp_path / 'bundle' / 'model.onnx'} is no ONNX file, or damaged. ONNX Runtime says: ")


def test_nothing_is_left_of_a_trial_whose_parent_is_killed(tmp_path: Path) -> None:
    folder = graphs.bundle(tmp_path / "bundle", graphs.graph(graphs.TURNS), golden=ENDLESS)
    code = f"""
import pathlib, time
from inference import bundle, trial
def follow(folder, process, wanted, *, inline):
    step = trial._Lines(process.stdout.fileno(), wanted).next(60)[1]
    print(process.pid, step, flush=True)
    time.sleep(600)
trial._follow = follow
trial.run(bundle.load(pathlib.Path({str(folder)!r})))
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, _, step = parent.stdout.readline().partition(" ")
        parent.kill()
    assert step == "golden example 1\n"
    until(lambda: start_time(int(pid)) is None)


#: A kind whose encoder does this when the bundle is opened.
WHEN_OPENED = """
import os, signal, time
class Kind:
    def __init__(self, bundle): {does}
    def encode(self, rows): return {{}}
"""


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("os._exit(3)", "opening it ended the process: exit code 3"),
        ("os._exit(0)", "opening it ended the process: exit code 0"),
        ("os.kill(os.getpid(), 9)", "opening it ended the process: SIGKILL, Killed; perhaps for want of memory"),
        ("os.kill(os.getpid(), 11)", "opening it ended the process: SIGSEGV, Segmentation fault"),
        ("time.sleep(600)", "opening it did not end within 0.5 s: mend the model"),
    ],
)
@pytest.mark.parametrize("inline", [True, False])
def test_a_bundle_that_ends_its_process_while_it_is_opened_is_told_by_how_it_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, says: str, inline: bool
) -> None:
    if "sleep" in does:
        monkeypatch.setattr(trial, "OPEN_S", 0.5)
    graphs.plug_in(tmp_path, "ends_itself", WHEN_OPENED.format(does=does))
    monkeypatch.syspath_prepend(tmp_path)
    said = tried(tmp_path / "bundle", graphs.graph(graphs.GOOD), kind="ends_itself", inline=inline)
    assert said == f"{tmp_path / 'bundle'}: {says}"
    assert not children()


def test_its_process_has_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:secret@there/d")
    graphs.plug_in(tmp_path, "looks", WHEN_OPENED.format(does="raise ValueError(sorted(os.environ))"))
    monkeypatch.syspath_prepend(tmp_path)
    said = tried(tmp_path / "bundle", graphs.graph(graphs.GOOD), kind="looks")
    assert said is not None
    given = set(re.findall("'([A-Z_]+)'", said.partition("ValueError: ")[2]))
    # The last is what `inference` says itself, wherever it is imported.
    assert given - {"LC_CTYPE"} == {"PYTHONPATH", "TMPDIR", "OPENBLAS_NUM_THREADS", "ORT_DISABLE_TELEMETRY"}


@pytest.mark.parametrize("name", ["logging.py", "inference/__init__.py", "sitecustomize.py"])
def test_what_lies_in_a_bundle_is_not_run_wherever_it_is_tried_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    folder = graphs.bundle(tmp_path / "bundle")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    trial.run(bundle.load(Path()))
    assert not (tmp_path / "ran").exists()


#: What is left to itself: a file, and a process that has let go of what its parent reads.
LEAVES = """subprocess.Popen(["sleep", "600"], stdout=-3, stderr=-3)
        open(os.path.join(tempfile.gettempdir(), "left"), "w").write("x")
        os._exit(0)"""


def test_what_it_has_started_and_written_goes_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "scratch"))
    (tmp_path / "scratch").mkdir()
    code = WHEN_OPENED.replace("import os", "import subprocess, tempfile, os").format(does=LEAVES)
    graphs.plug_in(
        tmp_path, "leaves", code.replace("def __init__(self, bundle): ", "def __init__(self, bundle):\n        ")
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert tried(tmp_path / "bundle", graphs.graph(graphs.GOOD), kind="leaves")
    assert list((tmp_path / "scratch").iterdir()) == []
    until(lambda: not sleeping())


def sleeping() -> list[int]:
    """Processes that sleep for as long as the one above."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found += [int(path.name)] if (path / "cmdline").read_bytes() == b"sleep\x00600\x00" else []
    return found


@pytest.mark.parametrize("rows", [3 * 10**9, 10**12])
def test_a_graph_that_asks_for_more_memory_than_there_may_be_is_a_sentence(tmp_path: Path, rows: int) -> None:
    made = graphs.graph(
        f"shape = Constant <value = int64[2] {{{rows}, 2}}> () big = ConstantOfShape (shape) "
        "all = ReduceSum <keepdims = 0> (big) nothing = Mul (all, zero) sum = Add (features, nothing) "
        "probabilities = Softmax <axis = 1> (sum)"
    )
    said = tried(tmp_path / "bundle", made)
    assert said is not None
    assert f"Failed to allocate memory for requested buffer of size {rows * 8}" in said


def test_it_ends_as_soon_as_nobody_wants_it(tmp_path: Path) -> None:
    loaded = bundle.load(graphs.bundle(tmp_path / "bundle", graphs.graph(graphs.TURNS), golden=ENDLESS))
    ends_at = time.monotonic() + 3
    with pytest.raises(errors.ModelInterrupted):
        trial.run(loaded, lambda: time.monotonic() < ends_at)
    assert not children()


def test_what_it_says_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    babbles = "[os.write(int(fd), b'[1]\\n') for fd in os.listdir('/proc/self/fd') if int(fd) > 2]"
    graphs.plug_in(
        tmp_path, "babbles", WHEN_OPENED.format(does=f"\n        try: {babbles}\n        except OSError: time.sleep(9)")
    )
    monkeypatch.syspath_prepend(tmp_path)
    said = tried(tmp_path / "bundle", graphs.graph(graphs.GOOD), kind="babbles")
    assert said == f"{tmp_path / 'bundle'}: opening it ended the process: SIGKILL, Killed; perhaps for want of memory"


@pytest.mark.parametrize(
    ("location", "says"),
    [
        ("../secret", "External data path escapes model directory"),
        ("inner/../../secret", "External data path escapes model directory"),
        ("{outside}/secret", "Absolute path not allowed"),
        ("/proc/self/environ", "Absolute path not allowed"),
        ("", "location cannot be empty"),
        ("nowhere", "does not exist"),
    ],
)
def test_a_graph_reads_no_file_that_is_not_the_bundles(tmp_path: Path, location: str, says: str) -> None:
    (tmp_path / "secret").write_bytes(bytes(8))
    made = graphs.external(location.format(outside=tmp_path))
    said = tried(tmp_path / "bundle", made)
    assert said is not None
    assert says in said


def test_a_graph_may_keep_its_numbers_in_a_file_of_the_bundle(tmp_path: Path) -> None:
    folder = graphs.bundle(tmp_path / "bundle", graphs.external("numbers"))
    (folder / "numbers").write_bytes(bytes(8))
    trial.run(bundle.load(folder))


#: A class that does this when it is asked.
WHEN_ASKED = """
import os, time
class Kind:
    def load(self, folder): pass
    def predict(self, rows): {does}
"""


@pytest.mark.parametrize(
    ("does", "says"),
    [
        ("os._exit(3)", "golden example 1 ended the process: exit code 3"),
        ("time.sleep(600)", "golden example 1 did not end within 0.5 s: mend the model"),
        (
            "raise SystemExit",
            "golden example 1 cannot be run: small failed: SystemExit. Python says: SystemExit",
        ),
        (
            "raise ValueError('\\ud800')",
            "golden example 1 cannot be run: small failed: ValueError. Python says: ? (asked_",
        ),
    ],
)
def test_a_class_that_hangs_or_ends_its_process_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str, says: str
) -> None:
    monkeypatch.setattr(trial, "JOB_S", 0.5)
    name = f"asked_{uuid.uuid4().hex}"
    graphs.plug_in(tmp_path, name, WHEN_ASKED.format(does=does), "coatcheck.models")
    monkeypatch.syspath_prepend(tmp_path)
    said = tried(tmp_path / "bundle", graphs.graph(graphs.GOOD), kind="python", inline=False, options={"class": name})
    assert str(said).startswith(f"{tmp_path / 'bundle'}: {says}")
    assert not children()
