"""`down` and `status` of a checkout in which something stands where the platform would, and what people are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest

from access import keys, tenants
from core import settings
from local import checkout, child, commands, environments, first_run, health, platform_processes, state
from local.state import write_private
from local.supervisor import StartFailed, Supervisor
from tests.cli.conftest import Answer, serving
from tests.conftest import Platform, until

Stand = Callable[[str], int]
WAITS = "import signal, time; {how}; print('there', flush=True); time.sleep(600)"
GOES = WAITS.format(how="pass")
STAYS = WAITS.format(how="signal.signal(signal.SIGTERM, signal.SIG_IGN)")


@pytest.fixture
def stand(tmp_path: Path) -> Iterator[Stand]:
    """Something that is noted as the supervisor of this checkout; gives its pid."""
    started: list[subprocess.Popen[bytes]] = []

    def start(code: str) -> int:
        child_ = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        started.append(child_)
        assert child_.stdout is not None
        assert child_.stdout.readline() == b"there\n"
        run = state.load(tmp_path / ".coatcheck").run
        record = {"pid": child_.pid, "born": child.start_time(child_.pid), "code": checkout.digest(tmp_path)}
        write_private(run / commands.RECORD, json.dumps(record))
        write_private(run / "ready", str(child_.pid))
        return child_.pid

    yield start
    for item in started:
        item.kill()
        item.communicate()


def left(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".coatcheck" / "run").iterdir())


def test_down_where_nothing_runs_says_so_and_clears_what_a_killed_one_left(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # There is nobody to wait for.
    monkeypatch.setattr(
        commands, "time", SimpleNamespace(sleep=lambda _: pytest.fail("it waits"), monotonic=time.monotonic)
    )
    assert commands.down(tmp_path) == 0
    assert not (tmp_path / ".coatcheck").exists()
    run = state.load(tmp_path / ".coatcheck").run
    write_private(run / commands.RECORD, json.dumps({"pid": os.getpid(), "born": "another time", "code": ""}))
    write_private(run / "ready", "1")
    write_private(run / "pids.json", "[]")
    assert commands.running(tmp_path) is None
    assert commands.down(tmp_path) == 0
    assert (capsys.readouterr(), left(tmp_path)) == (("Not running\n" * 2, ""), [])


def test_down_asks_and_waits_until_it_has_gone(
    tmp_path: Path, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = stand(GOES)
    assert commands.running(tmp_path) == pid
    assert commands.down(tmp_path) == 0
    assert (commands.running(tmp_path), child.start_time(pid)) == (None, None)
    assert (capsys.readouterr(), left(tmp_path)) == (("Stopped\n", ""), [])


def test_one_that_does_not_go_is_killed_after_a_while_and_that_is_said(
    tmp_path: Path, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    pid = stand(STAYS)
    record = tmp_path / ".coatcheck" / "run" / commands.RECORD
    write_private(record, json.dumps({**state.read_json(record), "stop_s": 0.3}))
    assert commands.down(tmp_path) == 0
    until(lambda: child.start_time(pid) is None)
    said = f"The supervisor ({pid}) did not stop within 0 s; killing it\n"
    assert (capsys.readouterr(), left(tmp_path)) == (("Stopped\n", said), [])


def test_up_beside_one_that_is_starting_leaves_it_alone(
    tmp_path: Path, stand: Stand, capsys: pytest.CaptureFixture[str]
) -> None:
    stand(GOES)
    (tmp_path / ".coatcheck" / "run" / "ready").unlink()
    for detach in (True, False):
        assert commands.up(tmp_path, {}, detach=detach, quiet=True) == 0
    said = "Another `up` of this checkout is running or starting already (./run status, ./run down)\n"
    assert capsys.readouterr() == (said * 2, "")
    found = commands.status(tmp_path)
    assert (found.state, found.url, [item.name for item in found.processes]) == ("starting", None, ["supervisor"])


def test_of_two_that_are_started_at_the_same_moment_the_second_leaves_the_first_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = commands._lock(state.load(tmp_path / ".coatcheck").run / "lock")
    assert first is not None
    assert commands.up(tmp_path, dict(os.environ), detach=False, quiet=True) == 0
    said = "Another `up` of this checkout is running or starting already (./run status)\n"
    assert capsys.readouterr() == (said, "")
    first.close()


def test_where_nothing_runs_status_says_that_alone(tmp_path: Path) -> None:
    assert commands.status(tmp_path) == commands.Status("not running")


READY = {
    "pools": {name: {"workers": count} for name, count in (("cpu", 1), ("explain", 1), ("webhooks", 2), ("sweep", 1))},
    "problems": [],
}


@pytest.mark.parametrize(
    ("said", "problems"),
    [(READY, []), ({**READY, "problems": ["no worker"]}, ["no worker"]),
     ({}, ["it does not answer, or somebody else does"])],
)  # fmt: skip
@pytest.mark.parametrize("dead", [False, True])
def test_all_runs_where_every_process_is_well_and_the_api_misses_nothing(
    tmp_path: Path, stand: Stand, said: object, problems: Sequence[str], dead: bool
) -> None:
    pid = stand(GOES)
    run = tmp_path / ".coatcheck" / "run"
    born = "another time" if dead else child.start_time(pid)
    item = {
        "name": "api", "pid": pid, "born": born, "started_at": time.time(), "asked": False, "heard_at": None,
        "restarts": 0,
    }  # fmt: skip
    write_private(run / health.RECORD, json.dumps({"at": time.time(), "processes": [item]}))
    with serving(lambda _: (200, {}, json.dumps(said).encode())) as (url, _):
        write_private(run.parent / "env", f"export COATCHECK_URL='{url}'\nexport COATCHECK_API_KEY='k=v'\n")
        found = commands.status(tmp_path)
    assert found.state == ("running" if not dead and not problems else "not all running")
    assert (found.url, found.problems, found.outdated) == (url, problems, False)
    assert [(item.name, item.state) for item in found.processes] == [
        ("supervisor", "running"), ("api", "dead" if dead else "running"),
    ]  # fmt: skip


@pytest.mark.parametrize("pool", ["cpu", "explain", "webhooks", "sweep"])
def test_all_are_there_when_each_pool_has_somebody(pool: str) -> None:
    pools = READY["pools"]
    assert isinstance(pools, dict)
    for now, there in ((pools, True), ({**pools, pool: {"workers": 0}}, False), ({**pools, pool: {}}, False)):
        answer: Answer = (200, {}, json.dumps({**READY, "pools": now}).encode())
        with serving(lambda _, answer=answer: answer) as (url, asked):  # type: ignore[misc]
            assert platform_processes.all_there(url) == there
            assert asked[0].startswith("GET /ready ")


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path, {})
    yield found
    found.stop()


def test_people_are_told_every_address_and_key_and_a_key_is_made_once_and_again_when_it_opens_nothing(
    made: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[tuple[str, ...]] = []

    def once(*words: str, env: dict[str, str]) -> str:
        assert env == {"COATCHECK_SECRET_KEY": "s"}
        ran.append(words)
        return f"key of {words[words.index('--name') + 1]}\n"

    monkeypatch.setattr(made, "_once", once)
    revoked: set[tuple[str, str]] = set()
    monkeypatch.setattr(first_run, "opens", lambda *asked: asked not in revoked)
    urls, ports, secret = made.state.urls({}), made.state.ports, made.state.secrets
    told = {
        "COATCHECK_URL": f"http://127.0.0.1:{ports['api']}", "COATCHECK_API_KEY": "key of api",
        "COATCHECK_GRPC_PORT": str(ports["grpc"]),
        "COATCHECK_ADMIN_KEY": "key of admin", "COATCHECK_SECRET_KEY": "s", **urls, "PGREQUIREAUTH": "scram-sha-256",
        "FLOWER_URL": f"http://coatcheck:{secret['flower']}@127.0.0.1:{ports['flower']}",
        "METRICS_URL": f"http://127.0.0.1:{ports['metrics']}/metrics",
    }  # fmt: skip
    for _ in range(2):
        assert made._tell({"COATCHECK_SECRET_KEY": "s"}, urls) == told
    create = ("keys", "create", "--tier", "pro", "--name")
    assert ran == [(*create, "api"), (*create, "admin", "--admin")]
    assert state.load(made.state.folder).keys_for(urls["DATABASE_URL"]) == {
        "api": "key of api",
        "admin": "key of admin",
    }
    clients = ("COATCHECK_URL", "COATCHECK_GRPC_PORT", "COATCHECK_API_KEY")
    assert commands._client(made.root) == {name: told[name] for name in clients}
    revoked.add((told["COATCHECK_URL"], "key of admin"))
    made._tell({"COATCHECK_SECRET_KEY": "s"}, urls)
    assert ran[2:] == [(*create, "admin", "--admin")]


def test_a_tenant_that_has_another_tier_keeps_it_and_a_start_makes_its_keys_all_the_same(
    made: Supervisor, platform: Platform
) -> None:
    with platform.engine.begin() as connection:
        tenants.ensure(connection, "default", None)
    tenants.change(platform.engine, "default", tier="free")
    key = made._key("--name", "api", env=os.environ)
    assert keys.Keyring(platform.engine).verify(key).tier.name == "free"


#: Stands where the command would: says what it was called with and what it knows, and fails if it is told to.
COMMAND = """
import json, os, sys
print(json.dumps([sys.argv[1:], dict(os.environ)]))
if "fail" in sys.argv:
    print("because", file=sys.stderr)
    sys.exit(3)
