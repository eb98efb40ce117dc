"""up, down and status of one checkout."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import click

from core import errors, settings
from local import checkout, child, first_run, health, leftovers, platform_processes, state
from local.state import read_json, write_private
from local.supervisor import StartFailed, Supervisor, say

RECORD = "supervisor.json"
#: How long a stop takes at most, where workers go on for no longer than they do if nothing else is set.
STOP_S = 60.0
OUTDATED = "the code here has changed since it was started: ./run down, then ./run up (no accepted job is lost)"


@dataclass(frozen=True)
class Status:
    """What runs; `state` is `running` when everything does, and `problems` says what the API misses. `outdated` is what
    was started from other code than is here now."""

    state: str
    url: str | None = None
    processes: Sequence[health.Health] = ()
    problems: Sequence[str] = ()
    outdated: bool = False


def up(root: Path, environ: Mapping[str, str], *, detach: bool, quiet: bool) -> int:
    """Start everything; in the foreground until Ctrl-C, or in the background. Returns an exit code.

    `quiet` leaves out what the processes log, which is in their files anyway.
    """
    if pid := running(root):
        return _already(root, pid, environ)
    return _background(root, environ) if detach else _foreground(root, environ, quiet=quiet)


def _already(root: Path, supervisor: int, environ: Mapping[str, str]) -> int:
    """Say what runs; 1 where that is not what was to be brought up: the code which is here now, with these settings."""
    if not (root / ".coatcheck" / "run" / "ready").exists():
        click.echo("Another `up` of this checkout is running or starting already (./run status, ./run down)")
        return 0
    where = f"Already running: {_client(root)['COATCHECK_URL']}"
    if _outdated(root):
        click.echo(f"{where}, but {OUTDATED}", err=True)
        return 1
    if others := _set_otherwise(root, supervisor, environ):
        click.echo(f"{where}, but not with {', '.join(others)} as given here: ./run down, then ./run up", err=True)
        return 1
    click.echo(f"{where} (./run status, ./run down)")
    return 0


def down(root: Path) -> int:
    """Stop everything and wait for it."""
    pid = running(root)
    if pid is None:
        _clear(root)
        click.echo("Not running")
        return 0
    born = child.start_time(pid)
    stop_s = float(read_json(root / ".coatcheck" / "run" / RECORD).get("stop_s", STOP_S))
    os.kill(pid, signal.SIGTERM)
    ends_at = time.monotonic() + stop_s
    while born is not None and child.start_time(pid) == born:
        if time.monotonic() > ends_at:
            click.echo(f"The supervisor ({pid}) did not stop within {stop_s:.0f} s; killing it", err=True)
            os.kill(pid, signal.SIGKILL)
            break
        time.sleep(0.1)
    _clear(root)
    click.echo("Stopped")
    return 0


def status(root: Path) -> Status:
    """What runs of this checkout and whether it goes round, and what the API says of the rest."""
    supervisor = running(root)
    if supervisor is None:
        return Status("not running")
    run = root / ".coatcheck" / "run"
    found = health.look(run, supervisor, (run / RECORD).stat().st_mtime)
    if not (run / "ready").exists():
        return Status("starting", processes=found)
    url = _client(root)["COATCHECK_URL"]
    said = platform_processes.readiness(url)
    problems = ["it does not answer, or somebody else does"] if said is None else said["problems"]
    well = not problems and all(item.well for item in found)
    return Status("running" if well else "not all running", url, found, problems, _outdated(root))


def running(root: Path) -> int | None:
    """The supervisor's pid, if it is alive."""
    record = root / ".coatcheck" / "run" / RECORD
    if not record.exists():
        return None
    found = read_json(record)
    return int(found["pid"]) if child.start_time(found["pid"]) == found["born"] else None


def _outdated(root: Path) -> bool:
    """Whether what runs was started from other code than is here now."""
    found = read_json(root / ".coatcheck" / "run" / RECORD).get("code")
    return bool(found != checkout.digest(root))


def _set_otherwise(root: Path, supervisor: int, environ: Mapping[str, str]) -> list[str]:
    """The settings that have a value here, and not the one that the supervisor was started with; what the
    sourced `.coatcheck/env` and `env.admin` say is what it has."""
    started = child.environment(supervisor)
    found = state.load(root / ".coatcheck")
    handed = {
        **found.urls({}), "COATCHECK_SECRET_KEY": found.secrets["app"], "COATCHECK_GRPC_PORT": str(found.ports["grpc"])
    }  # fmt: skip
    return [
        name
        for name in settings.names()
        if environ.get(name) and environ[name] not in (started.get(name), handed.get(name))
    ]


