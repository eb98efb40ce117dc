"""What a client's store is asked, word for word, and what each of its answers means; a transfer takes its time."""

from __future__ import annotations

import datetime as dt
import http.server
import io
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import pytest

from core import errors, urls
from storage import signed_url
from storage.fetch import Fetcher
from storage.signed_url import FIELD, TARGET
from tests.changed import changed
from tests.conftest import Platform

NOW = dt.datetime(2030, 1, 1, tzinfo=dt.UTC)
SIGNED = "?AWSAccessKeyId=k&Signature=s&Expires=4000000000"


@dataclass
class Store:
    """One that answers as it is told, and notes what it was asked."""

    fetcher: Fetcher
    url: str
    status: int = 200
    body: bytes = b"abc"
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, Mapping[str, str], bytes]] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer(b"")

    def do_PUT(self) -> None:
        self._answer(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def _answer(self, sent: bytes) -> None:
        store: Store = self.server.store  # type: ignore[attr-defined]
        store.asked.append((self.command, {name.lower(): value for name, value in self.headers.items()}, sent))
        self.send_response(store.status)
        for name, value in {"Content-Length": str(len(store.body)), **store.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(store.body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def store(platform: Platform) -> Iterator[Store]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as server:
        address = f"http://127.0.0.1:{server.server_port}/box"
        fetcher = Fetcher(changed(platform.settings, input_private_buckets=(address,), max_upload_bytes=10**9))
        made = Store(fetcher, f"{address}/rows.jsonl{SIGNED}")
        server.store = made  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield made
        server.shutdown()


def test_a_probe_asks_for_one_byte_and_a_read_for_the_file_that_was_seen(store: Store) -> None:
    store.status, store.body, store.headers = 206, b"a", {"Content-Range": "bytes 0-0/7", "ETag": '"one"'}
    found = store.fetcher.probe(store.url, NOW)
    assert (found.size, found.etag) == (7, '"one"')
    store.status, store.body, store.headers = 200, b"abcdefg", {"ETag": '"one"'}
    assert b"".join(store.fetcher.stream(store.url, '"one"')) == b"abcdefg"
    assert b"".join(store.fetcher.stream(store.url, None)) == b"abcdefg"
    told = [{name: said[name] for name in ("range", "if-match") if name in said} for _, said, _ in store.asked]
    assert told == [{"range": "bytes=0-0"}, {"if-match": '"one"'}, {}]
    assert {(method, said["user-agent"]) for method, said, _ in store.asked} == {("GET", "coatcheck")}


def test_a_file_is_sent_with_its_length_and_as_lines_of_json(store: Store) -> None:
    store.fetcher.put(store.url, io.BytesIO(b'{"a": 1}\n'), 9)
    ((method, said, sent),) = store.asked
    assert (method, sent) == ("PUT", b'{"a": 1}\n')
    wanted = {"content-length": "9", "content-type": "application/x-ndjson", "user-agent": "coatcheck"}
    assert {name: said.get(name) for name in (*wanted, "transfer-encoding")} == {**wanted, "transfer-encoding": None}


def test_a_store_that_gives_another_file_than_was_seen_or_a_part_of_it_is_not_read(store: Store) -> None:
    for etag in ('"two"', None):
        store.headers = {} if etag is None else {"ETag": etag}
        with pytest.raises(errors.InputChanged):
            list(store.fetcher.stream(store.url, '"one"'))
    store.status, store.headers = 206, {"Content-Range": "bytes 0-2/7"}
    with pytest.raises(errors.InputUnreadable):
        list(store.fetcher.stream(store.url, None))


def test_a_file_whose_transfer_breaks_off_is_not_taken_for_the_whole(store: Store) -> None:
    store.headers = {"Content-Length": "9"}
    with pytest.raises(errors.InputUnavailable, match="ended early"):
        list(store.fetcher.stream(store.url, None))


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, None) for status in (200, 201, 204)),
        *((status, errors.OutputUnavailable) for status in (429, 500, 503, 599)),
        *((status, errors.OutputRefused) for status in (202, 206, 301, 307, 400, 403, 404, 412, 428, 430, 499)),
    ],
)
def test_each_status_of_a_store_that_is_sent_something_has_its_own_error(
    store: Store, status: int, error: type[errors.CoatcheckError] | None
) -> None:
    store.status, store.body = status, b""
    if error is None:
        store.fetcher.put(store.url, io.BytesIO(b"x"), 1)
        return
    with pytest.raises(error) as refused:
        store.fetcher.put(store.url, io.BytesIO(b"x"), 1)
    assert type(refused.value) is error
    assert str(status) in refused.value.message


