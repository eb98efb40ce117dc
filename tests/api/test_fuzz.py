from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from api import EDITIONS
from local import platform_processes
from local.child import Child
from local.state import held_port
from tests.conftest import ROOT, Platform, until


@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", [edition.name for edition in EDITIONS])
def test_generated_requests_never_break_the_contract(
    platform: Platform, spawn: Callable[..., Child], tmp_path: Path, version: str
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
    config = _with_peers(tmp_path, [platform.new_tenant()[1] for _ in range(2)])
    # The second has the same routes, registered once more: what is generated at random is enough for its own shapes.
    less = [] if version == EDITIONS[0].name else ["--phases", "examples,fuzzing"]
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(config),
        "run", f"{url}/openapi/{version}.json", "--max-examples", "10", "--seed", "1", "--no-color", *less,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-8000:]
    assert "generated" in done.stdout


def _with_peers(folder: Path, keys: list[str]) -> Path:
    """The project's settings, with several tenants of whom none may read what another one made."""
    auth = [
        {"name": f"tenant-{number}", "fixedHeaders": [{"name": "Authorization", "value": f"Bearer {key}"}]}
        for number, key in enumerate(keys)
    ]
    (folder / "auth.json").write_text(json.dumps({"auth": auth}))
    peers = ", ".join(f'"{entry["name"]}"' for entry in auth)
    config = folder / "schemathesis.toml"
    said = f'\n[auth.wfc]\npath = "{folder / "auth.json"}"\npeers = [{peers}]\n'
    config.write_text((ROOT / "schemathesis.toml").read_text() + said)
    return config
