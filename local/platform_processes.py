"""The platform's own processes, and the environment of which each gets its part."""

from __future__ import annotations

import dataclasses
import importlib.util
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from core import alive, errors, settings
from core.setting_groups import Jobs
from core.settings import Settings
from local import engines, proxy
from local.child import Program
from local.environments import only
from local.state import State

#: In the folder `run`, which is the owner's alone; relative, since a deep folder would make the path too long.
API_SOCKET, EXPRESS_SOCKET, FLOWER_SOCKET = "api.sock", "express.sock", "flower.sock"
#: So many jobs are shown at most, the last ones; it is what bounds Flower's memory.
FLOWER_TASKS = 20_000


def environment(root: Path, state: State, urls: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What the processes need together: the caller's environment, the engines, and where the code is."""
    scripts = str(Path(sys.executable).parent)
    return {
        **environ,
        **urls,
        **state.proof(urls),
        "FLOWER_BASIC_AUTH": f"coatcheck:{state.secrets['flower']}",
        "COATCHECK_SECRET_KEY": environ.get("COATCHECK_SECRET_KEY") or state.secrets["app"],
        "COATCHECK_INPUT_PRIVATE_BUCKETS": environ.get("COATCHECK_INPUT_PRIVATE_BUCKETS")
        or f"{urls['S3_ENDPOINT_URL']}/inbox",
        "COATCHECK_MODEL_CACHE": environ.get("COATCHECK_MODEL_CACHE") or str(state.folder / "models"),
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join((scripts, environ.get("PATH", os.defpath))),
        "TOKENIZERS_PARALLELISM": "false",
    }


def receivers_here(state: State, values: Settings) -> str:
    """Which ports of this machine webhooks may call, in words; raises SettingsInvalid where one of them is ours."""
    ours = {port: name for name, port in state.ports.items()}
    for port in values.webhooks.loopback:
        if port in ours:
            raise errors.SettingsInvalid(
                f"COATCHECK_WEBHOOK_LOOPBACK={port} is the platform's own port ({ours[port]}, .coatcheck/state.json): "
                "let your receiver listen on another one"
            )
    if not values.webhooks.loopback:
        return "webhooks may call nothing on this machine (COATCHECK_WEBHOOK_LOOPBACK=9000 allows a receiver's port)"
    return f"webhooks may call {', '.join(f'127.0.0.1:{port}' for port in values.webhooks.loopback)}"


def command(*arguments: str) -> list[str]:
    """The `coatcheck` command, by this very interpreter."""
    return [sys.executable, "-m", "cli.main", *arguments]


def programs(state: State, env: Mapping[str, str]) -> tuple[list[Program], list[Program]]:
    """Those that may start before the models are there, and those that had better wait."""
    celery = (sys.executable, "-m", "celery", "-A", "workers.app")
    # Workers have nothing to say to each other, and waiting for their answers would make each start a second longer.
    alone = (*celery, "worker", "--without-mingle", "--without-gossip", "-l", "WARNING")
    worker = (*alone, "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1")
    explain = (*alone, "-Q", "explain", "-n", "explain@%h", "--concurrency", "1")
    io = (*alone, "-Q", "webhooks,control", "-P", "threads", "-n", "io@%h", "--concurrency", "4")
    beat = (*celery, "beat", "--pidfile=", "-l", "WARNING")
    grace_s = worker_grace_s()
    early = [
        _beating(Program("worker", worker, only("worker", env), grace_s=grace_s), state),
        _beating(Program("explain", explain, only("explain", env), grace_s=grace_s), state),
        _beating(Program("io", io, only("io", env), grace_s=25), state),
        *door(state, env),
        *([_rpc(state, env)] if has_grpc() else []),
    ]
    return early, [_beating(Program("beat", beat, only("beat", env)), state), _flower(state, celery, env)]


def worker_grace_s() -> float:
    """How long a worker may take to stop; raises SettingsInvalid."""
    return settings.load_only(Jobs).grace_s + 20


def door(state: State, env: Mapping[str, str]) -> list[Program]:
    """The API with its express lane, and the proxy before them: only the proxy has ports, which anybody on this machine
    can reach."""
    ports, here = state.ports, "127.0.0.1"
    doors = proxy.Doors(
        api_listen=f"{here}:{ports['api']}",
        metrics_listen=f"{here}:{ports['metrics']}",
        flower_listen=f"{here}:{ports['flower']}",
        api=f"unix:{API_SOCKET}",
        express=f"unix:{EXPRESS_SOCKET}",
        flower=f"unix:{FLOWER_SOCKET}",
    )
    api = _listening("api", "serve", API_SOCKET, state, env)
    express = _listening("express", "serve-express", EXPRESS_SOCKET, state, env)
    user, path = env["FLOWER_BASIC_AUTH"], {"PATH": env["PATH"]}
    front = proxy.program(state.run, doors, settings.proxy(), flower_user=user, environ=path)
    # What it answers by itself, whatever is behind it.
    there = f"http://{doors.metrics_listen}/"
    return [api, express, dataclasses.replace(front, answers=lambda: alive.served(there) is not None)]


def _listening(name: str, words: str, socket: str, state: State, env: Mapping[str, str]) -> Program:
    return Program(
        name,
        (*command(words), "--socket", socket),
        only(name, env),
        grace_s=15,
        cwd=state.run,
        answers=lambda: alive.asked(state.run, socket, "/healthz"),
    )


def has_grpc() -> bool:
    """Whether the extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("grpc", "grpc_health"))


def _rpc(state: State, env: Mapping[str, str]) -> Program:
    """The door for gRPC, which has a port of its own."""
    mine = {**only("grpc", env), "COATCHECK_GRPC_PORT": str(state.ports["grpc"])}
    return _beating(Program("grpc", tuple(command("serve-grpc")), mine, grace_s=15), state)


def _flower(state: State, celery: tuple[str, ...], env: Mapping[str, str]) -> Program:
    return Program(
        "flower",
        (*celery, "flower", f"--unix-socket={FLOWER_SOCKET}", f"--max-tasks={FLOWER_TASKS}"),
        only("flower", env),
        cwd=state.run,
        answers=lambda: alive.asked(state.run, FLOWER_SOCKET, "/healthcheck"),
    )


def _beating(program: Program, state: State) -> Program:
    """One that shows by the age of a file that it goes round; without Redis it stands still, and is not to blame."""
    file = state.run / f"{program.name}.alive"
    file.unlink(missing_ok=True)
    redis_url = program.env["REDIS_URL"]
    return dataclasses.replace(
        program,
        env={**program.env, "COATCHECK_ALIVE_FILE": str(file)},
        answers=lambda: alive.beats(file) or not engines.redis_ready(redis_url),
        # It would speak for the one that is started next.
        leftovers=(file,),
    )


def answers(url: str) -> bool:
    """Whether a GET gives 200."""
    return alive.served(url) == 200


def readiness(url: str) -> Mapping[str, Any] | None:
    """What the API says of itself; None where nobody answers, or somebody else."""
    said = alive.said(f"{url}/ready")
    ours = isinstance(said, dict) and isinstance(said.get("pools"), dict) and isinstance(said.get("problems"), list)
    return said if ours else None


def all_there(url: str) -> bool:
    """Whether the API answers, and says that everybody whom `up` starts goes round."""
    pools = (readiness(url) or {}).get("pools", {})
    return all(pools.get(pool, {}).get("workers") for pool in ("cpu", "explain", "webhooks", "sweep"))
