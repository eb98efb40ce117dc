from __future__ import annotations

import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from core import alive
from local import health
from local.child import Child, Program, is_stopped
from local.health import Health
from local.vigil import Vigil
from tests.conftest import until

#: One that has a child of its own, as a worker has.
PARENT = "import subprocess, sys; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']).wait()"
Start = Callable[..., Child]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Child] = []

    def run(name: str = "one", code: str = "import time; time.sleep(60)", answers: bool | None = None) -> Child:
        says = None if answers is None else lambda: answers
        program = Program(name, (sys.executable, "-c", code), dict(os.environ), grace_s=1, answers=says)
        started.append(Child(program, tmp_path / "one.log", tmp_path))
        return started[-1]

    yield run
    for item in started:
        item.kill()


@pytest.fixture
def vigil() -> Iterator[Vigil]:
    made = Vigil(ask_every_s=0.05, silent_s=60, start_s=60)
    yield made
    made.close()


def look(run: Path) -> dict[str, Health]:
    return {item.name: item for item in health.look(run, os.getpid(), 0.0)}


def children_of(pid: int) -> list[int]:
    return [int(found) for found in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("whom", ["itself", "its child"])
def test_what_is_stopped_is_frozen_at_once_and_what_goes_on_runs(
    tmp_path: Path, start: Start, vigil: Vigil, whom: str
) -> None:
    one, other = start("one", PARENT), start("other")
    until(lambda: children_of(one.pid))
    health.write(tmp_path, [one, other], vigil, {})
    assert {item.state for item in look(tmp_path).values()} == {"running"}
    pid = one.pid if whom == "itself" else children_of(one.pid)[0]
    os.kill(pid, signal.SIGSTOP)
    until(lambda: is_stopped(pid))
    found = look(tmp_path)
    assert (found["one"].state, found["other"].state) == ("frozen", "running")
    os.kill(pid, signal.SIGCONT)
    until(lambda: look(tmp_path)["one"].state == "running")


def test_a_dead_one_is_dead_and_one_that_was_started_again_says_how_often(
    tmp_path: Path, start: Start, vigil: Vigil
) -> None:
    dead, again = start("dead", "pass"), start("again")
    dead.wait(30)
    health.write(tmp_path, [dead, again], vigil, {"again": 2})
    found = look(tmp_path)
    assert (found["dead"].state, found["again"].state) == ("dead", "running")
    assert (found["dead"].restarts, found["again"].restarts) == (0, 2)
    assert [abs(item.since - time.time()) < 60 for item in (found["dead"], found["again"])] == [True, True]
    assert "started again 2 times" in str(found["again"])
    again.kill()
    assert look(tmp_path)["again"].state == "dead"


def test_one_that_gives_no_answer_is_starting_at_first_and_then_frozen(
    tmp_path: Path, start: Start, vigil: Vigil
) -> None:
    mute, answers = start("mute", answers=False), start("answers", answers=True)
    until(lambda: vigil.silent([mute, answers]) or vigil.heard(answers))
    health.write(tmp_path, [mute, answers], vigil, {})
    assert (look(tmp_path)["mute"].state, look(tmp_path)["answers"].state) == ("starting", "running")
    later(tmp_path, "started_at", alive.START_S + 1)
    assert look(tmp_path)["mute"].state == "frozen"
    later(tmp_path, "heard_at", health.LATE_S + 1)
    assert look(tmp_path)["answers"].state == "frozen"


def later(run: Path, what: str, seconds: float) -> None:
    """As if it had been so much earlier."""
    record = run / health.RECORD
    seen = json.loads(record.read_text())
    for item in seen["processes"]:
        item[what] = item[what] and item[what] - seconds
    record.write_text(json.dumps(seen))


@pytest.mark.parametrize("late", ["worker.alive", "worker.alive.{pid}"])
def test_a_worker_is_frozen_when_its_file_or_a_childs_grows_old(
    tmp_path: Path, start: Start, vigil: Vigil, late: str
) -> None:
    worker = start("worker", answers=True)
    health.write(tmp_path, [worker], vigil, {})
    for name in ("worker.alive", f"worker.alive.{worker.pid}", "worker.alive.999999999"):
        alive.beat(str(tmp_path / name))
    later(tmp_path, "started_at", 1000)
    assert look(tmp_path)["worker"].state == "running"
    late_s = health.LATE_S + 5
    at = time.monotonic() - late_s
    os.utime(tmp_path / "worker.alive.999999999", (1, 1))
    assert look(tmp_path)["worker"].state == "running"
    os.utime(tmp_path / late.format(pid=worker.pid), (at, at))
    found = look(tmp_path)["worker"]
    assert found.state == "frozen"
    assert found.since == pytest.approx(time.time() - late_s, abs=60)


def test_a_file_of_an_earlier_one_says_nothing_of_one_that_starts(tmp_path: Path, start: Start, vigil: Vigil) -> None:
    file = tmp_path / "worker.alive"
    alive.beat(str(file))
    at = time.monotonic() - health.LATE_S - 5
    os.utime(file, (at, at))
    health.write(tmp_path, [start("worker", answers=True)], vigil, {})
    assert look(tmp_path)["worker"].state == "starting"
    assert (health.LATE_S, alive.START_S) == (15.0, 300.0)


def test_when_each_was_heard_of_is_a_time_of_this_machine(tmp_path: Path, start: Start, vigil: Vigil) -> None:
    one = start("one", answers=True)
    until(lambda: vigil.silent([one]) or vigil.heard(one))
    one.started_at -= 1000.0
    health.write(tmp_path, [one], vigil, {})
    record = json.loads((tmp_path / health.RECORD).read_text())
    (seen,) = record["processes"]
    assert abs(record["at"] - time.time()) < 60
    assert 1000 <= record["at"] - seen["started_at"] < 1060
    assert abs(record["at"] - seen["heard_at"]) < 60


def test_a_supervisor_that_stands_still_is_frozen_at_once(tmp_path: Path, start: Start, vigil: Vigil) -> None:
    health.write(tmp_path, [], vigil, {})
    one = start("supervisor")
    assert health.look(tmp_path, one.pid, 5.0) == [Health("supervisor", one.pid, "running", 5.0)]
    os.kill(one.pid, signal.SIGSTOP)
    until(lambda: is_stopped(one.pid))
    (found,) = health.look(tmp_path, one.pid, 5.0)
    assert (found.state, found.since > 5.0) == ("frozen", True)


def test_a_supervisor_that_writes_nothing_down_any_more_is_frozen(tmp_path: Path, vigil: Vigil) -> None:
    health.write(tmp_path, [], vigil, {})
    assert look(tmp_path)["supervisor"].state == "running"
    record = tmp_path / health.RECORD
    record.write_text(json.dumps({"at": time.time() - 60, "processes": []}))
    assert look(tmp_path)["supervisor"].state == "frozen"


@pytest.mark.parametrize(
    ("state", "restarts", "well"),
    [("running", 0, True), ("running", 1, True), ("starting", 0, True), ("starting", 1, False),
     ("frozen", 0, False), ("frozen", 1, False), ("dead", 0, False), ("dead", 1, False)],
)  # fmt: skip
def test_what_runs_and_what_starts_for_the_first_time_is_well(state: str, restarts: int, well: bool) -> None:
    assert Health("one", 1, state, 0.0, restarts).well == well


@pytest.mark.parametrize(
    ("ago_s", "told"),
    [(0, "0 s"), (119, "119 s"), (121, "2 min"), (7100, "118 min"), (7300, "2 h"), (90_000, "25 h")],
)
@pytest.mark.parametrize(("restarts", "again"), [(0, ""), (1, "  started again once"), (2, "  started again 2 times")])
def test_a_line_of_status_says_since_when_and_how_often(ago_s: int, told: str, restarts: int, again: str) -> None:
    since = time.time() - ago_s
    at = time.strftime("%H:%M:%S", time.localtime(since))
    line = str(Health("worker", 4711, "running", since, restarts))
    seconds = re.compile(r"\((\d+) s\)")
    assert line.startswith("worker     running  4711     since ")
    if (said := seconds.search(line)) and told.endswith(" s"):
        # A second may have gone by.
        assert 0 <= int(said[1]) - ago_s <= 1
        line = seconds.sub(f"({told})", line)
    assert line == f"worker     running  4711     since {at} ({told}){again}"
