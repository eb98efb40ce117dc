"""What a container's health check says of a process that serves, and when it ends it."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from core import alive
from tests.engines import ROOT, until

#: No Redis is asked about who serves.
NO_REDIS = ""
Serve = Callable[[type[socketserver.TCPServer], Any, int | None], int]


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where it is written down how often nobody answered."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(alive, "ASK_S", 2.0)
    monkeypatch.setattr(alive, "_up_s", lambda: 10.0)
    return tmp_path / "coatcheck-silent"


def silent(record: Path) -> str | None:
    """How often in a row it has not answered; None before its first answer."""
    return record.read_text() if record.exists() else None


@pytest.fixture
def has_answered(record: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is asked has run for a while, and has given an answer."""
    monkeypatch.setattr(alive, "_up_s", lambda: 1000.0)
    record.write_text("0")
    alive.beat(str(record))


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What would have been ended: this machine's first process is not the test's."""
    found: list[str] = []
    monkeypatch.setattr(alive, "_end", lambda: found.append("all"))
    return found


@pytest.fixture
def serve() -> Iterator[Serve]:
    """One that answers every request with this status, or hangs up; returns its port, if it has one."""
    running: list[socketserver.TCPServer] = []

    def start(kind: type[socketserver.TCPServer], where: Any, status: int | None) -> int:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if status is not None:
                    self.send_response_only(status)
                    self.end_headers()

            def log_message(self, *_: object) -> None:
                """To nobody."""

        running.append(kind(where, Answer))
        threading.Thread(target=running[-1].serve_forever, args=[0.05], daemon=True).start()
        return 0 if isinstance(where, str) else int(running[-1].socket.getsockname()[1])

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def redis() -> Iterator[str]:
    """The address of a Redis that answers."""

    class Redis(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(b"-NOAUTH\r\n")

    with socketserver.TCPServer(("127.0.0.1", 0), Redis) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield f"redis://127.0.0.1:{server.server_address[1]}/0"
        server.shutdown()


STATUSES = [(200, 0), (302, 0), (404, 0), (499, 0), (500, 1), (503, 1), (None, 1)]


@pytest.mark.parametrize(("status", "code"), STATUSES)
def test_who_answers_below_500_is_well(
    serve: Serve, record: Path, ended: list[str], status: int | None, code: int
) -> None:
    port = serve(socketserver.TCPServer, ("127.0.0.1", 0), status)
    assert alive.main(f"http://127.0.0.1:{port}/healthz", NO_REDIS) == code
    assert silent(record) == (None if code else "0")


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 0), (None, 1)])
def test_behind_a_socket_every_answer_will_do(
    serve: Serve, tmp_path: Path, record: Path, ended: list[str], status: int | None, code: int
) -> None:
    path = str(tmp_path / "api.sock")
    serve(socketserver.UnixStreamServer, path, status)
    assert alive.main(f"unix:{path}", NO_REDIS) == code
    assert silent(record) == (None if code else "0")


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
@pytest.mark.usefixtures("has_answered")
def test_who_takes_connections_and_says_nothing_has_not_answered(
    tmp_path: Path, record: Path, ended: list[str], monkeypatch: pytest.MonkeyPatch, family: socket.AddressFamily
) -> None:
    monkeypatch.setattr(alive, "ASK_S", 0.2)
    said: list[int] = []
    with socket.socket(family) as server:
        server.bind(("127.0.0.1", 0) if family is socket.AF_INET else str(tmp_path / "api.sock"))
        server.listen()
        port = server.getsockname()[1] if family is socket.AF_INET else 0
        what = f"http://127.0.0.1:{port}/healthz" if port else f"unix:{tmp_path / 'api.sock'}"
        asking = threading.Thread(target=lambda: said.append(alive.main(what, NO_REDIS)), daemon=True)
        asking.start()
        asking.join(10)
        # Before it is closed, which ends whatever waits.
        assert (said, record.read_text()) == ([1], "1")


def test_to_ask_again_and_again_keeps_nothing_open(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        assert not alive.asked(tmp_path, "nobody.sock", "/")
    assert len(os.listdir("/proc/self/fd")) < before + 25


@pytest.mark.parametrize(("age_s", "code"), [(0.0, 0), (alive.STALE_S + 1, 1)])
def test_as_a_program_it_looks_at_what_it_is_given_and_asks_the_redis_of_its_environment(
    tmp_path: Path, redis: str, age_s: float, code: int
) -> None:
    file, at = tmp_path / "alive", time.monotonic() - age_s
    file.touch()
    os.utime(file, (at, at))
    called = [sys.executable, "-m", "core.alive", str(file)]
    environ = {**os.environ, "TMPDIR": str(tmp_path), "REDIS_URL": redis}
    assert subprocess.run(called, env=environ, cwd=ROOT, check=False).returncode == code


NOBODY = ["http://127.0.0.1:1/healthz", "unix:/nowhere/api.sock"]


@pytest.mark.usefixtures("has_answered")
@pytest.mark.parametrize("what", NOBODY)
def test_who_has_not_answered_six_times_in_a_row_is_ended(record: Path, ended: list[str], what: str) -> None:
    for looks in range(1, 6):
        assert alive.main(what, NO_REDIS) == 1
        assert (silent(record), ended) == (str(looks), [])
    assert alive.main(what, NO_REDIS) == 1
    assert ended == ["all"]


def test_one_answer_and_the_looks_are_counted_anew(serve: Serve, record: Path, ended: list[str]) -> None:
    port = serve(socketserver.TCPServer, ("127.0.0.1", 0), 200)
    for _ in range(2):
        assert alive.main(f"http://127.0.0.1:{port}/", NO_REDIS) == 0
        assert (silent(record), ended) == ("0", [])
        for _ in range(5):
            assert alive.main("http://127.0.0.1:1/", NO_REDIS) == 1


@pytest.mark.parametrize("what", [*NOBODY, "/nowhere/alive"])
def test_a_first_answer_has_five_minutes(
    record: Path, ended: list[str], monkeypatch: pytest.MonkeyPatch, redis: str, what: str
) -> None:
    for up_s in (0.1, 60.0, *[299.0] * 8):
        monkeypatch.setattr(alive, "_up_s", lambda up_s=up_s: up_s)
        assert alive.main(what, redis) == 1
        assert (silent(record), ended) == (None, [])
    monkeypatch.setattr(alive, "_up_s", lambda: 301.0)
    assert alive.main(what, redis) == 1
    assert ended == ["all"]


@pytest.mark.parametrize("asked", ["what serves", "what touches a file"])
def test_what_is_left_of_the_last_start_says_nothing_of_this_one(
    tmp_path: Path, record: Path, ended: list[str], redis: str, asked: str
) -> None:
    """Its /tmp is there again, with what was counted then, and with a file that was touched a moment ago."""
    what = NOBODY[0] if asked == "what serves" else str(tmp_path / "alive")
    for file in (record, tmp_path / "alive"):
        file.write_text("5")
        before = time.monotonic() - alive._up_s() - 1
        os.utime(file, (before, before))
    assert alive.main(what, redis) == 1
    assert ended == []
    alive.beat(str(tmp_path / "alive"))
    assert alive.main(str(tmp_path / "alive"), redis) == 0


def test_since_when_a_container_runs_is_read_off_its_first_process(monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.monotonic()
    with subprocess.Popen(["sleep", "60"]) as child:
        monkeypatch.setattr(alive, "Path", lambda name: Path(name.replace("/proc/1/", f"/proc/{child.pid}/")))
        assert alive._up_s() <= time.monotonic() - before + 0.02  # two ticks
        until(lambda: alive._up_s() > 1)
        assert time.monotonic() - before > 0.98
        child.terminate()


@pytest.mark.usefixtures("has_answered")
def test_where_nothing_can_be_written_who_answers_is_well(
    serve: Serve, record: Path, ended: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk empties a file before it has no place for what goes in."""

    def full(path: Path, _: str) -> None:
        path.open("w").close()
        raise OSError(28, "No space left on device")

    port = serve(socketserver.TCPServer, ("127.0.0.1", 0), 200)
    monkeypatch.setattr(Path, "write_text", full)
    for what, code in ((NOBODY[0], 1), (f"http://127.0.0.1:{port}/", 0)) * 2:
        assert alive.main(what, NO_REDIS) == code
    assert ended == []


