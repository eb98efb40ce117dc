"""Why a server cannot be reached: TLS, proxies, and nobody who listens."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cli import connection
from local import certificates
from tests.cli.conftest import KEY, Run, serving

JSON = {"Content-Type": "application/json"}
REFUSED = "the proxy does not let us through (connection refused)"
NOT_MEANT = "must be an address such as http://proxy.example:3128"


@contextlib.contextmanager
def of_no_authority(folder: Path) -> Iterator[str]:
    """The address of one that speaks TLS, and whose certificate nobody trusts."""
    made = certificates.ensure(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hear() -> None:
            caller, _ = listener.accept()
            with caller, contextlib.suppress(OSError):
                context.wrap_socket(caller, server_side=True).close()

        thread = threading.Thread(target=hear)
        thread.start()
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def told(run: Run, url: str, **more: str) -> dict[str, Any]:
    """The one thing that is said where nobody answers: another try would be said before it."""
    done = run("jobs", "--json", COATCHECK_URL=url, COATCHECK_API_KEY=KEY, **more)
    assert (done.code, done.out) == (1, "")
    found: dict[str, Any] = json.loads(done.err)["error"]
    return found


def test_a_certificate_that_is_not_trusted_is_told_with_what_helps_and_is_not_tried_again(
    run: Run, tmp_path: Path
) -> None:
    with of_no_authority(tmp_path / "tls") as url:
        found = told(run, url)
    assert (found["code"], found["retryable"]) == ("UNREACHABLE", False)
    assert found["message"].startswith(f"{url} does not answer: its certificate is not trusted (")
    assert found["message"].endswith("; SSL_CERT_FILE names a file with the authority that signed it")


def test_who_speaks_no_tls_is_told_from_who_is_not_trusted(run: Run) -> None:
    with serving(lambda _: (200, JSON, b'{"jobs": []}')) as (plain, asked):
        url = plain.replace("http://", "https://")
        found = told(run, url)
    said = "it does not speak TLS; should the address begin with http://?"
    assert (found["message"], found["retryable"], asked) == (f"{url} does not answer: {said}", False, [])


@pytest.mark.parametrize(
    ("proxy", "code", "said"),
    [
        ("http://me:hush@127.0.0.1:9", "UNREACHABLE", REFUSED),
        ("https://127.0.0.1:9", "UNREACHABLE", REFUSED),
        ("127.0.0.1:9", "UNREACHABLE", REFUSED),
        ("socks5://me:hush@127.0.0.1:9", "PROXY", NOT_MEANT),
        ("http://", "PROXY", NOT_MEANT),
        ("http://me:hush@proxy.example:99999", "PROXY", NOT_MEANT),
        ("http://me:hush@/", "PROXY", NOT_MEANT),
        ("me:hu/sh@proxy.example:3128", "PROXY", NOT_MEANT),
    ],
)
def test_why_a_proxy_does_not_help_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch, proxy: str, code: str, said: str
) -> None:
    monkeypatch.setattr("cli.remote.PATIENCE_S", 0.0)
    found = told(run, "http://coatcheck.example", HTTP_PROXY=proxy)
    assert (found["code"], found["retryable"]) == (code, code == "UNREACHABLE")
    assert found["message"].endswith(said), found["message"]
    assert "sh@" not in found["message"]


def test_a_proxy_is_used_though_nothing_says_how_it_is_spoken_to(run: Run) -> None:
    with serving(lambda _: (200, JSON, b'{"jobs": []}')) as (url, asked):
        proxy = url.removeprefix("http://")
        done = run("jobs", COATCHECK_URL="http://coatcheck.example", COATCHECK_API_KEY=KEY, HTTP_PROXY=proxy)
    assert (done.code, done.err) == (0, "")
    assert asked[0].startswith("GET http://coatcheck.example/api/v1/jobs?limit=20 HTTP/1.1")


def test_nobody_is_waited_for_longer_than_a_minute() -> None:
    assert (connection.TIMEOUT.connect_timeout, connection.TIMEOUT.read_timeout) == (5, 60)
