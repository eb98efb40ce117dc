"""What the supervisor does with processes that die, fall silent or write too much; they are any, not the platform's."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local import platform_processes, supervisor
from local.child import Program, start_time, tree
from local.supervisor import StartFailed, Supervisor
from local.vigil import Vigil
from tests.cli.conftest import serving
from tests.conftest import until


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Supervisor]:
    found = Supervisor(tmp_path, {})
    yield found
    found.stop()


@pytest.fixture
def watched(made: Supervisor) -> Iterator[Callable[..., None]]:
    threads: list[threading.Thread] = []

    def watch() -> None:
        threads.append(threading.Thread(target=made.watch))
        threads[0].start()

    yield watch
    made.ask_to_stop()
    for thread in threads:
        thread.join(30)


def program(name: str, code: str) -> Program:
    return Program(name, (sys.executable, "-c", code), dict(os.environ), grace_s=1)


def pid(made: Supervisor, name: str) -> int:
    """Of the one that is alive, else 0."""
    return next((item.pid for item in list(made.children) if item.program.name == name and item.alive), 0)


FOR_EVER = "import time; time.sleep(600)"
LISTENS = "import socket, time; door = socket.create_server(('127.0.0.1', {port})); time.sleep(600)"


def test_no_key_is_sent_to_whoever_listens_where_our_proxy_should(made: Supervisor) -> None:
    port = made.state.ports["api"]
    with socket.create_server(("127.0.0.1", port)):
        made._launch(program("proxy", FOR_EVER))
        assert not made._listens("proxy", "api")
        made._launch(program("proxy", LISTENS.format(port=port)))
        with pytest.raises(StartFailed, match=r"proxy ended with code 1, see .*\n(.*\n)*.*Address already in use"):
            made._until(lambda: made._listens("proxy", "api"), "proxy")
    made._launch(program("proxy", LISTENS.format(port=port)))
    until(lambda: made._listens("proxy", "api"))


@pytest.mark.parametrize("said", ["[]", "{}", "no", '{"pools": [], "problems": []}', '{"pools": {}, "problems": 5}'])
def test_whoever_else_answers_for_the_api_is_not_taken_for_it(said: str) -> None:
    with serving(lambda _: (200, {}, said.encode())) as (url, _):
        assert platform_processes.readiness(url) is None
        assert not platform_processes.all_there(url)


def test_one_that_dies_again_and_again_keeps_no_other_waiting(
    made: Supervisor, watched: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deaths = tmp_path / "deaths"
    made._launch(program("dying", f"open({str(deaths)!r}, 'a').write('x')"))
    made._launch(program("other", FOR_EVER))
    watched()
    # From now on it waits for longer than that.
    until(lambda: deaths.exists() and len(deaths.read_text()) >= 2)
    monkeypatch.setattr("local.supervisor.LONGEST_PAUSE_S", 600.0)
    made._pauses["dying"] = 300.0
    until(lambda: made._pauses["dying"] == 600.0)
    first = pid(made, "other")
    os.kill(first, 9)
    until(lambda: pid(made, "other") not in (0, first))


def test_one_that_cannot_be_started_now_is_started_later_and_the_rest_goes_on(
    made: Supervisor, watched: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    made._launch(program("one", FOR_EVER))
    made._launch(program("other", FOR_EVER))
    # What a full disk is: its log cannot be opened.
    log = made.state.logs / "one.log"
    log.unlink()
    log.mkdir()
    watched()
    os.kill(pid(made, "one"), 9)
    said: list[str] = []

    def has_said_so() -> bool:
        said.append(capfd.readouterr().err)
        return "one cannot be started now" in "".join(said)

    until(has_said_so)
    assert pid(made, "other")
    log.rmdir()
    until(lambda: pid(made, "one"))


def test_a_log_has_an_end_and_what_was_before_is_beside_it(
    made: Supervisor, watched: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOG_BYTES", 20_000)
    made._launch(program("loud", "import time\nwhile True: print('x' * 99, flush=True); time.sleep(0.001)"))
    watched()
    log = made.state.logs / "loud.log"
    until(log.with_suffix(".log.1").exists)
    until(lambda: 0 < log.stat().st_size < 15_000)
    # It goes on at the beginning, with no hole before.
    assert b"\0" not in log.read_bytes()
    assert pid(made, "loud")


def test_one_whose_main_process_is_stopped_is_started_again_though_its_children_go_on(
    made: Supervisor, watched: Callable[..., None]
) -> None:
    made._vigil = Vigil(ask_every_s=0.1, stopped_s=1)
    made._launch(program("parent", "import subprocess; subprocess.Popen(['sleep', '600']).wait()"))
    made._launch(program("other", FOR_EVER))
    first, other = pid(made, "parent"), pid(made, "other")
    until(lambda: len(tree(first)) == 2)
    children = tree(first)[1:]
    watched()
    os.kill(first, signal.SIGSTOP)
    until(lambda: pid(made, "parent") not in (0, first))
    until(lambda: not any(map(start_time, children)))
    assert pid(made, "other") == other
