"""A start, what is said meanwhile, and an end: in which order, and what people see of it."""

from __future__ import annotations

import os
import re
import signal
import socket
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from local import child, commands, engines, first_run, health, platform_processes, state, supervisor
from local.child import Child, Program
from local.engine import Engine
from local.supervisor import StartFailed, Supervisor
from tests.conftest import until

LIVES = "import time; time.sleep(600)"


def program(name: str, code: str = LIVES) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ), grace_s=1)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path, {})
    yield found
    found.stop()


def left(root: Path) -> list[str]:
    return sorted(path.name for path in (root / ".coatcheck" / "run").iterdir())


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("quiet", [False, True])
def test_up_in_the_foreground_shows_what_the_processes_log_unless_it_is_to_be_quiet_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, quiet: bool
) -> None:
    said: list[str] = []
    shown: list[Mapping[str, str]] = []
    # As `nohup` has it.
    nohup = quiet
    signal.signal(signal.SIGHUP, signal.SIG_IGN if nohup else signal.SIG_DFL)

    def start(made: Supervisor) -> dict[str, str]:
        (made.state.logs / "loud.log").write_text("of an earlier start\n")
        made._launch(program("loud"))
        return {"COATCHECK_URL": "http://h"}

    def watch(made: Supervisor) -> None:
        assert (made.state.run / "ready").read_text() == str(os.getpid())
        assert commands.running(tmp_path) == os.getpid()
        signs = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        assert [signal.getsignal(sign) == made.ask_to_stop for sign in signs] == [True, True, not nohup]
        # The workers' time to go on with what they hold, and 40 s for all else.
        assert state.read_json(made.state.run / commands.RECORD)["stop_s"] == 47.0

        def heard() -> bool:
            with made.children[0].log.open("a") as log:
                log.write("hello  \n")
            said.append(capsys.readouterr().out)
            return quiet or "loud       │ hello\n" in "".join(said)

        until(heard)

    monkeypatch.setattr(Supervisor, "start", start)
    monkeypatch.setattr(Supervisor, "watch", watch)
    monkeypatch.setattr(first_run, "show", shown.append)
    monkeypatch.setenv("COATCHECK_GRACE_S", "7")
    assert commands.up(tmp_path, {}, detach=False, quiet=quiet) == 0
    out, err = capsys.readouterr()
    told = "".join(said) + out
    assert re.match(r"Coatcheck is starting\nReady after \d\.\d s\. Logs: \.coatcheck/logs\n", told)
    assert ("Ctrl-C stops everything." in told, "│" in told) == (not quiet, not quiet)
    assert ("of an earlier start" in told, err) == (False, "Stopping\n")
    assert (shown, left(tmp_path)) == ([{"COATCHECK_URL": "http://h"}], ["lock"])


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize("error", [StartFailed("no room"), OSError("no room"), RuntimeError("no room")], ids=repr)
def test_what_cannot_be_started_is_said_and_what_was_started_already_is_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    started: list[Child] = []

    def start(made: Supervisor) -> dict[str, str]:
        made._launch(program("one"))
        started.extend(made.children)
        raise error

    monkeypatch.setattr(Supervisor, "start", start)
    for _ in range(2):  # it holds the lock no longer than it lives
        assert commands.up(tmp_path, {}, detach=False, quiet=True) == 1
    assert capsys.readouterr().err == "\nCannot start: no room\nStopping\n" * 2
    assert ([item.alive for item in started], left(tmp_path)) == ([False] * 2, ["lock"])


def test_a_checkout_that_cannot_be_read_is_said_to_be_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = state.load(tmp_path / ".coatcheck").folder
    for text, said in (("{", "is damaged: remove it"), ('{"more": {}}', "was not written by this version")):
        (folder / "state.json").write_text(text)
        assert commands.up(tmp_path, {}, detach=False, quiet=True) == 1
        out, err = capsys.readouterr()
        assert (out, err.startswith("Cannot start: "), said in err) == ("", True, True), err


