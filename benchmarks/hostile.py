"""Sixty-four hostile connections of each sort, by one key or none: is everybody else still answered?"""

from __future__ import annotations

import contextlib
import json
import selectors
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from benchmarks import bed
from benchmarks.inline import rss_mb
from local import platform_processes

CONNECTIONS = 64
SECONDS = 120
QUIET_S = 20.0
#: What memory may be above what it was, and how long it has to come down.
MEMORY, SETTLE_S = 1.10, 40.0
TEXT = json.dumps({"model": "sentiment", "inputs": {"text": "I love this product, it works perfectly!"}}).encode()
#: A preface, empty settings, and 64 requests whose bodies never end (RFC 9113 §3.4, §6.1, §6.2).
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


@dataclass(frozen=True)
class Sort:
    """`first` is sent at once, `again` every second; a connection that is closed is opened anew."""

    name: str
    first: Callable[[str, str], bytes]  #: of a key and a pending job's id
    again: bytes = b""
    connections: int = CONNECTIONS


def _head(method: str, path: str, key: str, *more: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}", *more, "", ""]
    return "\r\n".join(lines).encode()


def _streams(key: str, _: str) -> bytes:
    """HEADERS without END_STREAM and a DATA frame of one byte, on each of many streams; the fields are literal."""
    fields = ((":method", "POST"), (":scheme", "http"), (":path", "/api/v1/predict"), (":authority", "localhost"))
    more = (("authorization", f"Bearer {key}"), ("content-type", "application/json"))
    block = b"".join(b"\0%c%s%c%s" % (len(n), n.encode(), len(v), v.encode()) for n, v in (*fields, *more))
    sent = PREFACE
    for stream in range(1, 2 * CONNECTIONS, 2):
        sent += len(block).to_bytes(3, "big") + b"\1\4" + stream.to_bytes(4, "big") + block
        sent += b"\0\0\1\0\0" + stream.to_bytes(4, "big") + b"{"
    return sent


_LONG = ("Content-Type: application/json", "Content-Length: 4000000")
_CHUNKED = ("Content-Type: application/json", "Transfer-Encoding: chunked")
SORTS = (
    Sort("silent", lambda *_: b""),
    Sort("slow header", lambda *_: b"GET /healthz HTTP/1.1\r\nX-A: ", b"a"),
    Sort("endless body", lambda key, _: _head("POST", "/api/v1/predict", key, *_LONG), b" "),
    Sort("endless chunks", lambda key, _: _head("POST", "/api/v1/predict", key, *_CHUNKED), b"1\r\n \r\n"),
    Sort("endless body, no key", lambda *_: _head("POST", "/api/v1/predict", "none", *_LONG), b" "),
    Sort("http/2 streams", _streams),
    Sort("event streams", lambda key, job: _head("GET", f"/api/v1/jobs/{job}/events", key), connections=32),
    Sort("waits", lambda key, job: _head("GET", f"/api/v1/jobs/{job}?wait=30", key) * 20, connections=32),
    Sort("pipelining", lambda *_: b"GET /openapi/v1.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 50),
)


class Attack:
    """Holds the connections of one sort for as long as it is open; reads nothing unless it was closed."""

    def __init__(self, sort: Sort, port: int, key: str, job: str) -> None:
        self._sort, self._port = sort, port
        self._first = sort.first(key, job)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hold, daemon=True)
        self.opened = 0

    def __enter__(self) -> Attack:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(30)

    def _hold(self) -> None:
        held: dict[int, socket.socket] = {}
        while not self._ended.is_set():
            for place in range(self._sort.connections):
                with contextlib.suppress(OSError):
                    if place not in held:
                        held[place] = self._open()
                    elif self._sort.again:
                        held[place].send(self._sort.again)
            self._ended.wait(1)
            for place in self._closed(held):
                held.pop(place).close()
        for sock in held.values():
            sock.close()

    def _open(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self._port), timeout=2)
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            sock.send(self._first)
        self.opened += 1
        return sock

    def _closed(self, held: dict[int, socket.socket]) -> list[int]:
        found = []
        with selectors.DefaultSelector() as ready:
            for place, sock in held.items():
                ready.register(sock, selectors.EVENT_READ, place)
            for entry, _ in ready.select(0):
                with contextlib.suppress(BlockingIOError):
                    try:
                        if not entry.fileobj.recv(1, socket.MSG_PEEK):  # type: ignore[union-attr]
                            found.append(entry.data)
                    except ConnectionError:
                        found.append(entry.data)
        return found


