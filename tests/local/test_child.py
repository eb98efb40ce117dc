"""A child process: what it is given, how it is ended, and that nothing of it is left."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from local import child, leftovers, state
from local.child import Child, Program
from tests.conftest import until

Start = Callable[..., Child]
FOR_EVER = "print('there', flush=True); import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {FOR_EVER}"
#: With a child in a session of its own, as Postgres's are.
PARENT = f"import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True); {STUBBORN}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Child] = []

    def run(code: str, **more: object) -> Child:
        program = Program("one", (sys.executable, "-c", code), {"PATH": os.environ["PATH"]}, grace_s=20)
        changed = dataclasses.replace(program, **more)  # type: ignore[arg-type]
        started.append(Child(changed, tmp_path / "one.log", tmp_path))
        return started[-1]

    yield run
    for item in started:
        item.kill()


def there(tmp_path: Path) -> None:
    until(lambda: "there" in (tmp_path / "one.log").read_text())


def test_it_has_its_own_environment_folder_and_session_no_input_and_its_output_in_its_log(
    tmp_path: Path, start: Start
) -> None:
    (tmp_path / "one.log").write_text("before\n")
    (tmp_path / "cwd").mkdir()
    code = "import os, sys, json; said = [dict(os.environ), os.getcwd(), os.getsid(0), sys.stdin.read()]; "
    code += "print(json.dumps(said), flush=True); print('fault', file=sys.stderr); sys.exit(7)"
    for cwd in (None, tmp_path / "cwd"):
        made = start(code, env={"A": "b", "LC_CTYPE": "C.UTF-8"}, cwd=cwd)
        assert (made.wait(60), made.exit_code, made.alive) == (7, 7, False)
        *before, said, fault = (tmp_path / "one.log").read_text().splitlines()
        assert (before[0], fault) == ("before", "fault")
        assert json.loads(said) == [{"A": "b", "LC_CTYPE": "C.UTF-8"}, str(cwd or tmp_path), made.pid, ""]


def test_it_is_asked_by_its_own_signal_and_a_stubborn_one_is_killed_after_its_grace(
    tmp_path: Path, start: Start
) -> None:
    asked = start(f"import signal; signal.signal(signal.SIGINT, lambda *_: exit(5)); {FOR_EVER}", stop=signal.SIGINT)
    there(tmp_path)
    assert asked.alive
    assert asked.exit_code is None
    asked.stop()
    assert (asked.exit_code, asked.alive) == (5, False)
    asked.stop()
    (tmp_path / "one.log").unlink()
    stubborn = start(STUBBORN, grace_s=0.3)
    there(tmp_path)
    began = time.monotonic()
    stubborn.stop()
    assert (stubborn.exit_code, time.monotonic() - began >= 0.3) == (-signal.SIGKILL, True)


@pytest.mark.parametrize("how", [Child.stop, Child.kill])
def test_with_it_goes_all_that_came_of_it_though_it_made_a_session_of_its_own(
    tmp_path: Path, start: Start, how: Callable[[Child], None]
) -> None:
    made = start(PARENT, grace_s=0.1)
    there(tmp_path)
    until(lambda: len(child.tree(made.pid)) == 2)
    first, second = child.tree(made.pid)
    assert (first, os.getsid(second) != made.pid) == (made.pid, True)
    how(made)
    until(lambda: child.start_time(second) is None)
    assert child.tree(made.pid) == [made.pid]


def test_what_a_killed_one_leaves_elsewhere_is_removed_where_it_is_ours(tmp_path: Path, start: Start) -> None:
    ours, gone = tmp_path / "x.sock", tmp_path / "gone.sock"
    ours.touch()
    made = start(FOR_EVER, leftovers=(gone, ours), stop=signal.SIGKILL)
    made.stop()
    assert not ours.exists()


def test_it_does_not_outlive_who_started_it(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from local.child import Child, Program; at = Path(sys.argv[1]); "
        "made = Child(Program('one', ('sleep', '600'), {'PATH': '/bin:/usr/bin'}), at / 'log', at); "
        "print(made.pid, flush=True); sys.stdin.read()"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    born = child.start_time(pid)
    assert born is not None
    parent.kill()
    parent.communicate()
    until(lambda: child.start_time(pid) != born)


def test_a_process_is_told_from_a_later_one_by_when_it_began(start: Start) -> None:
    made = start("pass")
    until(lambda: not made.alive)
    assert child.start_time(made.pid) is None
    assert child.start_time(os.getpid()) == child.start_time(os.getpid()) is not None
    assert child.start_time(2**22 + 1) is None
    assert not child.is_stopped(2**22 + 1)
    born_s = int(child.start_time(start(FOR_EVER).pid) or 0) / os.sysconf("SC_CLK_TCK")
    assert abs(time.clock_gettime(time.CLOCK_BOOTTIME) - born_s) < 60


def test_only_who_listens_on_a_port_of_this_machine_listens_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("127.0.0.2", 0)) as elsewhere:
        port = ours.getsockname()[1]
        assert child.listens(os.getpid(), port)
        assert not child.listens(os.getppid(), port)
        assert not child.listens(os.getpid(), elsewhere.getsockname()[1])
        assert not child.listens(2**22 + 1, port)
        with socket.create_connection(("127.0.0.1", port)) as client:
            # Connected is not listening.
            assert not child.listens(os.getpid(), client.getsockname()[1])
    assert not child.listens(os.getpid(), port)


#: Listens where nobody else does, so that the kernel lists it first.
ALONE = """
import ctypes, fcntl, socket, struct, time
if ctypes.CDLL(None).unshare(0x50000000):  # its own users and network
    raise SystemExit(77)
with socket.socket() as any_:
    fcntl.ioctl(any_, 0x8914, struct.pack("16sh22x", b"lo", 1))  # SIOCSIFFLAGS: it is up
door = socket.create_server(("127.0.0.1", 8000))
print("there", flush=True)
time.sleep(600)
"""


def test_the_only_one_on_a_machine_that_listens_is_seen(tmp_path: Path, start: Start) -> None:
    made = start(ALONE)
    until(lambda: "there" in (tmp_path / "one.log").read_text() or not made.alive)
    if made.exit_code == 77:
        pytest.skip("no namespaces here")
    assert child.listens(made.pid, 8000)
    assert not child.listens(made.pid, 8001)


def test_what_a_killed_supervisor_left_is_ended_and_nobody_else(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = state.load(tmp_path / ".coatcheck")
    leftovers.clear(made)
    left, other = start(FOR_EVER), start(FOR_EVER)
    listed = [
        {"name": "left", "pid": left.pid, "born": child.start_time(left.pid)},
        {"name": "other", "pid": other.pid, "born": "another time"},
        {"name": "gone", "pid": 2**22 + 1, "born": "another time"},
    ]
    record = made.run / "pids.json"
    state.write_private(record, json.dumps(listed))
    # It would wait for ten seconds whether it goes by itself.
    clock = iter(range(0, 10_000, 6))
    monkeypatch.setattr(leftovers, "time", SimpleNamespace(monotonic=lambda: next(clock), sleep=time.sleep))
    leftovers.clear(made)
    monkeypatch.undo()
    assert capsys.readouterr().out == f"  ending left ({left.pid}), left from before\n"
    assert left.wait(30) == -signal.SIGKILL
    assert (other.alive, record.exists()) == (True, False)
