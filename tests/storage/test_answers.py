"""What a client's store may say to a signed URL, and how slowly: every status, every length, every pace."""

from __future__ import annotations

import http.client
import io
import itertools
import socket
import time
from typing import Any, cast

import pytest

from core import dial, errors
from storage import fetch

Error = type[errors.CoatcheckError]


class Said:
    """A connection on which an answer has arrived."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self.raw)


def answer(status: int = 200, body: bytes = b"", **headers: str) -> http.client.HTTPResponse:
    """As the standard library reads it."""
    lines = [f"HTTP/1.1 {status} Said", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
    found = http.client.HTTPResponse(cast(socket.socket, Said("\r\n".join([*lines, "", ""]).encode() + body)))
    found.begin()
    return found


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (200, None), (206, None), (404, errors.InputNotFound), (412, errors.InputChanged),
        (416, errors.InputUnreadable),
        (429, errors.InputUnavailable), *((status, errors.InputUnavailable) for status in (500, 502, 503, 504, 599)),
        *((status, errors.InputForbidden) for status in (201, 204, 300, 301, 302, 303, 304, 307, 308, 399)),
        *((status, errors.InputForbidden) for status in (400, 401, 403, 405, 409, 410, 499)),
    ],
)  # fmt: skip
def test_each_status_has_its_own_error(status: int, error: Error | None) -> None:
    said = answer(status, Content_Length="0")
    if error is None:
        fetch._judge(said, dial.Deadline(5))
        return
    with pytest.raises(error) as refused:
        fetch._judge(said, dial.Deadline(5))
    assert type(refused.value) is error
    assert ("redirect" in refused.value.message) is (300 <= status < 400)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"<Message>Request has expired</Message>", errors.InputExpired),
        (b"<Code>ExpiredToken</Code>", errors.InputExpired),
        (b"<Code>ExpiredRequest</Code>", errors.InputExpired),
        (b"<Code>AccessDenied</Code>", errors.InputForbidden),
        # Who says it so late is not listened to.
        (b"x" * 4096 + b"ExpiredToken", errors.InputForbidden),
    ],
    ids=["has expired", "a token", "a request", "denied", "too late"],
)
@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_refusal_of_what_has_expired_says_so(status: int, body: bytes, error: Error) -> None:
    with pytest.raises(error) as refused:
        fetch._judge(answer(status, body, Content_Length=str(len(body))), dial.Deadline(5))
    assert type(refused.value) is error


@pytest.mark.parametrize(
    ("said", "size"),
    [
        (answer(206, Content_Range="bytes 0-0/7", Content_Length="1"), 7),
        (answer(206, Content_Range=f"bytes 0-0/{'9' * 18}", Content_Length="1"), int("9" * 18)),
        (answer(206, Content_Range=f"bytes 0-0/{'9' * 19}", Content_Length="1"), None),
        (answer(206, Content_Range="bytes 0-0/*", Content_Length="1"), None),
        (answer(206, Content_Range="bytes 1-1/7", Content_Length="1"), None),
        (answer(206, Content_Length="7"), None),
        (answer(200, Content_Length="7"), 7),
        (answer(200, Content_Length="0"), 0),
        (answer(200, Content_Length="9" * 18), int("9" * 18)),
        (answer(200, Content_Length="9" * 19), None),
        (answer(200), None),
        (answer(200, Transfer_Encoding="chunked"), None),
        (answer(200, Transfer_Encoding="gzip", Content_Length="7"), None),
    ],
    ids=itertools.count(),
)
def test_how_long_a_file_is_has_to_be_said_clearly(said: http.client.HTTPResponse, size: int | None) -> None:
    if size is None:
        with pytest.raises(errors.InputUnreadable):
            fetch._whole_size(said)
    else:
        assert fetch._whole_size(said) == size


def test_a_part_may_be_sent_without_a_length() -> None:
    assert fetch._size(answer(200)) is None
    assert fetch._size(answer(200, Transfer_Encoding="chunked")) is None


@pytest.mark.parametrize(
    ("etag", "good"),
    [('"abc"', True), ("x" * 256, True), ("x" * 257, False), ('"a b"', False), ('"ü"', False), ("", False)],
)
def test_an_etag_is_one_that_can_be_sent_back(etag: str, *, good: bool) -> None:
    if good:
        assert fetch._etag(answer(ETag=etag)) == etag
    else:
        with pytest.raises(errors.InputUnreadable):
            fetch._etag(answer(ETag=etag))
    assert fetch._etag(answer()) is None


@pytest.mark.parametrize(
    ("after_s", "size", "left_s"),
    [
        (0, 0, 10),  # a piece of its own
        (5, 0, 10),
        (15, 0, 5),  # nothing for twenty seconds
        (19, 320 * 1024, 1),  # as much as a slow one has in twenty seconds
        (19, 336 * 1024, 2),  # and a second's worth more
        (30, 1024 * 1024, 10),
        (70, 1024 * 1024, -6),
    ],
)
def test_a_transfer_may_be_slow_but_not_slower_than_a_file_is_worth(
    monkeypatch: pytest.MonkeyPatch, after_s: float, size: int, left_s: float
) -> None:
    monkeypatch.setattr(time, "monotonic", lambda: 1000.0 + after_s)
    deadline = dial.Deadline(1)
    fetch._keep_pace(deadline, 1000.0, size)
    assert deadline.ends_at - time.monotonic() == pytest.approx(left_s)


def test_a_file_that_is_sent_goes_out_in_pieces_and_its_answer_may_take_as_long_as_a_start() -> None:
    deadline = dial.Deadline(0)
    pieces = list(fetch._steady(io.BytesIO(b"x" * (2 * fetch.CHUNK + 1)), deadline))
    assert [len(piece) for piece in pieces] == [fetch.CHUNK, fetch.CHUNK, 1]
    assert 10 < deadline.left_s() <= 20
