from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from local import platform_processes
from local.child import Child
from local.state import held_port
from tests.conftest import ROOT, Platform, until


@pytest.mark.timeout(600)
def test_generated_requests_never_break_the_contract(
    platform: Platform, spawn: Callable[..., Child], tmp_path: Path
) -> None:
    port = str(held_port())
    spawn(
        "api",
        "granian",
        "--interface",
        "wsgi",
        "--factory",
        "api:create_app",
        "--port",
        port,
        "--blocking-threads",
        "8",
        # What the contract's examples hand in ends, and is not waited for long.
        COATCHECK_MAX_WAIT_S="2",
    )
    spawn("worker", "celery", "-A", "workers.app", "worker", "-Q", "cpu", "-n", "cpu@%h", "--concurrency", "1")
    url = f"http://127.0.0.1:{port}"
    until(lambda: platform_processes.answers(f"{url}/ready"))
    _, key = platform.new_tenant()
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{url}/openapi/v1.json",
        "-H", f"Authorization: Bearer {key}",
        "--max-examples", "20", "--seed", "1", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "generated" in done.stdout