class Slow(io.BytesIO):
    """A file of which each piece takes some seconds at a clock that only moves so."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.passed_s = 0.0

    def read(self, size: int | None = -1) -> bytes:
        self.passed_s += 2.5
        return super().read(size)


def test_a_large_file_may_take_much_longer_than_one_piece_of_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    real, sent, passed_s = time.monotonic, Slow(b"x" * 640 * 1024), 0.0
    monkeypatch.setattr(time, "monotonic", lambda: real() + passed_s + sent.passed_s)
    store.body = b"x" * 640 * 1024
    for piece in store.fetcher.stream(store.url, None):
        # At 21 KiB a second; 16 would be too slow.
        passed_s += len(piece) / (21 * 1024)
    assert passed_s > 30
    store.fetcher.put(store.url, sent, 640 * 1024)
    assert sent.passed_s == 27.5
    assert [len(data) for _, _, data in store.asked] == [0, 640 * 1024]


def test_who_is_refused_is_told_the_field_that_it_is_about(platform: Platform, store: Store) -> None:
    address = f"http://127.0.0.1:{urllib.parse.urlsplit(platform.settings.database_url).port}/box"
    fetcher = Fetcher(changed(platform.settings, input_private_buckets=(address,)))
    url = f"{address}/x{SIGNED}"
    asks: list[tuple[Callable[[], object], str]] = [
        (lambda: fetcher.probe(url, NOW), FIELD),
        (lambda: fetcher.put(url, io.BytesIO(), 0), TARGET),
    ]
    for ask, named in asks:
        with pytest.raises(errors.InputForbidden) as refused:
            ask()
        assert refused.value.details == {"field": named}
    with pytest.raises(errors.InputExpired) as over:
        store.fetcher.probe(store.url.replace("4000000000", "1000000000"), NOW)
    assert over.value.details == {"field": FIELD}
    assert store.asked == []


@pytest.mark.parametrize(
    "query",
    [
        "", "Signature=s&Expires=4000000000", "AWSAccessKeyId=k&Expires=4000000000", "AWSAccessKeyId=k&Signature=s",
        "GoogleAccessId=k&Expires=4000000000", "AWSAccessKeyId=k&Signature=s&Expires=4000000000&Expires=1",
        "AWSAccessKeyId=k&Signature=s&Expires=soon", f"AWSAccessKeyId=k&Signature=s&Expires={'9' * 30}",
        *(f"AWSAccessKeyId=k&Signature=s&Expires={10**digits}" for digits in (13, 16, 17, 18, 19, 21)),
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20290101T000000Z&X-Amz-Expires=99999999",
        "X-Amz-Algorithm=AWS4-HMAC-SHA512&X-Amz-Signature=s&X-Amz-Date=20290101T000000Z&X-Amz-Expires=99999999",
        "X-Amz-Algorithm=GOOG4-RSA-SHA256&X-Amz-Signature=s&X-Amz-Date=20290101T000000Z&X-Amz-Expires=99999999",
        "X-Goog-Algorithm=GOOG4-RSA-SHA256&X-Goog-Date=20290101T000000Z&X-Goog-Expires=99999999",
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=s&X-Amz-Date=2029-01-01&X-Amz-Expires=99999999",
    ],
)  # fmt: skip
@pytest.mark.parametrize("named", [FIELD, TARGET])
def test_what_is_not_signed_or_does_not_say_until_when_is_refused_by_its_field(query: str, named: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        signed_url.check_signature(urls.parse(f"https://s3.example/inbox/x?{query}", named), named, NOW)
    assert refused.value.details == {"field": named, "issue": "must be signed, and say in its query until when"}
