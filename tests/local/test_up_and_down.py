from __future__ import annotations

import contextlib
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
from typing import Any

import pytest

from local import leftovers, seaweedfs, state
from tests.conftest import ROOT, until
from tests.local import stranger, test_doors

ENVIRON = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "LANG": "C.UTF-8"}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A second checkout, as a newcomer has it."""
    folder = tmp_path_factory.mktemp("checkout") / "coatcheck"
    skipped = shutil.ignore_patterns(
        ".git", ".venv", ".coatcheck", "__pycache__", ".*_cache", ".coverage*", "sentiment-2"
    )
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
    ports = state.read_json(folder / ".coatcheck/state.json")["ports"]
    made = [Path(f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}_grpc']}.sock") for name in seaweedfs.SERVERS]
    return [path for path in made if path.exists()]


def sourced(folder: Path, *names: str) -> dict[str, str]:
    lines = [line for name in names for line in (folder / ".coatcheck" / name).read_text().splitlines()]
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    return {name: value.strip("'") for name, value in pairs if name != "PATH"}


DATABASE, QUEUE, STORE = {"DATABASE_URL"}, {"REDIS_URL"}, {"S3_SECRET_KEY"}
PLATFORM = DATABASE | QUEUE | STORE | {"COATCHECK_SECRET_KEY"}
KNOWS: dict[str, set[str]] = {
    "postgres": set(), "valkey": set(), "seaweedfs": set(), "worker": PLATFORM, "explain": PLATFORM,
    "io": PLATFORM, "api": PLATFORM, "express": PLATFORM, "grpc": PLATFORM, "proxy": set(), "beat": QUEUE,
    "flower": QUEUE | {"FLOWER"},
}  # fmt: skip


def known(folder: Path) -> dict[str, set[str]]:
    """By process, whose whole group counts: which secrets' values its environment holds."""
    secret = state.load(folder / ".coatcheck").secrets
    told = sourced(folder, "env", "env.admin")
    values = {
        "DATABASE_URL": secret["postgres_app"], "owner": secret["postgres_owner"], "superuser": secret["postgres"],
        "REDIS_URL": secret["valkey"], "S3_SECRET_KEY": secret["s3"], "COATCHECK_SECRET_KEY": secret["app"],
        "FLOWER": secret["flower"], "client": told["COATCHECK_API_KEY"], "admin": told["COATCHECK_ADMIN_KEY"],
    }  # fmt: skip
    found: dict[str, set[str]] = {}
    groups = {item["pid"]: item["name"] for item in json.loads((folder / ".coatcheck/run/pids.json").read_text())}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (name := groups.get(os.getpgid(int(entry.name)))):
                text = (entry / "environ").read_text(errors="replace")
                found.setdefault(name, set()).update(key for key, value in values.items() if value in text)
    return found


#: What a stranger may have of the front doors: that it lives, that it is ready, and how to ask.
PUBLIC = ("/healthz", "/ready", "/docs", "/openapi/v1.json")
PRIVATE = ("/api/v1/jobs", "/api/v1/predict", "/api/v1/uploads", "/api/v1/webhooks", "/api/v1/models", "/metrics")


def tried_by_a_stranger(folder: Path) -> None:
    """Every port that anything of this checkout listens on is known, and those of the front give nothing."""
    made = state.load(folder / ".coatcheck")
    groups = {item["pid"] for item in json.loads((folder / ".coatcheck/run/pids.json").read_text())}
    names = {port: name for name, port in made.ports.items()}
    found = test_doors.listening(groups)
    assert {names.get(port, port) for _, port in found} == {*test_doors.PROBES, "api", "metrics", "flower", "grpc"}
    # gRPC's sockets are IPv6, and say its loopback as that writes IPv4's.
    assert {address.removeprefix("0000000000000000FFFF0000") for address, _ in found} == {"0100007F"}
    for door, paths in {"api": PRIVATE, "metrics": (*PRIVATE, *PUBLIC), "flower": (*PRIVATE, *PUBLIC, "/")}.items():
        asked = [test_doors.request(method, path) for method in ("GET", "POST") for path in paths]
        answers = stranger.calls(*(("tcp", {"port": made.ports[door], "send": send}) for send in asked))
        codes = {answer.split()[1] for answer in answers}
        assert codes <= {"401", "404", "405"}, (door, codes)
    sockets = [str(path) for path in (folder / ".coatcheck/run").glob("*.sock")]
    assert len(sockets) >= 4
    if os.geteuid() == 0:
        answers = stranger.calls(*(("unix", {"path": path}) for path in sockets))
        assert all(answer.startswith(stranger.REFUSED) for answer in answers), answers


def leaks(folder: Path, log: Path) -> bool:
    return any(
        secret in log.read_text(errors="replace") for secret in state.load(folder / ".coatcheck").secrets.values()
    )


def told(checkout: Path) -> dict[str, Any]:
    """What `status` says."""
    found: dict[str, Any] = json.loads(command(checkout, "status", "--json").stdout)
    return found


