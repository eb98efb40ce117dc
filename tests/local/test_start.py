"""The pieces of a start, one by one: what is refused before anything runs, what is said, and who is waited for."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import alive
from local import checkout, child, commands, health, state, supervisor
from local.child import Program
from local.supervisor import StartFailed, Supervisor
from tests.conftest import until

FOREIGN = {"DATABASE_URL": "postgresql://a:p@h/d"}
TLS = {"COATCHECK_TLS_CERTIFICATE": __file__, "COATCHECK_TLS_KEY": __file__}
WRONG = [
    ({"COATCHECK_LEASE_S": "soon"}, "COATCHECK_LEASE_S"),
    ({"COATCHECK_NOSUCH": "1"}, "There is no setting COATCHECK_NOSUCH"),
    ({"COATCHECK_REDIS_URL": "redis://h:1/0"}, "There is no setting COATCHECK_REDIS_URL; did you mean REDIS_URL?"),
    ({"DATABASE_URL": "garbage"}, "DATABASE_URL: must begin with postgresql://"),
    ({**FOREIGN, "DATABASE_OWNER_URL": "garbage"}, "DATABASE_OWNER_URL"),
    (TLS, "COATCHECK_TLS_CERTIFICATE is for `coatcheck proxy`"),
    ({**TLS, "COATCHECK_TLS_KEY": ""}, "go together"),
]


@pytest.mark.usefixtures("own_environ", "signals")
@pytest.mark.parametrize(("env", "said"), WRONG, ids=[said for _, said in WRONG])
def test_what_is_set_wrongly_is_said_before_anything_is_started(
    tmp_path: Path, env: dict[str, str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Supervisor(tmp_path, env)
    of_an_earlier_start = made.state.run / health.RECORD
    of_an_earlier_start.write_text("[]")
    (made.state.run / "ready").write_text("1")
    with pytest.raises(StartFailed, match=re.escape(said)):
        commands._start(made)
    assert (made.children, (made.state.run / "pids.json").exists()) == ([], False)
    assert capsys.readouterr().out.startswith("Coatcheck is starting\n")
    # Who looks meanwhile finds us, and with which code.
    assert json.loads((made.state.run / commands.RECORD).read_text()) == {
        "pid": os.getpid(), "born": child.start_time(os.getpid()), "code": checkout.digest(tmp_path),
        "stop_s": 60.0,
    }  # fmt: skip
    assert not (made.state.run / "ready").exists()
    assert not of_an_earlier_start.exists()
    for number in (signal.SIGINT, signal.SIGTERM):
        made.stopping = False
        signal.raise_signal(number)
        assert made.stopping


def test_a_step_says_how_long_it_took(capsys: pytest.CaptureFixture[str]) -> None:
    with supervisor._step("tables migrated"):
        assert capsys.readouterr().out == ""
    assert re.fullmatch(r"  ✓ tables migrated {16}\d\.\d s\n", capsys.readouterr().out)


def test_of_two_supervisors_one_has_the_lock_for_as_long_as_it_lives(tmp_path: Path) -> None:
    first = commands._lock(tmp_path / "lock")
    assert first is not None
    assert commands._lock(tmp_path / "lock") is None
    first.close()
    again = commands._lock(tmp_path / "lock")
    assert again is not None
    again.close()


def test_keys_are_remembered_for_each_database_and_ours_is_the_same_under_both_its_names(tmp_path: Path) -> None:
    made = state.load(tmp_path / ".coatcheck")
    own, foreign = made.urls({})["DATABASE_URL"], "postgresql://a:p@h/d"
    made.keys_for(made.superuser_url)["api"] = "ours"
    made.keys_for(foreign)["api"] = "theirs"
    made.save()
    for found in (made, state.load(tmp_path / ".coatcheck")):
        kept = [found.keys_for(url) for url in (own, found.superuser_url, foreign, f"{foreign}2")]
        assert kept == [{"api": "ours"}, {"api": "ours"}, {"api": "theirs"}, {}]


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path, {})
    yield found
    found.stop()


def program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ), grace_s=1)


#: A proxy before an API that says this of itself.
DOOR = """
import http.server
class Says(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write({said!r})
http.server.ThreadingHTTPServer(("127.0.0.1", {port}), Says).serve_forever()
"""
DIES = "raise SystemExit(7)"
LIVES = "import time; time.sleep(600)"


@pytest.mark.parametrize("name", ["proxy", "api", "flower"])
def test_who_ends_before_it_is_ready_is_named_with_its_log_and_nobody_else_is_waited_for(
    made: Supervisor, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(alive, "START_S", 20.0)
    workers = {} if name == "api" else {pool: {"workers": 1} for pool in ("cpu", "explain", "webhooks", "sweep")}
    said = json.dumps({"pools": workers, "problems": []}).encode()
    codes = {"proxy": DOOR.format(said=said, port=made.state.ports["api"]), "api": LIVES, "flower": LIVES}
    for who, code in {**codes, name: DIES}.items():
        made._launch(program(who, code))
    log = re.escape(str(made.state.logs / f"{name}.log"))
    with pytest.raises(StartFailed, match=f"^{name} ended with code 7, see {log}\n"):
        made._until_all_answer()


def test_who_is_not_ready_in_time_is_named_and_a_stop_is_heard_meanwhile(
    made: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alive, "START_S", 0.2)
    made._launch(program("one", "print('so far', flush=True); import time; time.sleep(600)"))
    until(lambda: "so far" in (made.state.logs / "one.log").read_text())
    with pytest.raises(StartFailed, match=r"^one was not ready after 0 s, see .*one\.log\nso far"):
        made._until(lambda: False, "one")
    made.ask_to_stop()
    with pytest.raises(StartFailed, match=r"^stopped while starting$"):
        made._until(lambda: False, "one")
    made._until(lambda: True, "one")


#: Stands where the supervisor of a checkout would, and is ready when it is let.
UP = """
import os, pathlib, sys, time
print("Coatcheck is starting", sys.argv[1:], os.getsid(0) == os.getpid(), os.environ.get("MARK"), flush=True)
while not pathlib.Path("go").exists():
    time.sleep(0.02)
if pathlib.Path("go").read_text():
    sys.exit(int(pathlib.Path("go").read_text()))
pathlib.Path(".coatcheck/run/ready").write_text(str(os.getpid()))
time.sleep(600)
"""


@pytest.mark.filterwarnings(r"ignore:subprocess \d+ is still running:ResourceWarning")
@pytest.mark.parametrize("code", ["", "5"])
def test_up_in_the_background_waits_for_its_own_supervisor_and_gives_its_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], code: str
) -> None:
    folder = tmp_path / ".coatcheck"
    (folder / "run").mkdir(parents=True)
    # Of one that was killed.
    (folder / "run" / "ready").write_text("1")
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__init__.py").touch()
    (tmp_path / "cli" / "main.py").write_text(UP)
    found: list[int] = []
    up = threading.Thread(target=lambda: found.append(commands._background(tmp_path, {"MARK": "x"})))
    up.start()
    said: list[str] = []

    def begun() -> bool:
        said.append(capfd.readouterr().out)
        return "Coatcheck is starting" in "".join(said) or not up.is_alive()

    try:
        until(begun)
        up.join(0.3)
        assert up.is_alive(), "the file of an earlier one was believed"
    finally:
        # At once with what is in it.
        (tmp_path / "code").write_text(code)
        (tmp_path / "code").rename(tmp_path / "go")
        up.join(30)
    told = "".join(said) + capfd.readouterr().out
    # In a session of its own, which no Ctrl-C in this one ends.
    assert told.startswith("Coatcheck is starting ['up', '--quiet'] True x\n")
    if code:
        assert (found, sorted(path.name for path in folder.iterdir())) == ([5], ["run"])
        return
    os.kill(int((folder / "run" / "ready").read_text()), signal.SIGKILL)
    assert (found, sorted(path.name for path in folder.iterdir())) == ([0], ["run", "up.log"])
    assert told.endswith("Running in the background. Stop with: ./run down\n")
    assert (folder / "up.log").stat().st_mode & 0o777 == 0o600


def test_who_stops_waiting_stops_what_is_being_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__init__.py").touch()
    (tmp_path / "cli" / "main.py").write_text(UP)
    started: list[int] = []

    def awaited(process: subprocess.Popen[bytes], log: Path, ready: Path) -> bool:
        until(lambda: "Coatcheck is starting" in log.read_text())
        started.append(process.pid)
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "_awaited", awaited)
    with pytest.raises(KeyboardInterrupt):
        commands._background(tmp_path, {})
    assert [child.start_time(pid) for pid in started] == [None]
    assert list((tmp_path / ".coatcheck").iterdir()) == []
