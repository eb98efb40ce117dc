from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping

import pytest
from redis import Redis

from core import broker
from jobs import presence
from local import environments
from local.child import Child
from tests.conftest import ROOT, Platform, until

CELERY = ("celery", "-A", "workers.app")
CONTROL = f"{broker.KEY_PREFIX}control"


@pytest.fixture
def env(platform: Platform) -> dict[str, str]:
    return {**platform.engines.env, "PATH": os.environ["PATH"]}


def ended(env: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("missing", ["COATCHECK_SECRET_KEY", "DATABASE_URL", "S3_SECRET_KEY"])
@pytest.mark.parametrize("worker", [("-Q", "cpu"), ("-Q", "webhooks,control", "-P", "threads")])
def test_a_worker_that_lacks_a_setting_stops_at_the_start(
    env: dict[str, str], missing: str, worker: tuple[str, ...]
) -> None:
    del env[missing]
    done = ended(env, *CELERY, "worker", *worker)
    assert done.returncode == 1
    assert f"Settings to mend: {missing}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_that_is_to_run_models_on_a_gpu_its_onnx_runtime_knows_nothing_of_stops_at_the_start(
    env: dict[str, str],
) -> None:
    done = ended({**env, "COATCHECK_PROVIDER": "cuda"}, *CELERY, "worker", "-Q", "cpu")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "install requirements/gpu.txt, or say COATCHECK_PROVIDER=cpu" in done.stderr


def test_a_worker_that_runs_no_models_needs_no_gpu_for_them(
    platform: Platform, quiet: None, spawn: Callable[..., Child]
) -> None:
    spawn("io", *CELERY, "worker", "-Q", "webhooks,control", "-P", "threads", COATCHECK_PROVIDER="cuda")
    until(lambda: presence.pools(platform.engine)["webhooks"].workers == 1)


READY = """
from workers import tasks
tasks._get_ready()
import gc, sys
from workers import resources
print("onnxruntime" in sys.modules, "drainer" in vars(resources.mine.worker), gc.get_freeze_count() > 10_000)
print(sys.getswitchinterval() <= 0.001)
"""


def test_a_child_has_all_it_needs_before_it_is_given_work(env: dict[str, str]) -> None:
    env |= {"COATCHECK_WORKER_INCARNATION": "n/i", "COATCHECK_WORKER_POOLS": "cpu", "COATCHECK_WORKER_STOP_FILE": "/x"}
    done = subprocess.run([sys.executable, "-c", READY], env=env, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "True True True\nTrue\n"


def test_beat_ticks_with_the_queue_alone(
    platform: Platform, env: dict[str, str], spawn: Callable[..., Child], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in environments.SECRETS - environments.NEEDS["beat"]:
        monkeypatch.delenv(name, raising=False)
    redis = Redis.from_url(env["REDIS_URL"])
    redis.delete(CONTROL)
    beat = spawn("beat", *CELERY, "beat", "--pidfile=")
    until(lambda: redis.llen(CONTROL) or not beat.alive)
    assert beat.alive, beat.log.read_text()
    redis.delete(CONTROL)


def test_a_beat_without_a_queue_says_so(env: dict[str, str]) -> None:
    del env["REDIS_URL"]
    done = ended(env, *CELERY, "beat")
    assert done.returncode != 0
    assert "REDIS_URL" in done.stderr


def test_commands_run_with_what_they_need(env: dict[str, str]) -> None:
    for name, arguments in (("migrate", ()), ("keys", ("create", "--name", "lone")), ("models", ("list",))):
        done = ended(environments.only(name, env), "cli.main", name, *arguments)
        assert done.returncode == 0, done.stderr