def test_up_twice_after_kill_9_and_down_leaves_nothing(checkout: Path) -> None:
    first = command(checkout, "up", "--detach")
    assert first.returncode == 0, first.stdout + first.stderr
    assert "→ completed" in first.stdout
    client = sourced(checkout, "env", "env.admin")
    for env in ({}, client):
        again = command(checkout, "up", "--detach", **env)
        assert (again.returncode, "Already running" in again.stdout) == (0, True), again.stderr
    revoked = command(checkout, "keys", "revoke", client["COATCHECK_API_KEY"].split("_")[1], **client)
    assert revoked.returncode == 0, revoked.stderr
    with urllib.request.urlopen(client["COATCHECK_URL"] + "/ready") as answer:
        assert answer.status == 200

    os.kill(json.loads((checkout / ".coatcheck/run/supervisor.json").read_text())["pid"], signal.SIGKILL)
    # Whoever explains stands back behind all that runs on this machine, also while its child still loads and it ends.
    with contextlib.suppress(AssertionError):
        until(lambda: not processes(checkout), 360)
    assert processes(checkout) == []  # says who stays
    # With both files sourced, as the README says: these are our own engines, so they are started.
    second = command(checkout, "up", "--detach", **client)
    assert second.returncode == 0, second.stdout + second.stderr
    assert command(checkout, "status").returncode == 0
    until(
        lambda: all(
            item["state"] == "running" for item in json.loads(command(checkout, "status", "--json").stdout)["processes"]
        )
    )
    # And what the shell knew is nobody's who does not need it.
    assert known(checkout) == KNOWS
    tried_by_a_stranger(checkout)
    assert sourced(checkout, "env").keys() == {"COATCHECK_URL", "COATCHECK_GRPC_PORT", "COATCHECK_API_KEY"}
    assert not [log for log in (checkout / ".coatcheck").rglob("*.log") if leaks(checkout, log)]
    operated = command(checkout, "models", "list", **sourced(checkout, "env.admin"))
    assert (operated.returncode, "sentiment" in operated.stdout) == (0, True), operated.stderr
    # The key that was revoked has a successor; the other is as it was.
    now = sourced(checkout, "env", "env.admin")
    same = {name for name in ("COATCHECK_API_KEY", "COATCHECK_ADMIN_KEY") if now[name] == client[name]}
    assert same == {"COATCHECK_ADMIN_KEY"}
    assert "the key api of before opens nothing any more" in second.stdout

    assert len(sockets(checkout)) == 4
    assert command(checkout, "down").returncode == 0
    assert processes(checkout) == []
    assert sockets(checkout) == []
    assert command(checkout, "status").returncode == 3


def test_of_two_ups_at_once_one_runs_and_down_ends_it(checkout: Path) -> None:
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda _: command(checkout, "up", "--detach"), range(2)))
    assert [item.returncode for item in done] == [0, 0], done
    assert sum("running" in item.stdout and "Ready after" not in item.stdout for item in done) == 1
    assert command(checkout, "status").returncode == 0
    assert command(checkout, "down").returncode == 0
    assert processes(checkout) == []


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"COATCHECK_LEASE_S": "soon"}, "COATCHECK_LEASE_S"),
        ({"COATCHECK_NOSUCH": "1"}, "There is no setting COATCHECK_NOSUCH"),
        ({"DATABASE_URL": "garbage"}, "DATABASE_URL: must begin with postgresql://"),
        ({"DATABASE_OWNER_URL": "postgresql://o:p@h/d"}, "DATABASE_OWNER_URL is given without DATABASE_URL"),
        ({"DATABASE_URL": "postgresql://a:p@h/d", "DATABASE_OWNER_URL": "garbage"}, "DATABASE_OWNER_URL"),
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
        leftovers.clear(state.load(folder))


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
    assert {folder.stat().st_mode & 0o777 for folder in (made.run, made.logs, made.data)} == {0o700}


def test_ports_and_secrets_are_chosen_once(tmp_path: Path) -> None:
    assert state.load(tmp_path / ".coatcheck").__dict__ == state.load(tmp_path / ".coatcheck").__dict__


def test_given_engines_are_used_and_our_own_are_not_mistaken_for_them(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    foreign = {"DATABASE_URL": "postgresql+psycopg://elsewhere/db"}
    assert made.given(foreign) == foreign
    assert (made.urls({})["S3_BUCKET"], made.urls({"S3_BUCKET": "mine"})["S3_BUCKET"]) == ("coatcheck", "mine")
    assert made.given(made.urls({})) == {}
    # Nor is the superuser, which was the app before it had a role of its own.
    assert made.given({"DATABASE_URL": made.superuser_url}) == {}
    # A database elsewhere has its own owner, and never ours.
    assert made.urls({**made.urls({}), **foreign})["DATABASE_OWNER_URL"] == foreign["DATABASE_URL"]
    both = {**foreign, "DATABASE_OWNER_URL": "postgresql+psycopg://owner@elsewhere/db"}
    assert made.urls(both) | both == made.urls(both)
    # A store elsewhere may have the keys that ours has.
    mine = made.urls({})
    store = {"S3_ENDPOINT_URL": "https://s3.example", "S3_ACCESS_KEY": mine["S3_ACCESS_KEY"]}
    assert made.given({**mine, **store}) == {**store, "S3_SECRET_KEY": mine["S3_SECRET_KEY"]}
    with pytest.raises(RuntimeError, match="is given without DATABASE_URL"):
        made.given({"DATABASE_OWNER_URL": both["DATABASE_OWNER_URL"]})


def test_keys_outlive_the_change_of_role(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    made.keys_for(made.superuser_url)["api"] = "cck_1"
    assert made.keys_for(made.urls({})["DATABASE_URL"]) == {"api": "cck_1"}
