"""Nothing that a tenant hands in reaches this machine or an engine, but for the ports that the operator named."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from core import errors, outbound
from core.outbound import Kind
from core.settings import Settings
from tests.changed import changed
from tests.conftest import until
from tests.webhooks.conftest import Receiver, say
from webhooks.http_post import Poster
from webhooks.receivers import Receivers


def test_a_named_port_of_this_machine_may_be_called_by_its_plain_names_alone(
    strict: Settings, listener: tuple[int, list[str]]
) -> None:
    port, seen = listener
    caller = Poster(Receivers(changed(strict, webhook_loopback=(port,))), timeout_s=30)
    for host in ("127.1", "127.0.0.2", "2130706433", "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "[::ffff:0:127.0.0.1]",
                 "localhost.", "localhost.localdomain"):  # fmt: skip
        assert caller.post(f"http://{host}:{port}/", b"", {}).error == "ADDRESS_REFUSED", host
    assert seen == []
    for host in ("127.0.0.1", "localhost"):
        assert caller.post(f"http://{host}:{port}/", b"", {}).error in ("CONNECTION_FAILED", "BAD_ANSWER")
    until(lambda: len(seen) == 2)


def test_a_listed_name_never_leads_to_this_machine_or_to_an_engines(
    strict: Settings, resolver: Callable[..., list[str]]
) -> None:
    """A number was chosen by the operator: there only the engine itself is out of reach."""
    engines: dict[str, Any] = {
        "database_url": "postgresql://a:b@10.9.9.1:5432/d",
        "redis_url": "redis://10.9.9.2:6379/0",
        "s3_endpoint_url": "http://10.9.9.3:8333",
    }
    hosts = ("rebind.example:8080", *(f"10.9.9.{n}:{port}" for n in (1, 2, 3) for port in (5432, 6379, 8333, 8080)))
    receivers = Receivers(changed(strict, **engines, webhook_hosts=hosts))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("10.9.9.1", 9))
        own = str(probe.getsockname()[0])
    ends_at = time.monotonic() + 60
    for address in ("10.9.9.1", "10.9.9.2", "10.9.9.3", own, "::ffff:10.9.9.4"):
        resolver([address])
        with pytest.raises(errors.AddressRefused):
            receivers.place(receivers.parse("http://rebind.example:8080/col/delete"), ends_at)
    refused = set()
    for n, port in ((n, port) for n in (1, 2, 3) for port in (5432, 6379, 8333, 8080)):
        try:
            receivers.place(receivers.parse(f"http://10.9.9.{n}:{port}/"), ends_at)
        except errors.AddressRefused:
            refused.add((n, port))
    assert refused == {(1, 5432), (2, 6379), (3, 8333)}


def test_an_engine_on_this_machine_is_known_by_all_of_the_machines_addresses(
    strict: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbound, "is_here", lambda address: address in ("127.0.0.1", "10.9.9.9"))
    url = "postgresql://a:b@127.0.0.1:5432/d"
    listed = changed(strict, database_url=url, webhook_hosts=("10.9.9.9:5432", "10.9.9.9:9000"))
    receivers, ends_at = Receivers(listed), time.monotonic() + 20
    assert receivers.place(receivers.parse("http://10.9.9.9:9000/"), ends_at).addresses == ["10.9.9.9"]
    with pytest.raises(errors.AddressRefused):
        receivers.place(receivers.parse("http://10.9.9.9:5432/"), ends_at)


def test_only_what_is_public_is_quoted_in_the_log(
    new_receiver: Callable[..., Receiver], strict: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    receiver = new_receiver(say(500, b"x" * 2000))
    port = int(receiver.url.split(":")[2].partition("/")[0])
    listed = changed(strict, webhook_hosts=(f"127.0.0.1:{port}",), webhook_timeout_s=5)
    for kind, response in ((Kind.PRIVATE, None), (Kind.PUBLIC, "x" * 1000)):
        monkeypatch.setattr(outbound, "kind", lambda _, kind=kind: kind)
        answer = Poster(Receivers(listed), timeout_s=5).post(receiver.url, b"{}", {})
        assert (answer.status, answer.response) == (500, response)


def test_a_name_that_nobody_answers_for_ends_with_the_call(strict: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real = socket.getaddrinfo

    def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if not kwargs.get("flags"):
            release.wait(30)
            raise socket.gaierror
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    answer = Poster(Receivers(strict), timeout_s=0.5).post("https://slow.example/", b"{}", {})
    release.set()
    assert answer.error == "TIMED_OUT"
    assert 500 <= answer.ms < 10_000
