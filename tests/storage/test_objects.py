"""Objects in the store: what was pinned is what is read, and nothing else is touched."""

from __future__ import annotations

import base64
import dataclasses
import datetime as dt
import email.utils
import http.server
import io
import json
import re
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar
from uuid import uuid4

import pytest
import urllib3
from botocore import exceptions

from core import errors
from storage import objects
from storage.objects import Store
from tests.conftest import Platform


@pytest.fixture
def store(platform: Platform) -> Store:
    return platform.store


@pytest.fixture
def key(store: Store) -> str:
    """An object of ten digits."""
    name = f"tests/{uuid4().hex}/object"
    store.put(name, b"0123456789")
    return name


def replaced(store: Store, key: str) -> None:
    store.put(key, b"9876543210")


def deleted(store: Store, key: str) -> None:
    store.delete_all(key)


def test_of_more_objects_than_the_store_lists_at_once_none_is_left(store: Store) -> None:
    prefix = f"tests/{uuid4().hex}/"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: store.put(f"{prefix}{number}", b"x"), range(1001)))
    store.delete_all(prefix)
    assert store.client.list_objects_v2(Bucket="coatcheck", Prefix=prefix)["KeyCount"] == 0


@pytest.mark.parametrize("what", [replaced, deleted])
def test_what_is_not_any_more_what_was_pinned_is_not_read_in_part_or_whole(
    store: Store, key: str, what: Callable[[Store, str], None]
) -> None:
    head = store.head(key)
    assert head is not None
    assert b"".join(store.stream(key, head.etag)) == b"0123456789"
    assert store.read_range(key, head.etag, 3, 5) == b"34"
    what(store, key)
    with pytest.raises(errors.InputChanged):
        list(store.stream(key, head.etag))
    with pytest.raises(errors.InputChanged):
        store.read_range(key, head.etag, 3, 5)


@pytest.mark.parametrize(("start", "end"), [(0, 10), (0, 1), (9, 10), (3, 7)])
def test_a_range_is_the_bytes_from_its_start_up_to_its_end(store: Store, key: str, start: int, end: int) -> None:
    head = store.head(key)
    assert head is not None
    assert store.read_range(key, head.etag, start, end) == b"0123456789"[start:end]


def test_a_file_is_stored_from_where_it_stands_and_stays_open(store: Store, key: str) -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"head and body")
        file.seek(5)
        head = store.put_file(key, file)
        assert not file.closed
    assert (store.get(key), head) == (b"and body", store.head(key))


def test_a_large_file_goes_in_parts_of_which_one_is_in_memory() -> None:
    """S3 takes 10,000 parts at most, of which each has 5 MiB at least."""
    config = objects._IN_PARTS
    assert (config.multipart_chunksize, config.use_threads) == (16 * 2**20, False)


def test_what_is_deleted_is_all_that_lies_under_the_prefix_and_nothing_beside_it(store: Store, key: str) -> None:
    folder = key.removesuffix("object")
    beside = f"{folder.removesuffix('/')}-beside/object"
    for name in (f"{folder}another", f"{folder}deep/er", beside):
        store.put(name, b"x")
    store.delete_all(folder)
    assert [store.head(name) for name in (key, f"{folder}another", f"{folder}deep/er")] == [None] * 3
    assert store.head(beside) is not None


def test_a_store_that_is_away_is_unavailable_whatever_is_asked_of_it(platform: Platform) -> None:
    away = Store(dataclasses.replace(platform.settings.storage, endpoint_url="http://127.0.0.1:1"), attempts=1)
    with tempfile.TemporaryFile() as file:
        asked: list[Callable[[], object]] = [
            lambda: away.put("key", b""),
            lambda: away.put_file("key", file),
            lambda: away.get("key"),
            lambda: away.head("key"),
            lambda: list(away.stream("key", "etag")),
            lambda: away.read_range("key", "etag", 0, 1),
            lambda: away.delete_all("key"),
            lambda: list(away.old("key", 1)),
        ]
        for ask in asked:
            with pytest.raises(errors.Unavailable, match="The object store did not"):
                ask()
    assert not away.ping()


