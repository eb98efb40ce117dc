from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import click
import pytest

from cli import serve
from core import alive
from local.child import Child, Program, is_stopped, start_time, tree
from local.vigil import Vigil
from tests.conftest import until

#: Answers over a Unix socket, one caller after the other.
SERVER = """
import http.server, socketserver
class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def address_string(self):
        return "-"
class Server(socketserver.UnixStreamServer):
    def get_request(self):
        return super().get_request()[0], ("-", 0)
Server("x.sock", Answers).serve_forever()
"""

#: Says of everybody that they have shown no password.
REDIS = """
import socketserver
class Refuses(socketserver.StreamRequestHandler):
    def handle(self):
        self.rfile.readline()
        self.wfile.write(b"-NOAUTH Authentication required.\\r\\n")
socketserver.TCPServer.allow_reuse_address = True
socketserver.TCPServer(("127.0.0.1", {port}), Refuses).serve_forever()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    started: list[Child] = []

    def run(code: str, answers: Callable[[], bool] | None) -> Child:
        program = Program("one", (sys.executable, "-c", code), dict(os.environ), grace_s=1, answers=answers)
        started.append(Child(program, tmp_path / "one.log", tmp_path))
        return started[-1]

    yield run
    for item in started:
        item.kill()


@pytest.fixture
def vigil() -> Iterator[Vigil]:
    made = Vigil(ask_every_s=0.1, silent_s=5, start_s=5)
    yield made
    made.close()


def test_who_answers_is_left_alone_and_who_hangs_is_named_though_it_is_alive(
    tmp_path: Path, start: Callable[..., Child], vigil: Vigil
) -> None:
    child = start(SERVER, lambda: alive.asked(tmp_path, "x.sock", "/"))
    until(lambda: alive.asked(tmp_path, "x.sock", "/"))
    ends_at = time.monotonic() + 7
    while time.monotonic() < ends_at:
        assert vigil.silent([child]) == []
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGSTOP)
    until(lambda: vigil.silent([child]) == [child])
    assert child.alive
    os.kill(child.pid, signal.SIGCONT)
    until(lambda: vigil.silent([child]) == [])


def test_who_starts_has_longer_for_its_first_answer_than_for_any_later_one(start: Callable[..., Child]) -> None:
    says = [False]
    child = start("import time; time.sleep(600)", lambda: says[0])
    patient, other = Vigil(ask_every_s=0.1, silent_s=1, start_s=600), Vigil(ask_every_s=0.1, silent_s=600, start_s=1)
    try:
        assert until(lambda: list(other.unwell([child]))) == [(child, "has not answered for 1 s")]
        ends_at = time.monotonic() + 2
        while time.monotonic() < ends_at:
            assert list(patient.unwell([child])) == []
            time.sleep(0.05)
        says[0] = True
        until(lambda: patient.silent([child]) or patient.heard(child) is not None)
        says[0] = False
        assert until(lambda: list(patient.unwell([child]))) == [(child, "has not answered for 1 s")]
    finally:
        patient.close()
        other.close()


def test_one_that_hangs_holds_up_no_other(tmp_path: Path, start: Callable[..., Child], vigil: Vigil) -> None:
    def slowly() -> bool:
        time.sleep(20)
        return False

    slow, quick = start("import time; time.sleep(60)", slowly), start("import time; time.sleep(60)", lambda: True)
    began = time.monotonic()
    vigil.silent([slow, quick])
    assert time.monotonic() - began < 10
    until(lambda: vigil.silent([slow, quick]) == [slow])


def test_the_end_does_not_wait_for_one_that_hangs(start: Callable[..., Child], vigil: Vigil) -> None:
    asked, end, answered = threading.Event(), threading.Event(), threading.Event()

    def slowly() -> bool:
        asked.set()
        end.wait(20)
        answered.set()
        return False

    vigil.silent([start("import time; time.sleep(60)", slowly)])
    asked.wait(20)
    vigil.close()
    assert not answered.is_set()
    end.set()


def test_what_cannot_be_asked_and_what_is_dead_are_not_called_silent(start: Callable[..., Child], vigil: Vigil) -> None:
    dumb, dead = start("import time; time.sleep(60)", None), start("pass", lambda: False)
    dead.wait(30)
    time.sleep(6)
    assert vigil.silent([dumb, dead]) == []


def test_a_socket_in_a_folder_too_deep_for_its_address_is_asked_all_the_same(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    here = Path.cwd()
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(deep)
        try:
            server.bind("y.sock")
        finally:
            os.chdir(here)
        assert not alive.asked(deep, "y.sock", "/")  # nobody listens
        server.listen()
        server.settimeout(20)

        def answer() -> None:
            connection, _ = server.accept()
            connection.recv(1000)
            connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
            connection.close()

        thread = threading.Thread(target=answer)
        thread.start()
        assert alive.asked(deep, "y.sock", "/")  # 503 is an answer
        thread.join(20)


def test_a_file_that_nobody_touches_any_more_is_of_a_process_that_hangs(tmp_path: Path) -> None:
    file = tmp_path / "alive"
    assert not alive.beats(file)
    alive.beat(str(file))
    assert alive.beats(file)
    old = time.monotonic() - alive.STALE_S - 1
    os.utime(file, (old, old))
    assert not alive.beats(file)


def test_a_file_from_before_a_reboot_is_of_nobody_and_the_wall_clock_says_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "alive"
    alive.beat(str(file))
    an_hour_ago = time.time() - 3600
    monkeypatch.setattr(time, "time", lambda: an_hour_ago)
    assert alive.beats(file)
    monkeypatch.setattr(time, "time", lambda: an_hour_ago + 7200)
    assert alive.beats(file)
    to_come = time.monotonic() + 1000
    os.utime(file, (to_come, to_come))
    assert not alive.beats(file)


def test_who_stands_still_is_blamed_only_while_redis_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start: Callable[..., Child]
) -> None:
    """What a container's health check does, up to the look at which it would end the process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(alive, "ASK_S", 2.0)
    file, record = tmp_path / "alive", tmp_path / "coatcheck-silent"
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        url = f"redis://:secret@127.0.0.1:{port}/0"
        assert alive.main(str(file), url) == 0  # takes connections, and says nothing
    assert alive.main(str(file), url) == 0  # is gone
    assert record.read_text() == "0"
    start(REDIS.format(port=port), None)
    until(lambda: alive.redis_there(url))
    assert [alive.main(str(file), url) for _ in range(2)] == [1, 1]
    assert record.read_text() == "2"
    alive.beat(str(file))
    assert alive.main(str(file), url) == 0
    assert record.read_text() == "0"


