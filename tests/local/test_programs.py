"""How everything that `up` starts is run, to the last word: who else knows what a flag was for?"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from core import alive
from local import engines, environments, platform_processes, seaweedfs, supervisor
from local.child import Program
from local.state import State, load
from local.supervisor import Supervisor
from tests.conftest import until
from tests.local.front import Behind

WEED = """
-logtostderr=true server -dir={data}/s3 -ip=127.0.0.1 -ip.bind=127.0.0.1
-master.port={master} -master.port.grpc={master_grpc} -master.electionTimeout=1s -master.heartbeatInterval=100ms
-master.volumeSizeLimitMB=1024 -master.telemetry=false
-volume.max=0 -volume.port={volume} -volume.port.grpc={volume_grpc} -volume.minFreeSpacePercent=1
-volume.preStopSeconds=0 -volume.concurrentUploadLimitMB=64
-filer -filer.port={filer} -filer.port.grpc={filer_grpc} -filer.disableHttp -filer.localSocket=f.sock
-filer.concurrentUploadLimitMB=64
-s3 -s3.port={s3} -s3.port.grpc={s3_grpc} -s3.port.iceberg=0 -s3.port.lance=0 -s3.localSocket=s.sock
-s3.config={run}/s3.json -s3.concurrentUploadLimitMB=64 -s3.cacheCapacityMB=0
"""


@pytest.fixture
def made(tmp_path: Path) -> State:
    return load(tmp_path / ".coatcheck")


def run(programs: Sequence[Program]) -> dict[str, dict[str, Any]]:
    """What each is given beside its environment, but for what is as it usually is."""
    usual = {item.name: item.default for item in dataclasses.fields(Program) if item.name != "env"}
    return {
        program.name: {
            name: list(value) if name == "command" else value
            for name in usual
            if name not in ("name", "env", "answers", "has_room_again")
            if (value := getattr(program, name)) != usual[name] and value != ()
        }
        for program in programs
    }


def test_each_engine_is_run_for_this_machine_alone_and_ended_in_the_way_that_it_bears(made: State) -> None:
    programs = [engine.program for engine in engines.embedded(made, made.urls({}), {"LANG": "C", "S3_SECRET_KEY": "x"})]
    found, ports = run(programs), made.ports
    weed = found.pop("seaweedfs")
    binary, *words = weed.pop("command")
    assert (Path(binary).name, words) == ("weed", WEED.format(run=made.run, data=made.data, **ports).split())
    sockets = [Path(f"/tmp/seaweedfs-{name}-grpc-{ports[f'{name}_grpc']}.sock") for name in seaweedfs.SERVERS]
    assert weed == {"stop": signal.SIGKILL, "cwd": made.run, "leftovers": sockets}
    postgres, valkey = found["postgres"]["command"], found["valkey"]["command"]
    assert found == {
        "postgres": {"command": postgres, "stop": signal.SIGINT, "grace_s": 15, "unprivileged": True},
        "valkey": {"command": valkey},
    }
    flags = [
        f"port={ports['postgres']}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=100",
        "shared_buffers=128MB", "max_wal_size=1GB",
    ]  # fmt: skip
    assert postgres[1:] == ["-D", str(made.data / "postgres"), *(part for flag in flags for part in ("-c", flag))]
    assert valkey[1:] == [str(made.run / "valkey.conf")]
    envs = [dict(program.env) for program in programs]
    assert envs == [{"LANG": "C"}, {"LANG": "C"}, {"LANG": "C", "GOMEMLIMIT": "384MiB"}]
    assert all(program.answers for program in programs)
    assert [program.has_room_again is not None for program in programs] == [False, False, True]


def test_valkey_keeps_nothing_on_the_disk_and_lets_in_nobody_without_its_password(made: State) -> None:
    (valkey,) = (item for item in engines.embedded(made, made.urls({}), {}) if item.program.name == "valkey")
    valkey.prepare()
    lines = dict(line.split(" ", 1) for line in (made.run / "valkey.conf").read_text().splitlines())
    assert lines == {
        "port": str(made.ports["valkey"]), "bind": "127.0.0.1", "dir": json.dumps(str(made.data / "valkey")),
        "requirepass": made.secrets["valkey"], "appendonly": "no", "save": '""', "maxmemory-policy": "noeviction",
    }  # fmt: skip


def test_the_platform_has_what_it_needs_of_the_callers_environment_and_what_is_its_own(
    made: State, tmp_path: Path
) -> None:
    urls = made.urls({})
    own = {
        **urls,
        "PGREQUIREAUTH": "scram-sha-256",
        "FLOWER_BASIC_AUTH": f"coatcheck:{made.secrets['flower']}",
        "COATCHECK_SECRET_KEY": made.secrets["app"],
        "COATCHECK_INPUT_PRIVATE_BUCKETS": f"{urls['S3_ENDPOINT_URL']}/inbox",
        "COATCHECK_MODEL_CACHE": str(made.folder / "models"),
        "PYTHONPATH": str(tmp_path),
        "PYTHONUNBUFFERED": "1",
        "PATH": f"{Path(sys.executable).parent}:{os.defpath}",
        "TOKENIZERS_PARALLELISM": "false",
    }
    assert platform_processes.environment(tmp_path, made, urls, {}) == own
    given = {
        "COATCHECK_SECRET_KEY": "k" * 32, "COATCHECK_INPUT_PRIVATE_BUCKETS": "http://h/b", "LANG": "C",
        "COATCHECK_MODEL_CACHE": "/cache",
    }  # fmt: skip
    path = {"PATH": f"{Path(sys.executable).parent}:/bin"}
    found = platform_processes.environment(tmp_path, made, urls, {**given, "PATH": "/bin"})
    assert found == {**own, **given, **path}
    # Of a database elsewhere nobody knows how it knows its users.
    other = platform_processes.environment(tmp_path, made, {**urls, "DATABASE_URL": "postgresql://h/d"}, {})
    assert "PGREQUIREAUTH" not in other


def test_every_process_of_the_platform_is_run_with_these_words(
    made: State, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    env = platform_processes.environment(tmp_path, made, made.urls({}), {})
    for name in {*os.environ} & environments.SECRETS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("COATCHECK_GRACE_S", "25")
    # What the last one touched would speak for the one that is started after it.
    alive = {name: (made.run / f"{name}.alive",) for name in ("worker", "explain", "io", "grpc", "beat")}
    for (file,) in alive.values():
        file.touch()
    early, late = platform_processes.programs(made, env)
    assert [program.name for program in early + late] == [
        "worker", "explain", "io", "api", "express", "proxy", "grpc", "beat", "flower",
    ]  # fmt: skip
    found = run([program for program in early + late if program.name != "proxy"])
    celery = [sys.executable, "-m", "celery", "-A", "workers.app"]
    alone = [*celery, "worker", "--without-mingle", "--without-gossip", "-l", "WARNING"]
    own = [sys.executable, "-m", "cli.main"]
    one = ["--concurrency", "1"]
    assert {name: how.pop("leftovers") for name, how in found.items() if "leftovers" in how} == alive
    assert found == {
        "worker": {"command": [*alone, "-Q", "cpu", "-n", "cpu@%h", *one], "grace_s": 45},
        "explain": {"command": [*alone, "-Q", "explain", "-n", "explain@%h", *one], "grace_s": 45},
        "io": {
            "command": [*alone, "-Q", "webhooks,control", "-P", "threads", "-n", "io@%h", "--concurrency", "4"],
            "grace_s": 25,
        },
        "api": {"command": [*own, "serve", "--socket", "api.sock"], "grace_s": 15, "cwd": made.run},
        "express": {
            "command": [*own, "serve-express", "--socket", "express.sock"], "grace_s": 15, "cwd": made.run,
        },
        "grpc": {"command": [*own, "serve-grpc"], "grace_s": 15},
        "beat": {"command": [*celery, "beat", "--pidfile=", "-l", "WARNING"]},
        "flower": {
            "command": [*celery, "flower", "--unix-socket=flower.sock", "--max-tasks=20000"], "cwd": made.run,
        },
    }  # fmt: skip
    more = {"grpc": {"COATCHECK_GRPC_PORT": str(made.ports["grpc"])}}
    for program in early + late:
        if program.name == "proxy":
            continue
        beats = {"COATCHECK_ALIVE_FILE": str(made.run / f"{program.name}.alive")}
        beating = program.name not in ("api", "express", "flower")
        expected = {**environments.only(program.name, env), **more.get(program.name, {}), **(beats if beating else {})}
        assert dict(program.env) == expected, program.name
        assert program.answers is not None
    # Of an earlier start: nobody has shown yet that they go round.
    assert list(made.run.glob("*.alive")) == []


def test_who_serves_is_asked_whether_it_does(made: State, tmp_path: Path) -> None:
    env = platform_processes.environment(tmp_path, made, made.urls({}), {})
    early, late = platform_processes.programs(made, env)
    answers = {program.name: program.answers for program in early + late}
    behind = Behind(made.run)
    behind.go.set()
    threading.Thread(target=behind.serve, daemon=True).start()
    until((made.run / "api.sock").exists)
    for name, path in {"api": "/healthz", "express": "/healthz", "flower": "/healthcheck"}.items():
        ask = answers[name]
        assert ask is not None
        if name != "api":
            assert not ask()
            (made.run / f"{name}.sock").symlink_to("api.sock")
        assert ask()
        assert behind.seen[-1].startswith(f"GET {path} HTTP/1.1\r\n".encode())
    behind.listener.close()


@pytest.mark.parametrize("extra", [True, False])
def test_a_start_waits_for_everybody_who_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extra: bool) -> None:
    made = Supervisor(tmp_path, {})
    waited: dict[str, Callable[[], bool]] = {}
    monkeypatch.setattr(made, "_until", lambda condition, name: waited.update({name: condition}))
    if extra:
        made._launch(Program("grpc", ("sleep", "60"), dict(os.environ), grace_s=1))
    made._until_all_answer()
    made.stop()
    assert [*waited] == ["proxy", "api", "flower"] + ["grpc"] * extra
    if extra:
        assert not waited["grpc"]()
        alive.beat(str(made.state.run / "grpc.alive"))
    assert [ready() for ready in waited.values()] == [False] * 3 + [True] * extra


class Dead:
    """A process that has ended."""

    exit_code = 1

    def __init__(self, pid: int, started_at: float, name: str = "one") -> None:
        self.pid = pid
        self.started_at = started_at
        self.program = Program(name, ("false",))

    def kill(self) -> None: ...


def test_who_dies_again_soon_after_each_start_is_started_later_each_time_and_who_lived_a_while_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, clock, launched = Supervisor(tmp_path, {}), [1000.0], []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(made, "_launch", lambda program: launched.append((program.name, clock[0])))

    def pause(pid: int, lived: float, name: str = "one") -> float:
        """How long it waits for its next start."""
        dead: Any = Dead(pid, clock[0] - lived, name)
        made.children.append(dead)
        made._revive(dead)
        due = made._due.get(pid, clock[0])
        waited = due - clock[0]
        if waited:
            clock[0] = due - 0.001
            made._revive(dead)
            assert dead in made.children
            clock[0] = due
            made._revive(dead)
        assert (dead in made.children, pid in made._due) == (False, False)
        assert launched[-1] == (name, clock[0])
        return waited

    quick = supervisor.QUICK_DEATH_S - 0.1
    assert [pause(pid, quick) for pid in range(1, 8)] == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0]
    # Another one's deaths are its own.
    assert pause(8, quick, "other") == 0.5
    assert pause(9, supervisor.QUICK_DEATH_S) == 0.0
    assert pause(10, quick) == 0.5
    assert made._restarts == {"one": 9, "other": 1}