@pytest.mark.parametrize("looks", [1, 2])
def test_who_stands_still_while_redis_is_away_is_not_blamed(
    tmp_path: Path, record: Path, ended: list[str], looks: int
) -> None:
    (tmp_path / "alive").touch()
    record.write_text("5")
    alive.beat(str(record))
    for _ in range(looks):
        assert alive.main(str(tmp_path / "alive"), "redis://127.0.0.1:1/0") == 0
    assert (silent(record), ended) == ("0", [])


@pytest.mark.parametrize(
    ("first", "is_ended"), [("docker-init", True), ("tini", True), ("systemd", False), ("python", False)]
)
def test_only_what_a_containers_init_started_is_ended(
    tmp_path: Path, record: Path, monkeypatch: pytest.MonkeyPatch, first: str, is_ended: bool
) -> None:
    (tmp_path / "task/1").mkdir(parents=True)
    (tmp_path / "comm").write_text(f"{first}\n")
    # No test may end what this machine's own first process has started.
    monkeypatch.setattr(alive, "Path", lambda name: Path(name.replace("/proc/1/", f"{tmp_path}/")))
    record.write_text("5")
    alive.beat(str(record))
    with subprocess.Popen(["sleep", "60"]) as child:
        (tmp_path / "task/1/children").write_text(f"{child.pid} ")
        assert alive.main("http://127.0.0.1:1/", NO_REDIS) == 1
        child.terminate()
        assert child.wait() == -(signal.SIGKILL if is_ended else signal.SIGTERM)
