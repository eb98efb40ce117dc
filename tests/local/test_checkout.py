"""A platform that runs while the code of its checkout moves on."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from local import checkout, child, commands, state
from local.state import write_private
from tests.engines import until

#: What no process of the platform reads.
NOT_RUN = ("README.md", "tests/__init__.py", "benchmarks/__init__.py")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout of which something runs, started from the code that is there."""
    for name in ("api/__init__.py", "api/page.html", "migrations/versions/0001.py", *NOT_RUN):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("first")
    run = state.load(tmp_path / ".coatcheck").run
    write_private(run / "ready", "")
    write_private(run.parent / "env", "export COATCHECK_URL='http://127.0.0.1:1'\n")
    record(tmp_path, {"code": checkout.digest(tmp_path)})
    return tmp_path


def record(root: Path, more: Mapping[str, object]) -> None:
    me = {"pid": os.getpid(), "born": child.start_time(os.getpid()), **more}
    write_private(root / ".coatcheck" / "run" / commands.RECORD, json.dumps(me))


def up(root: Path, capsys: pytest.CaptureFixture[str], environ: Mapping[str, str] | None = None) -> tuple[int, str]:
    done = commands.up(root, environ or {}, detach=True, quiet=True)
    said = capsys.readouterr()
    return done, said.out + said.err


def test_up_beside_one_of_the_same_code_says_that_it_runs(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NOT_RUN:
        (root / name).write_text("second")
    (root / "api" / "left.pyc").write_text("compiled")
    done, said = up(root, capsys)
    assert (done, "Already running" in said, "changed" in said) == (0, True, False)
    assert not commands.status(root).outdated


def test_up_beside_one_that_has_not_told_its_address_yet_leaves_it_alone(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / ".coatcheck" / "env").unlink()
    assert up(root, capsys) == (0, "Already running: still starting (./run status, ./run down)\n")


@pytest.mark.parametrize("name", ["api/__init__.py", "api/page.html", "migrations/versions/0002.py"])
def test_up_beside_one_of_other_code_says_so_and_what_to_do_and_fails(
    root: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (root / name).write_text("second")
    done, said = up(root, capsys)
    assert (done, "Already running" in said, "./run down, then ./run up" in said) == (1, True, True)
    assert commands.status(root).outdated


def test_one_that_was_started_before_this_was_written_down_is_of_other_code(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record(root, {})
    assert up(root, capsys)[0] == 1


STARTED_WITH = {"COATCHECK_LEASE_S": "61", "COATCHECK_LOG_LEVEL": "DEBUG", "REDIS_URL": "redis://elsewhere:1/0"}


@pytest.fixture
def started(root: Path) -> Iterator[Path]:
    """The same, started with settings."""
    with subprocess.Popen(["sleep", "600"], env={**os.environ, **STARTED_WITH}) as supervisor:
        until(lambda: child.environment(supervisor.pid))
        record(
            root,
            {
                "pid": supervisor.pid,
                "born": child.start_time(supervisor.pid),
                "code": checkout.digest(root),
            },
        )
        yield root
        supervisor.kill()


def test_up_beside_one_with_other_settings_names_them_and_fails(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = {"COATCHECK_LEASE_S": "62", "COATCHECK_CACHE_S": "5", "DATABASE_URL": "postgresql://somewhere:1/x"}
    done, said = up(started, capsys, {**STARTED_WITH, **others})
    assert done == 1
    assert "but not with DATABASE_URL, COATCHECK_CACHE_S, COATCHECK_LEASE_S as given here" in said
    assert "./run down, then ./run up" in said


@pytest.mark.parametrize(
    "environ",
    [
        {},
        STARTED_WITH,
        {"COATCHECK_LEASE_S": "", "COATCHECK_API_KEY": "ck_another", "PATH": "/elsewhere"},
    ],
    ids=["none", "the same", "none that is a setting"],
)
def test_up_beside_one_with_the_settings_that_are_given_says_that_it_runs(
    started: Path, capsys: pytest.CaptureFixture[str], environ: Mapping[str, str]
) -> None:
    assert up(started, capsys, environ)[0] == 0


def test_up_beside_one_takes_what_it_handed_out_itself_for_no_other_setting(
    started: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = state.load(started / ".coatcheck")
    sourced = {
        **made.urls({}), "COATCHECK_SECRET_KEY": made.secrets["app"], "COATCHECK_GRPC_PORT": str(made.ports["grpc"])
    }  # fmt: skip
    assert up(started, capsys, sourced)[0] == 0
