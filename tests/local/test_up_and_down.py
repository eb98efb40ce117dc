from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from local import state, supervisor
from tests.conftest import ROOT, until

ENVIRON = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second checkout, as a newcomer has it."""
    folder = tmp_path_factory.mktemp("checkout") / "coatcheck"
    skipped = shutil.ignore_patterns(".git", ".venv", ".coatcheck", "__pycache__", ".*_cache", "sentiment-2")
    shutil.copytree(ROOT, folder, ignore=skipped)
    yield folder
    command(folder, "down")


def command(folder: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cli.main", *arguments],
        cwd=folder, env={**ENVIRON, "PYTHONPATH": str(folder), **env}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def processes(folder: Path) -> list[str]:
    """Everything alive that was started from this checkout."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                where = str((entry / "cwd").readlink())
            except OSError:
                continue
            if line and (str(folder) in line or where.startswith(str(folder))):
                found.append(line)
    return found


def sockets(folder: Path) -> list[Path]:
    """What SeaweedFS makes of its ports in the shared temporary folder."""
    ports = state.read_json(folder / ".coatcheck/state.json")["ports"].values()
    return [found for port in ports for found in Path("/tmp").glob(f"seaweedfs-*-grpc-{port}.sock")]


def sourced(folder: Path) -> dict[str, str]:
    pairs = (
        line.removeprefix("export ").split("=", 1) for line in (folder / ".coatcheck/env").read_text().splitlines()
    )
    return {name: value.strip("'") for name, value in pairs}


@pytest.mark.timeout(300)
def test_up_twice_after_kill_9_and_down_leaves_nothing(checkout: Path) -> None:
    first = command(checkout, "up", "--detach")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "→ completed" in first.stdout
    again = command(checkout, "up", "--detach")
    assert (again.returncode, "Already running" in again.stdout) == (0, True)
    client = sourced(checkout)
    with urllib.request.urlopen(client["COATCHECK_URL"] + "/ready") as answer:
        assert answer.status == 200

    os.kill(json.loads((checkout / ".coatcheck/run/supervisor.json").read_text())["pid"], signal.SIGKILL)
    until(lambda: not processes(checkout), 30)
    # With `.coatcheck/env` sourced, as the README says: these are our own engines, so they are started.
    second = command(checkout, "up", "--detach", **client)
    assert second.returncode == 0, second.stdout + second.stderr
    assert command(checkout, "status").returncode == 0
    assert sourced(checkout)["COATCHECK_API_KEY"] == client["COATCHECK_API_KEY"]

    assert len(sockets(checkout)) == 4
    assert command(checkout, "down").returncode == 0
    assert processes(checkout) == []
    assert sockets(checkout) == []
    assert command(checkout, "status").returncode == 3


@pytest.mark.timeout(300)
def test_of_two_ups_at_once_one_runs_and_down_ends_it(checkout: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        codes = sorted(done.returncode for done in pool.map(lambda _: command(checkout, "up", "--detach"), range(2)))
    assert codes == [0, 1]
    assert command(checkout, "status").returncode == 0
    assert command(checkout, "down").returncode == 0
    assert processes(checkout) == []


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"COATCHECK_LEASE_S": "soon"}, "COATCHECK_LEASE_S"),
        ({"COATCHECK_NOSUCH": "1"}, "there is no setting COATCHECK_NOSUCH"),
        ({"DATABASE_URL": "garbage"}, "DATABASE_URL: must begin with postgresql://"),
    ],
)
def test_a_wrong_setting_stops_the_start_before_anything_runs(
    checkout: Path, env: dict[str, str], sentence: str
) -> None:
    done = command(checkout, "up", "--detach", **env)
    assert done.returncode == 1
    assert sentence in done.stderr + done.stdout
    assert "Traceback" not in done.stderr
    assert processes(checkout) == []


@pytest.mark.parametrize("name", ["state.json", "run/pids.json"])
def test_a_damaged_file_is_named_and_is_no_stack_trace(tmp_path: Path, name: str) -> None:
    folder = tmp_path / ".coatcheck"
    state.load(folder)
    (folder / name).write_text("")
    with pytest.raises(RuntimeError, match=name.rpartition("/")[2]):
        supervisor.clear_leftovers(state.load(folder))


def test_data_without_its_secrets_is_not_started(tmp_path: Path) -> None:
    folder = tmp_path / ".coatcheck"
    state.load(folder)
    (folder / "state.json").unlink()
    with pytest.raises(RuntimeError, match=r"belongs to a state\.json that is gone"):
        state.load(folder)


def test_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    assert made.folder.stat().st_mode & 0o777 == 0o700
    assert (made.folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_ports_and_secrets_are_chosen_once(tmp_path: Path) -> None:
    assert state.load(tmp_path / ".coatcheck").__dict__ == state.load(tmp_path / ".coatcheck").__dict__


def test_given_engines_are_used_and_our_own_are_not_mistaken_for_them(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    foreign = {"DATABASE_URL": "postgresql+psycopg://elsewhere/db"}
    assert made.given(foreign) == foreign
    assert made.given(made.urls({})) == {}
