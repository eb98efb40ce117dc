"""Stores at an allowed address that want to keep us: whatever they say, however slowly, each question has an end."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from core import errors
from storage import fetch
from storage.fetch import Fetcher
from tests.changed import changed
from tests.conftest import Platform

#: With time-outs of a second; generous, since the machine may be busy.
END_S = 15
SIGNED = "?AWSAccessKeyId=k&Signature=s&Expires=4000000000"
Say = Callable[[bytes], None]
Ask = Callable[[Fetcher, str], object]


def drip(first: bytes, again: bytes = b"x", pause_s: float = 0.02) -> Callable[[Say, threading.Event], None]:
    """A beginning, and then a little every now and then, for ever."""

    def behave(say: Say, done: threading.Event) -> None:
        say(first)
        while not done.wait(pause_s):
            say(again)

    return behave


def once(answer: bytes) -> Callable[[Say, threading.Event], None]:
    return lambda say, _: say(answer)


class Server:
    """Answers every connection as it is told, without looking at what it is asked."""

    def __init__(self, behave: Callable[[Say, threading.Event], None], *, reads: bool) -> None:
        self._behave, self._reads, self._done = behave, reads, threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"http://127.0.0.1:{self._socket.getsockname()[1]}/odd"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._socket.accept()[0],), daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            if self._reads:
                connection.recv(65536)
            self._behave(connection.sendall, self._done)

    def close(self) -> None:
        self._done.set()
        self._socket.close()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PROBE_S", "PIECE_S", "START_S"):
        monkeypatch.setattr(fetch, name, 1.0)


@pytest.fixture
def hostile(platform: Platform) -> Iterator[Callable[..., tuple[Fetcher, str]]]:
    servers: list[Server] = []

    def start(behave: Callable[[Say, threading.Event], None], *, reads: bool = True) -> tuple[Fetcher, str]:
        servers.append(Server(behave, reads=reads))
        address = servers[-1].address
        settings = changed(platform.settings, input_private_buckets=(address,), max_upload_bytes=10**9)
        return Fetcher(settings), f"{address}/rows.jsonl{SIGNED}"

    yield start
    for server in servers:
        server.close()


def put(fetcher: Fetcher, url: str) -> None:
    size = 32 * 2**20
    fetcher.put(url, io.BytesIO(bytes(size)), size)


def stream(fetcher: Fetcher, url: str) -> None:
    for _ in fetcher.stream(url, None):
        pass


def probe(fetcher: Fetcher, url: str) -> None:
    fetcher.probe(url, dt.datetime.now(dt.UTC))


ASKS: dict[str, Ask] = {"probe": probe, "stream": stream, "put": put}
OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
SLOW = {
    "status line": drip(b"HTTP/1.1 200 "),
    "header": drip(OK + b"X: "),
    "headers": drip(OK, b"X: y\r\n"),
    "100 Continue": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "100 Continue, fast": drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, 0.001),
    "103 Early Hints": drip(b"", b"HTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n"),
    "nothing": drip(b"", b""),
}
SLOW_BODIES = {
    "body": drip(OK + b"Content-Length: 1000000\r\n\r\n"),
    "body without a length": drip(OK + b"\r\n"),
    "chunk": drip(CHUNKED + b"ffff\r\n"),
    "chunk's extension": drip(CHUNKED + b"5;"),
    "trailers": drip(CHUNKED + b"1\r\nx\r\n0\r\n", b"X: y\r\n"),
    "bytes in chunks": drip(CHUNKED, b"1\r\nx\r\n"),
}


def in_time(ask: Ask, fetcher: Fetcher, url: str, *wanted: type[errors.CoatcheckError]) -> None:
    started = time.monotonic()
    with pytest.raises(wanted):
        ask(fetcher, url)
    assert time.monotonic() - started < END_S


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("what", SLOW)
def test_a_store_that_drips_its_answer_is_left_in_time(
    hostile: Callable[..., tuple[Fetcher, str]], ask: str, what: str
) -> None:
    wanted = errors.OutputUnavailable if ask == "put" else errors.InputUnavailable
    in_time(ASKS[ask], *hostile(SLOW[what]), wanted)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("what", SLOW_BODIES)
def test_a_store_that_drips_a_file_is_left_in_time(hostile: Callable[..., tuple[Fetcher, str]], what: str) -> None:
    in_time(stream, *hostile(SLOW_BODIES[what]), errors.InputUnavailable)


def test_a_file_whose_length_is_not_said_is_read_to_its_end(hostile: Callable[..., tuple[Fetcher, str]]) -> None:
    fetcher, url = hostile(once(CHUNKED + b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"))
    assert b"".join(fetcher.stream(url, None)) == b"abc"


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("ask", ["probe", "stream"])
def test_a_store_that_drips_its_refusal_has_refused(hostile: Callable[..., tuple[Fetcher, str]], ask: str) -> None:
    refusal = drip(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 100000\r\n\r\n")
    in_time(ASKS[ask], *hostile(refusal), errors.InputForbidden)


@pytest.mark.usefixtures("impatient")
def test_a_store_that_takes_nothing_is_left_in_time(hostile: Callable[..., tuple[Fetcher, str]]) -> None:
    in_time(put, *hostile(drip(b"", b""), reads=False), errors.OutputUnavailable)


def test_what_the_store_said_before_it_hung_up_counts(hostile: Callable[..., tuple[Fetcher, str]]) -> None:
    refusal = once(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    # What was on its way when it hung up may have undone its answer.
    in_time(put, *hostile(refusal), errors.OutputRefused, errors.OutputUnavailable)


PART = b"HTTP/1.1 206 Partial Content\r\n"
ODD = {
    "no length": OK + b"\r\nx",
    "chunked": CHUNKED + b"1\r\nx\r\n0\r\n\r\n",
    "negative": OK + b"Content-Length: -5\r\n\r\nx",
    "a word": OK + b"Content-Length: abc\r\n\r\nx",
    "an underscore": OK + b"Content-Length: 1_0\r\n\r\nx",
    "a sign": OK + b"Content-Length: +1\r\n\r\nx",
    "5,000 digits": OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\nx",
    "two lengths": OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
    "a length and another coding": OK + b"Content-Length: 1\r\nTransfer-Encoding: gzip\r\n\r\nx",
    "a part of nobody knows what": PART + b"Content-Range: bytes 0-0/*\r\nContent-Length: 1\r\n\r\nx",
    "a part without a range": PART + b"Content-Length: 1\r\n\r\nx",
    "a part of a word": PART + b"Content-Range: bytes 0-0/abc\r\n\r\nx",
    "a negative part": PART + b"Content-Range: bytes 0-0/-5\r\n\r\nx",
    "another part": PART + b"Content-Range: bytes 5-9/10\r\n\r\nx",
    "a part of 5,000 digits": PART + b"Content-Range: bytes 0-0/" + b"9" * 5000 + b"\r\n\r\nx",
    "a huge ETag": OK + b"Content-Length: 1\r\nETag: " + b"e" * 60_000 + b"\r\n\r\nx",
    "a folded ETag": OK + b'Content-Length: 1\r\nETag: "a\r\n X-Injected: b"\r\n\r\nx',
    "an ETag with a NUL": OK + b'Content-Length: 1\r\nETag: "\x00"\r\n\r\nx',
}
BROKEN = {
    "nothing": b"",
    "not HTTP": b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "a status that is none": b"HTTP/1.1 2x0 OK\r\n\r\n",
    "a header of a megabyte": OK + b"X: " + b"y" * 2**20 + b"\r\n\r\n",
    "10,000 headers": OK + b"X: y\r\n" * 10_000 + b"\r\n",
    "a status line of a megabyte": b"HTTP/1.1 200 " + b"y" * 2**20,
}


@pytest.mark.parametrize("what", ODD)
def test_a_store_that_does_not_say_what_it_has_is_not_readable(
    hostile: Callable[..., tuple[Fetcher, str]], what: str
) -> None:
    in_time(probe, *hostile(once(ODD[what])), errors.InputUnreadable)


@pytest.mark.parametrize("what", ["negative", "a word", "two lengths", "a length and another coding", "another part"])
def test_a_file_whose_length_is_odd_is_not_read(hostile: Callable[..., tuple[Fetcher, str]], what: str) -> None:
    in_time(stream, *hostile(once(ODD[what])), errors.InputUnreadable)


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_answer_is_an_outage(hostile: Callable[..., tuple[Fetcher, str]], ask: str, what: str) -> None:
    wanted = errors.OutputUnavailable if ask == "put" else errors.InputUnavailable
    in_time(ASKS[ask], *hostile(once(BROKEN[what])), wanted)


@pytest.mark.parametrize("body", [b"5\r\nabc", b"-5\r\nabc", b"zz\r\nabc\r\n", b"5\r\nabcde\r\n" + b"9" * 70_000])
def test_chunks_that_are_none_are_an_outage(hostile: Callable[..., tuple[Fetcher, str]], body: bytes) -> None:
    in_time(stream, *hostile(once(CHUNKED + body)), errors.InputUnavailable)