@pytest.mark.usefixtures("own_environ")
def test_a_start_goes_from_the_engines_to_those_who_need_the_models_and_waits_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done: list[str] = []
    for name in ("a", "b", "no-model"):
        (tmp_path / "bundles" / name).mkdir(parents=True)
    bundles = [tmp_path / "bundles" / name for name in ("a", "b")]
    for folder in bundles:
        (folder / "model.yaml").touch()

    def once(*words: str, env: Mapping[str, str]) -> str:
        assert env["DATABASE_URL"] == "postgresql+psycopg://a:p@h/d"
        done.append(" ".join(words))
        return "cck_made\n"

    before = state.load(tmp_path / ".coatcheck")
    # As a shell says that has read `.coatcheck/env.admin`: that is ours, and where it is now.
    ours = before.urls({})["REDIS_URL"]
    made = Supervisor(tmp_path, {"DATABASE_URL": "postgresql+psycopg://a:p@h/d", "REDIS_URL": ours})
    monkeypatch.setattr(made, "_engines", lambda urls, env: done.append("engines"))
    monkeypatch.setattr(made, "_once", once)
    monkeypatch.setattr(platform_processes, "programs", lambda *_: ([program("early")], [program("late")]))
    monkeypatch.setattr(made, "_launch", lambda item: done.append(item.name))
    monkeypatch.setattr(made, "_until_all_answer", lambda: done.append("all answer"))
    with socket.create_server(("127.0.0.1", before.ports["valkey"])):
        people = made.start()
    port = made.state.ports["valkey"]
    assert people["REDIS_URL"] == ours.replace(f":{before.ports['valkey']}/", f":{port}/") != ours
    create = "keys create --tier pro --name"
    assert done == [
        "engines", "migrate", "early", f"models push {bundles[0]} {bundles[1]}", "late", "all answer",
        f"{create} api", f"{create} admin --admin",
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert re.findall("  using (.*) from the environment\n", out) == ["DATABASE_URL"]
    assert f"  port of valkey is taken by somebody else, using {port}\n" in out
    assert "  webhooks may call nothing on this machine" in out
    assert re.findall("✓ (.*?)  ", out) == ["tables migrated", "models published", "api and workers ready"]
    assert ("the API listens on" in out) == (made.state.ports["api"] != 8000)


@pytest.mark.parametrize("own", [True, False])
def test_every_engine_is_prepared_and_started_before_any_is_waited_for_and_our_database_has_its_roles(
    made: Supervisor, monkeypatch: pytest.MonkeyPatch, own: bool
) -> None:
    done: list[str] = []

    def engine(name: str) -> Engine:
        def ready() -> bool:
            done.append(f"{name} ready")
            return True

        return Engine("URL", program(name), lambda: done.append(f"{name} prepared"), ready)

    def embedded(_: object, urls: Mapping[str, str], environ: Mapping[str, str]) -> list[Engine]:
        assert (urls, environ["PATH"]) == ({"U": "u"}, "/there")
        return [engine(name) for name in names]

    names = ["postgres", "valkey"] if own else ["valkey", "seaweedfs"]
    monkeypatch.setattr(engines, "embedded", embedded)
    monkeypatch.setattr(engines, "ensure_roles", lambda _: done.append("roles"))
    monkeypatch.setattr(made, "_launch", lambda item: done.append(item.name))

    def listens(name: str, port: str) -> bool:
        done.append(f"{name} listens on {port}")
        return True

    monkeypatch.setattr(made, "_listens", listens)
    made._engines({"U": "u"}, {"PATH": "/there"})
    ports = {name: name.replace("seaweedfs", "s3") for name in names}
    ready = [step for name in names for step in (f"{name} listens on {ports[name]}", f"{name} ready")]
    steps = [*(f"{name} prepared" for name in names), *names, *ready]
    assert done == [*steps, *(["roles"] if own else [])]


class Noted:
    """A process that notes what is done to it."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.program = Program(name, ("true",))
        self._done = done

    def ask_to_stop(self) -> None:
        self._done.append(f"ask {self.program.name}")

    def stop(self) -> None:
        self._done.append(f"stop {self.program.name}")


def test_all_of_the_platform_are_asked_to_stop_first_and_the_engines_end_last(made: Supervisor) -> None:
    done: list[str] = []
    children: Any = [Noted(name, done) for name in ("postgres", "valkey", "seaweedfs", "worker", "api")]
    made.children.extend(children)
    for name in ("pids.json", health.RECORD, "lock"):
        (made.state.run / name).touch()
    made.stop()
    asked = ["ask worker", "ask api"]
    assert done == [*asked, *(f"stop {name}" for name in ("api", "worker", "seaweedfs", "valkey", "postgres"))]
    assert (made.children, made.stopping, left(made.root)) == ([], True, ["lock"])


def test_one_of_whom_nobody_would_know_is_not_left_running(made: Supervisor, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Child] = []

    def start(*what: Any) -> Child:
        started.append(Child(*what))
        return started[-1]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(supervisor, "Child", start)
    monkeypatch.setattr(supervisor, "write_private", full)
    with pytest.raises(OSError, match="No space left"):
        made._launch(program("one"))
    assert ([item.alive for item in started], made.children) == ([False], [])


def test_what_a_dead_one_has_left_behind_ends_with_it(made: Supervisor, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"import subprocess; open({str(pids)!r}, 'a').write(str(subprocess.Popen(['sleep', '600']).pid) + '\\n')"
    made._launch(program("leaves", code))
    dead = made.children[0]
    until(lambda: not dead.alive)
    orphan = int(pids.read_text().split()[0])
    assert child.start_time(orphan) is not None
    made._revive(dead)
    until(lambda: child.start_time(orphan) is None)


def test_one_that_cannot_be_started_now_is_tried_again_five_seconds_later(
    made: Supervisor, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock, tried = [1000.0], []

    def launch(_: Program) -> None:
        tried.append(clock[0])
        raise OSError(28, "No space left on device")

    made._launch(program("one", "pass"))
    dead = made.children[0]
    dead.wait(30)
    dead.started_at = 900.0
    monkeypatch.setattr(made, "_launch", launch)
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", lambda: clock[0])
        for now in (1000.0, 1004.5, 1005.0, 1009.5, 1010.0):
            clock[0] = now
            made._revive(dead)
    assert (tried, made.children) == ([1000.0, 1005.0, 1010.0], [dead])
    err = capsys.readouterr().err
    assert re.match(r"\d\d:\d\d:\d\d one ended with code 0 after 100 s; starting it again\n", err)
    assert err.count("one cannot be started now: [Errno 28] No space left on device\n") == 3


def test_what_was_seen_is_written_down_with_how_often_each_was_started_again(
    made: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    made._launch(program("one", "pass"))
    made.children[0].wait(30)
    made.children[0].started_at -= 100.0
    made._revive(made.children[0])
    made._write_down()
    (found,) = state.read_json(made.state.run / health.RECORD)["processes"]
    assert (found["name"], found["restarts"], found["pid"]) == ("one", 1, made.children[0].pid)
    (made.state.run / health.RECORD).unlink()
    # Not each time that somebody looks.
    made._write_down()
    assert not (made.state.run / health.RECORD).exists()


def test_of_a_log_its_last_lines_are_told_as_far_as_they_are_read(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    assert supervisor.tail(log) == ""
    log.write_text("".join(f"{number} {'x' * 400}\n" for number in range(20)))
    assert supervisor.tail(log).splitlines() == [f"{number} {'x' * 400}"[:300] for number in range(5, 20)]
    assert supervisor.LOG_BYTES == 52_428_800


def test_on_a_terminal_a_step_is_said_when_it_begins_and_again_in_its_place(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    with supervisor._step("tables migrated"):
        assert capsys.readouterr().out == "  … tables migrated"
    assert re.fullmatch(r"\r  ✓ tables migrated {16}\d\.\d s\n", capsys.readouterr().out)