"""


@pytest.mark.parametrize("words", [("migrate",), ("models", "push", "a", "b"), ("keys", "create")], ids=" ".join)
def test_a_command_of_a_start_knows_the_secrets_that_it_needs_and_its_failure_is_told(
    made: Supervisor, words: tuple[str, ...]
) -> None:
    (made.root / "cli").mkdir()
    (made.root / "cli" / "main.py").write_text(COMMAND)
    everything = {**dict.fromkeys(environments.SECRETS, "secret"), "PATH": os.environ["PATH"], "MORE": "more"}
    called, known = json.loads(made._once(*words, env=everything))
    assert called == list(words)
    assert {name for name, value in known.items() if value == "secret"} == environments.NEEDS[words[0]]
    assert known["MORE"] == "more"
    with pytest.raises(StartFailed) as caught:
        made._once(*words, "fail", env=everything)
    assert str(caught.value).startswith(f"coatcheck {' '.join((*words, 'fail')[:2])} failed:\n[[")
    assert str(caught.value).endswith("because\n")
    made.ask_to_stop()
    with pytest.raises(StartFailed, match=r"^stopped while starting$"):
        made._once(*words, env=everything)


def test_a_key_that_cannot_be_made_for_any_other_reason_is_not_made_of_a_lower_tier(made: Supervisor) -> None:
    (made.root / "cli").mkdir()
    (made.root / "cli" / "main.py").write_text(COMMAND)
    with pytest.raises(StartFailed, match='"--tier", "pro"'):
        made._key("--name", "fail", env={"PATH": os.environ["PATH"]})


def test_the_environment_of_the_processes_is_the_callers_with_what_they_need(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    urls = made.urls({})
    found = platform_processes.environment(tmp_path, made, urls, {"MORE": "more", "PATH": "/there"})
    assert found == {
        "MORE": "more", **urls, "FLOWER_BASIC_AUTH": f"coatcheck:{made.secrets['flower']}",
        "COATCHECK_SECRET_KEY": made.secrets["app"], "PGREQUIREAUTH": "scram-sha-256",
        "COATCHECK_INPUT_PRIVATE_BUCKETS": f"{urls['S3_ENDPOINT_URL']}/inbox",
        "COATCHECK_MODEL_CACHE": str(made.folder / "models"), "PYTHONPATH": str(tmp_path), "PYTHONUNBUFFERED": "1",
        "PATH": f"{Path(sys.executable).parent}:/there", "TOKENIZERS_PARALLELISM": "false",
    }  # fmt: skip
    for name in ("COATCHECK_SECRET_KEY", "COATCHECK_INPUT_PRIVATE_BUCKETS", "COATCHECK_MODEL_CACHE"):
        assert platform_processes.environment(tmp_path, made, urls, {name: "given"})[name] == "given"
        assert platform_processes.environment(tmp_path, made, urls, {name: ""})[name] == found[name]
    ours = platform_processes.environment(tmp_path, made, urls, {})["PATH"]
    assert ours == f"{Path(sys.executable).parent}:{os.defpath}"


WORKER = ("celery", "-A", "workers.app", "worker", "--without-mingle", "--without-gossip", "-l", "WARNING")
PROGRAMS: dict[str, tuple[tuple[str, ...], float]] = {
    "worker": ((*WORKER, "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1"), 40),
    "explain": ((*WORKER, "-Q", "explain", "-n", "explain@%h", "--concurrency", "1"), 40),
    "io": ((*WORKER, "-Q", "webhooks,control", "-P", "threads", "-n", "io@%h", "--concurrency", "4"), 25),
    "api": (("cli.main", "serve", "--socket", "api.sock"), 15),
    "express": (("cli.main", "serve-express", "--socket", "express.sock"), 15),
    "grpc": (("cli.main", "serve-grpc"), 15),
    "beat": (("celery", "-A", "workers.app", "beat", "--pidfile=", "-l", "WARNING"), 10),
    "flower": (("celery", "-A", "workers.app", "flower", "--unix-socket=flower.sock", "--max-tasks=20000"), 10),
}


def test_each_process_is_run_as_it_is_to_be_and_those_that_need_the_models_wait_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = state.load(tmp_path / ".coatcheck")
    env = platform_processes.environment(tmp_path, made, made.urls({}), {})
    for name in ("COATCHECK_TLS_CERTIFICATE", "COATCHECK_TLS_KEY"):
        monkeypatch.delenv(name, raising=False)
    assert settings.proxy().tls_certificate is None
    stale = made.run / "worker.alive"
    stale.touch()
    early, late = platform_processes.programs(made, env)
    assert [item.name for item in early] == ["worker", "explain", "io", "api", "express", "proxy", "grpc"]
    assert [item.name for item in late] == ["beat", "flower"]
    assert not stale.exists()
    for item in (*early, *late):
        assert item.answers is not None
        if item.name == "proxy":
            assert item.env == {"PATH": env["PATH"]}
            continue
        words, grace_s = PROGRAMS[item.name]
        assert (tuple(item.command), item.grace_s) == ((sys.executable, "-m", *words), grace_s)
        beats = item.name in ("worker", "explain", "io", "beat", "grpc")
        alive = {"COATCHECK_ALIVE_FILE": str(made.run / f"{item.name}.alive")} if beats else {}
        port = {"COATCHECK_GRPC_PORT": str(made.ports["grpc"])} if item.name == "grpc" else {}
        assert item.env == environments.only(item.name, env) | alive | port
        assert item.cwd == (made.run if item.name in ("api", "express", "flower") else None)
        # Nobody has shown any sign of life yet, and Redis is not there to blame.
        assert item.answers() == beats