@pytest.mark.parametrize(("read_s", "attempts", "connect_s"), [(20, 4, 3), (2, 1, 2), (3, 2, 3)])
def test_no_call_of_the_store_waits_for_longer_or_more_often_than_it_may(
    platform: Platform, read_s: float, attempts: int, connect_s: float
) -> None:
    config = Store(platform.settings.storage, read_s=read_s, attempts=attempts).client.meta.config
    assert (config.read_timeout, config.connect_timeout) == (read_s, connect_s)  # type: ignore[attr-defined]
    retries = {"total_max_attempts": attempts, "mode": "standard"}
    assert config.retries == retries  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("endpoint", "proxies"),
    [("http://127.0.0.1:9000", {}), ("http://localhost:9000", {}), ("https://s3.example", None)],
)
def test_the_store_is_asked_in_the_way_that_every_store_understands(
    platform: Platform, endpoint: str, proxies: dict[str, str] | None
) -> None:
    given = dataclasses.replace(platform.settings.storage, endpoint_url=endpoint, region="eu-west-7")
    client = Store(given).client
    config = client.meta.config
    assert (client.meta.endpoint_url, client.meta.region_name) == (endpoint, "eu-west-7")
    assert config.signature_version == "s3v4"  # type: ignore[attr-defined]
    assert config.s3["addressing_style"] == "path"  # type: ignore[attr-defined]
    # Checksums that not every store knows; and a proxy has no way to this machine.
    assert config.request_checksum_calculation == "when_required"  # type: ignore[attr-defined]
    assert config.response_checksum_validation == "when_required"  # type: ignore[attr-defined]
    assert config.proxies == proxies  # type: ignore[attr-defined]


@pytest.mark.parametrize("sha256", [None, "c2hhMjU2"])
def test_a_place_for_an_upload_is_for_one_file_of_this_size_and_kind_alone(store: Store, sha256: str | None) -> None:
    before = dt.datetime.now(dt.UTC)
    place = store.presign_post("up/1", content_type="text/csv", size=7, sha256=sha256, expires_s=600)
    policy = json.loads(base64.b64decode(place["fields"]["policy"]))
    checksum = {"x-amz-checksum-algorithm": "SHA256", "x-amz-checksum-sha256": sha256} if sha256 else {}
    fields = {"Content-Type": "text/csv", "key": "up/1", **checksum}
    signature = {"x-amz-algorithm", "x-amz-credential", "x-amz-date"}
    limits = [item for item in policy["conditions"] if isinstance(item, list)]
    said = {name: value for item in policy["conditions"] if isinstance(item, dict) for name, value in item.items()}
    assert limits == [["content-length-range", 7, 7]]
    assert {name: said[name] for name in set(said) - signature} == {**fields, "bucket": store._bucket}
    assert fields.items() <= place["fields"].items()
    until = dt.datetime.fromisoformat(policy["expiration"])
    assert dt.timedelta(seconds=590) < until - before < dt.timedelta(seconds=660)


def test_an_address_gives_the_object_under_a_name_of_its_own_for_a_while(store: Store, key: str) -> None:
    address = store.presign_get(key, filename="mine.jsonl", expires_s=600)
    answer = urllib3.request("GET", address, retries=False, timeout=20)
    assert (answer.status, answer.data) == (200, b"0123456789")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="mine.jsonl"'
    query = urllib.parse.parse_qs(urllib.parse.urlsplit(address).query)
    assert query["X-Amz-Expires"] == ["600"]
    typed = store.presign_get(key, filename="mine.jsonl", expires_s=600, content_type="application/x-mine")
    assert urllib3.request("GET", typed, retries=False, timeout=20).headers["Content-Type"] == "application/x-mine"
    assert "response-content-type" not in query


