"""What a supervisor that was killed has left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import click

from local import child
from local.state import State, read_json


def clear(found: State) -> None:
    """End what a killed supervisor left behind, and nobody else's processes."""
    record = found.run / "pids.json"
    if not record.exists():
        return
    left = [item for item in read_json(record) if child.start_time(item["pid"]) == item["born"]]
    ends_at = time.monotonic() + 10
    while left and time.monotonic() < ends_at:
        time.sleep(0.1)
        left = [item for item in left if child.start_time(item["pid"]) == item["born"]]
    for item in left:
        click.echo(f"  ending {item['name']} ({item['pid']}), left from before")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(item["pid"], signal.SIGKILL)
    record.unlink()
