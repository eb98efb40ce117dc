"""The platform's own processes, and the environment they share."""

from __future__ import annotations

import os
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from local.child import Program
from local.state import State


def environment(root: Path, state: State, urls: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """What every process sees: the caller's environment, the engines, and where the code is."""
    scripts = str(Path(sys.executable).parent)
    return {
        **environ,
        **urls,
        "COATCHECK_SECRET_KEY": environ.get("COATCHECK_SECRET_KEY") or state.secrets["app"],
        "COATCHECK_INPUT_PRIVATE_BUCKETS": environ.get("COATCHECK_INPUT_PRIVATE_BUCKETS")
        or f"{urls['S3_ENDPOINT_URL']}/inbox",
        # Whoever tries it here has the receiver here as well.
        "COATCHECK_WEBHOOK_LOOPBACK": environ.get("COATCHECK_WEBHOOK_LOOPBACK")
        or str(environ.get("COATCHECK_ENVIRONMENT") != "production").lower(),
        "COATCHECK_MODEL_CACHE": environ.get("COATCHECK_MODEL_CACHE") or str(state.folder / "models"),
        "PYTHONPATH": str(root),
        "PYTHONUNBUFFERED": "1",
        "PATH": os.pathsep.join((scripts, environ.get("PATH", os.defpath))),
        "TOKENIZERS_PARALLELISM": "false",
    }


def command(*arguments: str) -> list[str]:
    """The `coatcheck` command, by this very interpreter."""
    return [sys.executable, "-m", "cli.main", *arguments]


def programs(state: State, env: Mapping[str, str]) -> tuple[list[Program], list[Program]]:
    """Those that may start before the models are there, and those that had better wait."""
    celery = (sys.executable, "-m", "celery", "-A", "workers.app")
    ports = state.ports
    api = (
        sys.executable, "-m", "granian", "--interface", "wsgi", "--factory", "api:create_app", "--host", "127.0.0.1",
        "--port", str(ports["api"]), "--workers", "1", "--blocking-threads", "64", "--log-level", "warning",
    )  # fmt: skip
    flower_env = {**env, "FLOWER_BASIC_AUTH": f"coatcheck:{state.secrets['flower']}"}
    flower = (*celery, "flower", "--address=127.0.0.1", f"--port={ports['flower']}")
    worker = (*celery, "worker", "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1", "-l", "WARNING")
    io = (
        *celery,
        "worker",
        "-Q",
        "webhooks,control",
        "-P",
        "threads",
        "-n",
        "io@%h",
        "--concurrency",
        "4",
        "-l",
        "WARNING",
    )
    beat = (*celery, "beat", "-s", str(state.run / "beat-schedule"), "--pidfile=", "-l", "WARNING")
    early = [
        Program("worker", worker, env, grace_s=40),
        Program("io", io, env, grace_s=25),
        Program("api", api, env, grace_s=15),
    ]
    return early, [Program("beat", beat, env), Program("flower", flower, flower_env)]


def answers(url: str) -> bool:
    """Whether a GET gives 200."""
    try:
        with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - our own loopback address
            return bool(response.status == 200)
    except (urllib.error.URLError, OSError):
        return False