@dataclass
class Seen:
    """Of those who only want an answer: seconds of each, and how many had none in time."""

    seconds: list[float] = field(default_factory=list)
    failed: int = 0

    def p(self, share: float) -> float:
        return sorted(self.seconds)[int(len(self.seconds) * share)] if self.seconds else float("inf")


@contextlib.contextmanager
def asking(request: Callable[[], urllib.request.Request], every_s: float, timeout_s: float = 5.0) -> Iterator[Seen]:
    """Ask again and again beside what is done meanwhile."""
    seen, ended = Seen(), threading.Event()

    def ask() -> None:
        while not ended.wait(every_s):
            started = time.perf_counter()
            try:
                with urllib.request.urlopen(request(), timeout=timeout_s) as answer:
                    answer.read()
                seen.seconds.append(time.perf_counter() - started)
            except OSError:
                seen.failed += 1

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    yield seen
    ended.set()
    thread.join(10)


def predict(url: str, key: str) -> urllib.request.Request:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    return urllib.request.Request(f"{url}/api/v1/predict", TEXT, headers)


def submit(url: str, key: str) -> urllib.request.Request:
    return urllib.request.Request(f"{url}/api/v1/jobs", TEXT, dict(predict(url, key).header_items()))


def job_of(ticket: bytes) -> str:
    return str(json.loads(ticket)["job_id"])


def run() -> None:
    """Print a line for each sort; exits with 1 when somebody else was not answered, or twice as slowly."""
    sys.exit(0 if attacked(SECONDS) else 1)


def attacked(seconds: float) -> bool:
    """Whether everybody else was answered all the while, not twice as slowly, through every sort."""
    with bed.made() as found:
        api, front = (found.start(program) for program in platform_processes.door(found.state, found.env))
        url = f"http://127.0.0.1:{found.state.ports['api']}"
        bed.until(lambda: platform_processes.answers(f"{url}/ready"))
        alice, bob = (
            found.once("keys", "create", "--tenant", name, "--name", "bench", "--tier", "internal")
            for name in ("alice", "bob")
        )
        with urllib.request.urlopen(submit(url, alice)) as answer:
            job = job_of(answer.read())
        with asking(lambda: predict(url, bob), 0.01) as quiet:
            time.sleep(QUIET_S)
        before = rss_mb(api.pid) + rss_mb(front.pid)
        print(f"quiet: p50 {quiet.p(0.5) * 1000:.1f} ms, p99 {quiet.p(0.99) * 1000:.1f} ms; {before:.0f} MB")
        good = True
        for sort in SORTS:
            with (
                Attack(sort, found.state.ports["api"], alice, job),
                asking(lambda: urllib.request.Request(f"{url}/healthz"), 0.2) as health,
                asking(lambda: predict(url, bob), 0.01) as seen,
            ):
                time.sleep(seconds)
            settled = time.monotonic() + SETTLE_S
            while (after := rss_mb(api.pid) + rss_mb(front.pid)) > before * MEMORY and time.monotonic() < settled:
                time.sleep(1)
            ratio = seen.p(0.99) / quiet.p(0.99)
            good = good and not health.failed and ratio <= 2
            print(
                f"{sort.name:<22} healthz {len(health.seconds)} answered, {health.failed} not, max "
                f"{max(health.seconds, default=0) * 1000:.0f} ms; bob p50 {seen.p(0.5) * 1000:.1f} p99 "
                f"{seen.p(0.99) * 1000:.1f} ms = {ratio:.2f} x quiet, {seen.failed} failed; "
                f"{after / before:.2f} x memory",
                flush=True,
            )
    return good
