"""up, down and status of one checkout."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import click

from local import child, first_run
from local.state import write_private
from local.supervisor import StartFailed, Supervisor, clear_leftovers, tail

RECORD = "supervisor.json"
STOP_S = 60.0


def up(root: Path, environ: Mapping[str, str], *, detach: bool) -> int:
    """Start everything; in the foreground until Ctrl-C, or in the background. Returns an exit code."""
    if running(root):
        client = _client(root)
        click.echo(f"Already running: {client['COATCHECK_URL']} (./run status, ./run down)")
        return 0
    return _background(root, environ) if detach else _foreground(root, environ)


def down(root: Path) -> int:
    """Stop everything and wait for it."""
    pid = running(root)
    if pid is None:
        _clear(root)
        click.echo("Not running")
        return 0
    born = child.start_time(pid)
    os.kill(pid, signal.SIGTERM)
    ends_at = time.monotonic() + STOP_S
    while born is not None and child.start_time(pid) == born:
        if time.monotonic() > ends_at:
            click.echo(f"The supervisor ({pid}) did not stop within {STOP_S:.0f} s; killing it", err=True)
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    _clear(root)
    click.echo("Stopped")
    return 0


def status(root: Path) -> int:
    """Say what runs; exit code 0 when everything does, else 3."""
    if running(root) is None:
        click.echo("Not running (./run up)")
        return 3
    record = root / ".coatcheck" / "run" / "pids.json"
    processes = json.loads(record.read_text()) if record.exists() else []
    states = {item["name"]: child.start_time(item["pid"]) == item["born"] for item in processes}
    for item in processes:
        click.echo(f"  {item['name']:<10} {'running' if states[item['name']] else 'dead':<8} {item['pid']}")
    click.echo(f"  {_client(root)['COATCHECK_URL']}")
    return 0 if states and all(states.values()) else 3


def running(root: Path) -> int | None:
    """The supervisor's pid, if it is alive."""
    record = root / ".coatcheck" / "run" / RECORD
    if not record.exists():
        return None
    found = json.loads(record.read_text())
    return int(found["pid"]) if child.start_time(found["pid"]) == found["born"] else None


def _foreground(root: Path, environ: Mapping[str, str]) -> int:
    started = time.monotonic()
    click.echo("Coatcheck is starting")
    supervisor = Supervisor(root, environ)
    me = {"pid": os.getpid(), "born": child.start_time(os.getpid())}
    write_private(supervisor.state.run / RECORD, json.dumps(me))
    signal.signal(signal.SIGTERM, supervisor.ask_to_stop)
    signal.signal(signal.SIGINT, supervisor.ask_to_stop)
    code = 0
    try:
        client = supervisor.start()
        first_run.show(client)
        (supervisor.state.run / "ready").touch()
        click.echo(f"Ready after {time.monotonic() - started:.1f} s. Logs: .coatcheck/logs. Ctrl-C stops everything.")
        threading.Thread(target=_follow, args=(supervisor,), daemon=True).start()
        supervisor.watch()
    except (StartFailed, OSError, RuntimeError) as error:
        click.echo(f"\nCannot start: {error}", err=True)
        code = 1
    finally:
        click.echo("Stopping")
        supervisor.stop()
        for name in (RECORD, "ready"):
            (supervisor.state.run / name).unlink(missing_ok=True)
    return code


def _background(root: Path, environ: Mapping[str, str]) -> int:
    folder = root / ".coatcheck"
    folder.mkdir(mode=0o700, exist_ok=True)
    log, ready = folder / "up.log", folder / "run" / "ready"
    ready.unlink(missing_ok=True)
    with log.open("wb") as stream:
        command = [sys.executable, "-m", "cli.main", "up"]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=root,
            env=dict(environ),
            start_new_session=True,
        )
    shown = 0
    while process.poll() is None:
        text = log.read_text(errors="replace")
        click.echo(text[shown:], nl=False)
        shown = len(text)
        if ready.exists():
            click.echo(log.read_text(errors="replace")[shown:].split("Ready after")[0], nl=False)
            click.echo("Running in the background. Stop with: ./run down")
            return 0
        time.sleep(0.1)
    click.echo(tail(log) if shown == 0 else log.read_text(errors="replace")[shown:], err=True)
    return process.returncode or 1


def _follow(supervisor: Supervisor) -> None:
    """Copy what the processes log to the terminal, each line with its process's name."""
    ends = {item.log: item.log.stat().st_size for item in supervisor.children}
    while not supervisor.stopping:
        for item in list(supervisor.children):
            with item.log.open("rb") as stream:
                stream.seek(ends.setdefault(item.log, 0))
                for line in stream:
                    click.echo(f"{item.program.name:<10} │ {line.decode(errors='replace').rstrip()}")
                ends[item.log] = stream.tell()
        time.sleep(0.3)


def _client(root: Path) -> dict[str, str]:
    env = root / ".coatcheck" / "env"
    if not env.exists():
        return {"COATCHECK_URL": "still starting"}
    pairs = (line.removeprefix("export ").split("=", 1) for line in env.read_text().splitlines())
    return {name: value.strip("'") for name, value in pairs}


def _clear(root: Path) -> None:
    folder = root / ".coatcheck"
    if (folder / "state.json").exists():
        from local import state

        clear_leftovers(state.load(folder))