def test_what_has_lain_for_long_is_told_of_the_prefix_alone(store: Store, key: str) -> None:
    folder = key.removesuffix("object")
    store.put(f"{folder}another", b"x")
    assert list(store.old(folder, 3600)) == []
    # By a clock that may differ from the store's.
    assert sorted(store.old(folder, -3600)) == [f"{folder}another", key]


def test_what_is_not_there_was_not_changed_and_what_nobody_may_see_may_be_there(
    platform: Platform, store: Store
) -> None:
    missing = f"tests/{uuid4().hex}"
    with pytest.raises(errors.Unavailable, match=r"did not give .*NoSuchKey"):
        store.get(missing)
    assert store.head(missing) is None
    wrong = Store(dataclasses.replace(platform.settings.storage, secret_key="wrong"), attempts=1)
    with pytest.raises(errors.Unavailable, match="did not say what it has of"):
        wrong.head(missing)


def test_whether_the_store_takes_something_is_seen_by_giving_it_some(store: Store) -> None:
    store.delete_all(objects.PROBE)
    store.check_takes()
    assert store.get(objects.PROBE) == bytes(4096)
    assert store.ping()


@pytest.mark.parametrize(
    ("ahead_s", "said"),
    [
        (0, "Odd"), (objects.SKEW_S - 60, "Odd"), (-objects.SKEW_S + 60, "Odd"), (None, "Odd"),
        (objects.SKEW_S + 60, "this machine's clock is wrong by +960 s (Odd)"),
        (-objects.SKEW_S - 60, "this machine's clock is wrong by -960 s (Odd)"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_in_the_stores_word_or_by_the_clock_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch, ahead_s: int | None, said: str
) -> None:
    now = 1_900_000_000
    monkeypatch.setattr(time, "time", lambda: float(now))
    headers = {} if ahead_s is None else {"date": email.utils.formatdate(now - ahead_s, usegmt=True)}
    answer: Any = {"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPHeaders": headers}}
    error = objects._unavailable("did not take", "a/b", exceptions.ClientError(answer, "PutObject"))
    assert error.message == f"The object store did not take a/b: {said}"


@pytest.mark.parametrize("date", ["", "yesterday", "Mon, 99 Foo 2030 00:00:00 GMT"])
def test_a_date_that_is_none_says_nothing_of_this_machines_clock(date: str) -> None:
    assert objects._ahead_s(date) == 0.0


@pytest.fixture
def breaking(platform: Platform) -> Iterator[tuple[Store, list[int]]]:
    """A store of which so many answers, the first number, break off in the middle; and how many there were so far."""
    answers = [0, 0]

    class Breaks(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers[1] += 1
            self.send_response(200)
            self.send_header("Content-Length", "10")
            self.end_headers()
            self.wfile.write(b"01234" if answers[1] <= answers[0] else b"0123456789")

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Breaks) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        there = f"http://127.0.0.1:{server.server_port}"
        yield Store(dataclasses.replace(platform.settings.storage, endpoint_url=there), attempts=1), answers
        server.shutdown()


@pytest.mark.parametrize("broken", range(objects.READS + 1))
def test_an_object_whose_answer_breaks_off_is_read_three_times_and_no_more(
    breaking: tuple[Store, list[int]], broken: int
) -> None:
    store, answers = breaking

    def behind() -> bytes:
        file = io.BytesIO(b"before")
        file.seek(3)
        store.get_file("key", file)
        return file.getvalue().removeprefix(b"bef")

    reads: list[Callable[[], bytes]] = [
        lambda: store.get("key"), lambda: store.read_range("key", "etag", 0, 10), behind
    ]  # fmt: skip
    for read in reads:
        answers[:] = [broken, 0]
        if broken < 3:
            assert read() == b"0123456789"
        else:
            with pytest.raises(errors.Unavailable):
                read()
        assert answers[1] == min(broken + 1, 3)


class S3(http.server.BaseHTTPRequestHandler):
    """One that answers each method so; what it was asked is kept."""

    answers: ClassVar[dict[str, tuple[int, str]]]
    asked: ClassVar[list[tuple[str, str]]]

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        self.asked.append((self.command, body))
        status, said = self.answers[self.command]
        self.send_response(status)
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(said.encode())

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815 - the library looks for them

    def log_message(self, *_: object) -> None:
        """Quiet."""


Answering = Callable[..., tuple[Store, list[tuple[str, str]]]]


@pytest.fixture
def answering(platform: Platform) -> Iterator[Answering]:
    """A store that answers each method so, and what it is asked: the methods and the bodies."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(region: str = "us-east-1", **answers: tuple[int, str]) -> tuple[Store, list[tuple[str, str]]]:
        handler = type("Handler", (S3,), {"answers": answers, "asked": []})
        servers.append(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=servers[-1].serve_forever, args=(0.02,), daemon=True).start()
        there = f"http://127.0.0.1:{servers[-1].server_port}"
        settings = dataclasses.replace(platform.settings.storage, endpoint_url=there, region=region)
        return Store(settings, attempts=1), handler.asked  # type: ignore[attr-defined]

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_what_is_not_answered_at_all_is_asked_for_again_by_the_client_alone(answering: Answering) -> None:
    store, asked = answering(GET=(503, ""))
    with pytest.raises(errors.Unavailable):
        store.get("key")
    assert asked == [("GET", "")]


def test_what_the_store_keeps_although_it_was_to_be_deleted_is_not_taken_for_deleted(answering: Answering) -> None:
    listed = "<ListBucketResult><Contents><Key>a/b</Key></Contents></ListBucketResult>"
    kept = "<DeleteResult><Error><Key>a/b</Key><Code>AccessDenied</Code></Error></DeleteResult>"
    store, _ = answering(GET=(200, listed), POST=(200, kept))
    with pytest.raises(errors.Unavailable, match="did not delete a/b: AccessDenied"):
        store.delete_all("a/")


def refusal(code: str) -> str:
    return f"<Error><Code>{code}</Code></Error>"


@pytest.mark.parametrize(
    ("region", "answers", "made"),
    [
        ("us-east-1", {"HEAD": (200, "")}, []),
        # Who may use it and no more.
        ("us-east-1", {"HEAD": (403, "")}, []),
        ("us-east-1", {"HEAD": (404, ""), "PUT": (200, "")}, [None]),
        ("eu-central-1", {"HEAD": (404, ""), "PUT": (200, "")}, ["eu-central-1"]),
        # Somebody else was faster.
        ("us-east-1", {"HEAD": (404, ""), "PUT": (409, refusal("BucketAlreadyOwnedByYou"))}, [None]),
        ("us-east-1", {"HEAD": (404, ""), "PUT": (409, refusal("BucketAlreadyExists"))}, [None]),
    ],
)
def test_a_bucket_is_made_where_it_is_not_there_and_in_the_region_that_is_set(
    answering: Answering, region: str, answers: dict[str, tuple[int, str]], made: list[str | None]
) -> None:
    store, asked = answering(region, **answers)
    store.ensure_bucket()
    bodies = [
        re.search("<LocationConstraint>(.*)</LocationConstraint>", body) for method, body in asked if method == "PUT"
    ]
    assert [found and found[1] for found in bodies] == made


@pytest.mark.parametrize(
    "answers",
    [{"HEAD": (503, "")}, {"HEAD": (404, ""), "PUT": (403, refusal("AccessDenied"))}],
    ids=["away", "not ours"],
)
def test_a_bucket_that_is_not_there_and_cannot_be_made_is_an_error(
    answering: Answering, answers: dict[str, tuple[int, str]]
) -> None:
    with pytest.raises(exceptions.ClientError):
        answering(**answers)[0].ensure_bucket()


def test_what_is_read_in_pieces_is_not_begun_again_when_it_breaks_off(breaking: tuple[Store, list[int]]) -> None:
    store, answers = breaking
    answers[:] = [1, 0]
    with pytest.raises(errors.Unavailable):
        list(store.stream("key", "etag"))
    assert answers[1] == 1