def test_who_is_killed_takes_along_what_made_a_session_of_its_own(tmp_path: Path, start: Callable[..., Child]) -> None:
    code = "import subprocess, time; subprocess.Popen(['sleep', '60'], start_new_session=True); time.sleep(60)"
    child = start(code, None)
    listed = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    until(lambda: listed.read_text().split())
    grandchild = listed.read_text().split()[0]
    os.kill(int(grandchild), signal.SIGSTOP)
    child.kill()
    until(lambda: start_time(int(grandchild)) is None)


def test_what_is_no_socket_is_not_removed_to_serve_there(tmp_path: Path) -> None:
    file = tmp_path / "kept"
    file.write_text("mine")
    with pytest.raises(click.ClickException, match="is no socket"):
        serve._make_room(file)
    assert file.read_text() == "mine"


@pytest.mark.parametrize("whom", ["the first process", "one that came of it"])
def test_who_answers_though_a_part_of_it_is_stopped_is_named_after_a_while_and_nobody_else(
    start: Callable[..., Child], whom: str
) -> None:
    parent = "import subprocess; subprocess.Popen(['sleep', '600']).wait()"
    one, other = start(parent, lambda: True), start(parent, None)
    until(lambda: len(tree(one.pid)) == 2 and len(tree(other.pid)) == 2)
    vigil = Vigil(ask_every_s=0.1, stopped_s=1)
    assert vigil.stopped([one, other]) == []
    os.kill(tree(one.pid)[whom != "the first process"], signal.SIGSTOP)
    until(lambda: vigil.stopped([one, other]) == [one])
    assert vigil.silent([one, other]) == []
    vigil.close()


def test_who_goes_on_in_time_has_not_been_stopped(start: Callable[..., Child]) -> None:
    one = start("import time; time.sleep(600)", None)
    vigil = Vigil(ask_every_s=0.05, stopped_s=0.5)
    os.kill(one.pid, signal.SIGSTOP)
    until(lambda: is_stopped(one.pid))
    assert vigil.stopped([one]) == []
    os.kill(one.pid, signal.SIGCONT)
    until(lambda: not is_stopped(one.pid))
    ends_at = time.monotonic() + 1
    while time.monotonic() < ends_at:
        time.sleep(0.06)
        assert vigil.stopped([one]) == []
    vigil.close()


def test_nobody_is_asked_again_before_its_time_or_before_it_has_answered(start: Callable[..., Child]) -> None:
    asked: list[float] = []
    goes_on = threading.Event()

    def answers() -> bool:
        asked.append(time.monotonic())
        return goes_on.wait(300) if len(asked) == 3 else True

    child = start("import time; time.sleep(60)", answers)
    vigil = Vigil(ask_every_s=1.0, silent_s=600)
    try:
        until(lambda: vigil.silent([child]) == [] and len(asked) == 3)
        # Whoever is asked hears of it a while later.
        assert min(later - sooner for sooner, later in pairwise(asked)) > 0.3
        ends_at = time.monotonic() + 1.5
        while time.monotonic() < ends_at:
            vigil.silent([child])
        assert len(asked) == 3
        goes_on.set()
        until(lambda: vigil.silent([child]) == [] and len(asked) == 4)
    finally:
        goes_on.set()
        vigil.close()


def test_one_that_cannot_even_be_asked_is_no_end_of_the_vigil(start: Callable[..., Child], vigil: Vigil) -> None:
    asked: list[float] = []

    def fails() -> bool:
        asked.append(time.monotonic())
        raise ZeroDivisionError

    child = start("import time; time.sleep(60)", fails)
    until(lambda: vigil.silent([child]) == [] and len(asked) > 2)
    assert vigil.heard(child) is None


def test_who_is_unwell_is_told_with_why(tmp_path: Path) -> None:
    room = iter([False, True, False])
    program = Program("one", ("sleep", "60"), dict(os.environ), has_room_again=lambda: next(room))
    children = [Child(item, tmp_path / "log", tmp_path) for item in (program, replace(program, has_room_again=None))]
    vigil = Vigil(ask_every_s=0.05, silent_s=60, stopped_s=0.1)
    try:
        told = [list(vigil.unwell(children)) for _ in range(3)]
        assert told == [[], [(children[0], "has room on its disk again, and needs a new start to use it")], []]
    finally:
        vigil.close()
        for item in children:
            item.kill()


def test_what_was_heard_of_one_that_is_gone_is_said_of_no_other_with_its_number(
    start: Callable[..., Child], vigil: Vigil
) -> None:
    child = start("import time; time.sleep(60)", lambda: True)
    until(lambda: vigil.silent([child]) == [] and vigil.heard(child) is not None)
    vigil.silent([])
    assert vigil.heard(child) is None
    assert (vigil._asked, vigil._heard) == ({}, {})