def _foreground(root: Path, environ: Mapping[str, str], *, quiet: bool) -> int:
    try:
        supervisor = Supervisor(root, environ)
        lock = _lock(supervisor.state.run / "lock")
    except (RuntimeError, OSError) as error:
        click.echo(f"Cannot start: {error}", err=True)
        return 1
    if lock is None:
        click.echo("Another `up` of this checkout is running or starting already (./run status)")
        return 0
    code = 1
    try:
        _start(supervisor)
        if not quiet:
            click.echo("Ctrl-C stops everything.")
            threading.Thread(target=follow, args=(supervisor,), daemon=True).start()
        supervisor.watch()
        code = 0
    except StartFailed as error:
        say(f"\nCannot start: {error}")
    finally:
        say("Stopping")
        supervisor.stop()
        for name in (RECORD, "ready"):
            (supervisor.state.run / name).unlink(missing_ok=True)
        lock.close()
    return code


def _start(supervisor: Supervisor) -> None:
    """Bring everything up, and say so to whoever waits for it; raises StartFailed."""
    started = time.monotonic()
    click.echo("Coatcheck is starting")
    me: dict[str, Any] = {"pid": os.getpid(), "born": child.start_time(os.getpid())}
    me["code"] = checkout.digest(supervisor.root)
    # Of one that was killed.
    (supervisor.state.run / "ready").unlink(missing_ok=True)
    # Also when its terminal is closed, unless `nohup` is to keep it.
    closed = {signal.SIGHUP} if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN else set()
    for heard in {signal.SIGTERM, signal.SIGINT} | closed:
        signal.signal(heard, supervisor.ask_to_stop)
    try:
        me["stop_s"] = platform_processes.worker_grace_s() + 20
        write_private(supervisor.state.run / RECORD, json.dumps(me))
        first_run.show(supervisor.start())
        click.echo(f"Ready after {time.monotonic() - started:.1f} s. Logs: .coatcheck/logs")
        write_private(supervisor.state.run / "ready", str(os.getpid()))
    except (OSError, RuntimeError, errors.CoatcheckError) as error:
        raise StartFailed(str(error)) from error


def _lock(path: Path) -> IO[bytes] | None:
    """Held for as long as this supervisor lives, however it ends; None when another one has it."""
    stream = path.open("wb")
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        return None
    return stream


def _background(root: Path, environ: Mapping[str, str]) -> int:
    folder = root / ".coatcheck"
    folder.mkdir(mode=0o700, exist_ok=True)
    # A log of its own, until it is known that no other `up` is on its way.
    log, ready = folder / f"up.{os.getpid()}.log", folder / "run" / "ready"
    write_private(log, "")
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "up", "--quiet"],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=root,
            env=dict(environ),
            start_new_session=True,
        )
    try:
        came_up = _awaited(process, log, ready)
    except KeyboardInterrupt:
        # It is in a session of its own, and has not heard it.
        process.terminate()
        process.wait()
        log.unlink()
        raise
    if came_up:
        log.replace(folder / "up.log")
        click.echo("Running in the background. Stop with: ./run down")
        return 0
    log.unlink()
    return process.returncode


def _awaited(process: subprocess.Popen[bytes], log: Path, ready: Path) -> bool:
    """Whether it comes up, and does not end before; what it says meanwhile is shown."""
    shown = 0
    while process.poll() is None:
        done = ready.exists() and ready.read_text() == str(process.pid)
        text = log.read_text(errors="replace")
        click.echo(text[shown:], nl=False)
        shown = len(text)
        if done:
            return True
        time.sleep(0.1)
    click.echo(log.read_text(errors="replace")[shown:], nl=False, err=True)
    return False


def follow(supervisor: Supervisor) -> None:
    """Copy what the processes log to the terminal, each line with its process's name."""
    ends = {item.log: item.log.stat().st_size for item in supervisor.children}
    while not supervisor.stopping:
        for item in list(supervisor.children):
            # Somebody may have removed it, or it was put aside meanwhile, and what is there now is another.
            with contextlib.suppress(FileNotFoundError), item.log.open("rb") as stream:
                seen = ends.setdefault(item.log, 0)
                stream.seek(seen if seen <= item.log.stat().st_size else 0)
                for line in stream:
                    click.echo(f"{item.program.name:<10} │ {line.decode(errors='replace').rstrip()}")
                ends[item.log] = stream.tell()
        time.sleep(0.3)


def _client(root: Path) -> dict[str, str]:
    env = root / ".coatcheck" / "env"
    if not env.exists():
        return {"COATCHECK_URL": "still starting"}
    words = (
        shlex.split(line)
        for line in env.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.startswith("export COATCHECK_")
    )
    return dict(pair.split("=", 1) for _, pair in words)


def _clear(root: Path) -> None:
    folder = root / ".coatcheck"
    if (folder / "state.json").exists():
        leftovers.clear(state.load(folder))
    for name in (RECORD, "ready"):
        (folder / "run" / name).unlink(missing_ok=True)
