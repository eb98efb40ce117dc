from __future__ import annotations

import contextlib
import socket
import time
import uuid
from collections.abc import Callable, Iterator

import prometheus_client
import pytest
from flask.testing import FlaskClient

from access import keys
from core import errors
from serving.places import Places
from tests.api.conftest import Server
from tests.conftest import Platform, until

JOBS = "/api/v1/jobs"
Hold = Callable[[int, Callable[[], socket.socket]], list[socket.socket]]


@pytest.fixture
def gauge() -> prometheus_client.Gauge:
    return prometheus_client.Gauge("places", "Taken", registry=prometheus_client.CollectorRegistry())


def test_a_tenant_has_its_part_of_the_places_and_all_have_no_more_than_there_are(
    gauge: prometheus_client.Gauge,
) -> None:
    places = Places("seats", 4, 0.5, gauge, own_limit=errors.TooManyRequests)
    one, other, third = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    leave = [places.take(one), places.take(one)][0]
    with pytest.raises(errors.TooManyRequests, match="Your tenant has 2 seats already"):
        places.take(one)
    places.take(other), places.take(other)
    with pytest.raises(errors.Busy, match="4 seats of all tenants") as caught:
        places.take(third)
    assert not isinstance(caught.value, errors.TooManyRequests)
    leave(), leave()
    (taken,) = gauge.collect()
    assert taken.samples[0].value == 3
    places.take(third)
    with pytest.raises(errors.Busy):
        places.take(third)


@pytest.mark.parametrize(("total", "its_part"), [(1, 1), (3, 1), (16, 4), (17, 4)])
def test_a_tenant_always_has_one_place(gauge: prometheus_client.Gauge, total: int, its_part: int) -> None:
    assert Places("seats", total, 0.25, gauge).per_tenant == its_part


@pytest.fixture
def hold() -> Iterator[Hold]:
    """Makes so many connections, which are closed with the test at the latest."""
    with contextlib.ExitStack() as stack:
        yield lambda count, connect: [stack.enter_context(connect()) for _ in range(count)]


def head(key: str, line: str, extra: str = "") -> str:
    return f"{line} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {key}\r\n{extra}"


def status(connection: socket.socket) -> int:
    return int(connection.recv(4096, socket.MSG_PEEK)[9:12])


def body_that_never_comes(server: Server, key: str) -> socket.socket:
    """Answered with 100 when somebody begins to wait for it."""
    extra = "Content-Type: application/json\r\nContent-Length: 1000\r\nExpect: 100-continue\r\n"
    return server.connect(head(key, f"POST {JOBS}", extra))


def counted(server: Server, platform: Platform, name: str) -> int:
    key = keys.create(platform.engine, tenant="monitoring", name="prometheus", scopes={"metrics"})
    text = server.ask(head(key, "GET /metrics")).decode()
    return int(float(text.split(f"\n{name} ")[1].split()[0]))


def submitted(server: Server, key: str) -> str:
    body = b'{"inputs":{"text":"Lovely"}}'
    extra = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    answer = server.ask(head(key, f"POST {JOBS}", extra), body)
    assert b" 202 " in answer.splitlines()[0]
    return answer.split(b'"job_id":"')[1].split(b'"')[0].decode()


def test_a_tenant_that_takes_all_it_can_get_leaves_the_others_theirs(
    server: Server, platform: Platform, hold: Hold, quiet: None
) -> None:
    (_, greedy), (_, modest) = platform.new_tenant(), platform.new_tenant()
    job = submitted(server, greedy)
    streams = hold(16, lambda: server.connect(head(greedy, f"GET {JOBS}/{job}/events")))
    assert sorted(map(status, streams)) == [200] * 4 + [503] * 12
    hold(4, lambda: server.connect(head(greedy, f"GET {JOBS}/{job}?wait=20")))
    until(lambda: counted(server, platform, "http_waiters") == 4)
    bodies = hold(28, lambda: body_that_never_comes(server, greedy))
    assert sorted(map(status, bodies)) == [100] * 24 + [429] * 4
    refused = server.ask(head(greedy, f"GET {JOBS}"))
    assert b" 429 " in refused.splitlines()[0]
    assert b"TOO_MANY_REQUESTS" in refused
    assert b"retry-after: 2" in refused.lower()
    # Nobody else notices: probes, plain requests, a stream, and a wait that really waits.
    assert b"200 OK" in server.ask("GET /healthz HTTP/1.1\r\nHost: h\r\n")
    other = submitted(server, modest)
    with server.connect(head(modest, f"GET {JOBS}/{other}/events")) as stream:
        assert status(stream) == 200
    with server.connect(head(modest, f"GET {JOBS}/{other}?wait=20")) as wait:
        wait.settimeout(0.5)
        with pytest.raises(TimeoutError):
            wait.recv(1)


def test_places_are_free_again_soon_after_their_clients_have_gone(
    server: Server, platform: Platform, hold: Hold, quiet: None
) -> None:
    _, key = platform.new_tenant()
    job = submitted(server, key)
    for _ in range(3):
        streams = hold(4, lambda: server.connect(head(key, f"GET {JOBS}/{job}/events")))
        assert list(map(status, streams)) == [200] * 4
        bodies = hold(16, lambda: body_that_never_comes(server, key))
        assert list(map(status, bodies)) == [100] * 16
        for item in streams + bodies:
            item.close()
        # The one request is the question itself.
        until(lambda: counted(server, platform, "http_requests_in_flight") == 1)
        until(lambda: counted(server, platform, "http_event_streams") == 0)


def test_whatever_a_request_ends_in_its_place_is_free_afterwards(client: FlaskClient) -> None:
    here = client.application.extensions["coatcheck"]
    before = [places.taken for places in (here.requests, here.waiters, here.streams)]
    for path in (JOBS, f"{JOBS}/x", f"{JOBS}/x/events", f"{JOBS}/job_{uuid.uuid4()}?wait=1", "/metrics", "/nothing"):
        client.get(path)
        client.post(path, data=b"{", content_type="application/json")
        client.open(path, method="OPTIONS")
    assert [places.taken for places in (here.requests, here.waiters, here.streams)] == before


def test_a_stream_that_nobody_begins_to_read_gives_its_place_back(client: FlaskClient, quiet: None) -> None:
    answer = client.post(JOBS, json={"inputs": {"text": "Great"}}).get_json()
    for _ in range(20):
        stream = client.get(f"{JOBS}/{answer['job_id']}/events", buffered=False)
        assert stream.status_code == 200
        stream.close()


@pytest.mark.parametrize("end", ["revoked_at", "expires_at"])
@pytest.mark.parametrize("asked", ["{job}/events", "{job}?wait=25"])
def test_what_a_key_opened_ends_when_the_key_does(
    server: Server, platform: Platform, quiet: None, asked: str, end: str
) -> None:
    caller, key = platform.new_tenant()
    job = submitted(server, key)
    with server.connect(head(key, f"GET {JOBS}/{asked.format(job=job)}", "Connection: close\r\n")) as connection:
        if "events" in asked:
            assert status(connection) == 200
        else:
            until(lambda: counted(server, platform, "http_waiters") == 1)
        platform.execute(f"UPDATE api_keys SET {end} = now() WHERE id = :id", id=caller.key_id)
        began = time.monotonic()
        connection.settimeout(20)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert time.monotonic() - began < 20
    assert (b" 200 " in answer.splitlines()[0]) == ("events" in asked)
    assert (b"UNAUTHORIZED" in answer) == ("wait" in asked)
    assert b"event: completed" not in answer
