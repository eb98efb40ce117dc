"""Where calls may go: what was judged is what is connected to, and nothing forbidden is ever connected to."""

from __future__ import annotations

import datetime as dt
import re
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from core import errors, outbound
from core.outbound import Kind
from core.settings import Settings
from tests.changed import changed
from tests.conftest import Platform
from tests.webhooks.conftest import Receiver, Tenant
from webhooks.http_post import Poster
from webhooks.receivers import Receivers

FORBIDDEN = [
    "127.0.0.1", "127.1", "127.0.0.53", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1",
    "169.254.169.254", "224.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "::1", "::", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::ffff:10.0.0.1", "fd00::1", "fe80::1", "ff02::1", "64:ff9b::7f00:1", "2002:7f00:1::1",
    "2001:db8::1", "64:ff9b:1::7f00:1", "fec0::1", "::127.0.0.1", "::ffff:0:7f00:1",
]  # fmt: skip


@pytest.mark.parametrize("address", FORBIDDEN)
def test_a_name_that_leads_to_such_an_address_is_refused(
    strict: Settings, resolver: Callable[..., list[str]], address: str
) -> None:
    resolver([address])
    receivers = Receivers(strict)
    with pytest.raises(errors.AddressRefused):
        receivers.place(receivers.parse("https://rebind.example/hook"), time.monotonic() + 5)
    assert Poster(receivers, timeout_s=30).post("https://rebind.example/hook", b"", {}).error == "ADDRESS_REFUSED"


@pytest.mark.parametrize("answers", [["93.184.215.14", "127.0.0.1"], ["127.0.0.1", "93.184.215.14"]])
def test_one_forbidden_address_among_public_ones_is_enough(
    strict: Settings, resolver: Callable[..., list[str]], answers: list[str]
) -> None:
    resolver(answers)
    assert Poster(Receivers(strict), timeout_s=30).post("https://rebind.example/", b"", {}).error == "ADDRESS_REFUSED"


def test_a_name_is_looked_up_once_and_what_it_says_the_next_time_is_never_connected_to(
    strict: Settings,
    resolver: Callable[..., list[str]],
    listener: tuple[int, list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, seen = listener
    asked = resolver(["203.0.113.7"], ["127.0.0.1"])
    real_kind = outbound.kind
    monkeypatch.setattr(outbound, "kind", lambda given: Kind.PUBLIC if given == "203.0.113.7" else real_kind(given))
    listed = changed(strict, webhook_hosts=(f"rebind.example:{port}",))
    tried: list[str] = []
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.type == socket.SOCK_DGRAM:
            # Asks for the route, and sends nothing.
            return real(self, address)
        tried.append(address[0])
        if address[0] == "203.0.113.7":
            raise ConnectionRefusedError
        return real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    answer = Poster(Receivers(listed), timeout_s=30).post(f"http://rebind.example:{port}/", b"", {})
    assert (answer.error, asked, tried, seen) == ("CONNECTION_FAILED", ["rebind.example"], ["203.0.113.7"], [])


def test_nothing_connects_to_this_machine_however_it_is_written(
    strict: Settings, listener: tuple[int, list[str]]
) -> None:
    port, seen = listener
    listed = changed(strict, webhook_hosts=tuple(f"{host}:{port}" for host in ("localhost", "127.0.0.1")))
    named = changed(strict, webhook_loopback=(port + 1,))
    for settings in (strict, listed, named):
        for host in ("localhost", "localhost.", "127.0.0.1", "127.1", "2130706433", "0177.0.0.1", "0x7f.1", "[::1]",
                     "[::ffff:127.0.0.1]", "0.0.0.0", "[::]", "0"):  # fmt: skip
            for scheme in ("http", "https"):
                answer = Poster(Receivers(settings), timeout_s=30).post(f"{scheme}://{host}:{port}/", b"", {})
                assert answer.error == "ADDRESS_REFUSED", host
    assert seen == []


@pytest.mark.parametrize(
    ("url", "issue"),
    [
        ("http://example.com/", "must be https"),
        ("https://example.com:8443/", "must be https"),
        ("https://127.0.0.1/", "not public"),
        ("https://2130706433/", "not public"),
        ("https://0x7f.1/", "not public"),
        ("https://[::ffff:169.254.169.254]/", "not public"),
        ("https://169.254.169.254/latest/meta-data/", "not public"),
        ("https://user:password@example.com/", "no user"),
        ("https://example.com@127.0.0.1/", "no user"),
        ("https://example.com#@127.0.0.1/", "plain https URL"),
        ("https://EXAMPLE.com/", "lower case"),
        ("https://exämple.com/", "plain https URL"),
        ("https://example。com/", "plain https URL"),
        ("https://exa mple.com/", "plain https URL"),
        ("https://example.com/\r\nX: y", "plain https URL"),
        ("https:///hook", "plain https URL"),
        ("https://[::1/", "is not a URL"),
        ("https://example.com:99999/", "is not a URL"),
        ("ftp://example.com/", "plain https URL"),
        ("javascript:alert(1)", "plain https URL"),
        ("file:///etc/passwd", "plain https URL"),
        ("example.com", "plain https URL"),
        ("https://a..example.com/", "no name"),
        ("https://.example.com/", "no name"),
        ("https://" + "a" * 64 + ".com/", "no name"),
        ("https://example.com:0/", "must be https|no port"),
        ("https://[::1]x/", "no name|is not a URL"),
        ("https://x[::1]/", "no name|is not a URL"),
        ("https://example.com/" + "x" * 2048, "maximum length"),
    ],
)
def test_a_url_that_cannot_be_called_is_refused_when_it_is_handed_in(strict: Settings, url: str, issue: str) -> None:
    with pytest.raises(errors.InvalidInput) as refused:
        Receivers(strict).parse(url, "webhook_url")
    assert refused.value.details["field"] == "webhook_url"
    # Newer Pythons refuse some of them before we do.
    assert re.search(issue, refused.value.details["issue"])


def test_the_api_names_the_field(tenant: Tenant) -> None:
    body = {"url": "https://10.0.0.1/", "events": ["job.completed"]}
    assert tenant.http.post("/api/v1/webhooks", json=body).json["error"]["details"]["field"] == "url"
    job = {"inputs": {"text": "x"}, "webhook_url": "https://10.0.0.1/"}
    refused = tenant.http.post("/api/v1/jobs", json=job)
    assert (refused.status_code, refused.json["error"]["details"]["field"]) == (422, "webhook_url")


def test_a_listed_host_may_be_private_but_never_where_clouds_keep_their_secrets(
    strict: Settings, resolver: Callable[..., list[str]]
) -> None:
    receivers = Receivers(changed(strict, webhook_hosts=("rebind.example:8080",)))
    receiver = receivers.parse("http://rebind.example:8080/")
    resolver(["10.0.0.7"], ["169.254.169.254"], ["127.0.0.1"])
    ends_at = time.monotonic() + 20
    assert receivers.place(receiver, ends_at).addresses == ["10.0.0.7"]
    for _ in range(2):
        with pytest.raises(errors.AddressRefused):
            receivers.place(receiver, ends_at)


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("http://[fd00::5]:8080/", True),
        ("http://[fd00::5]:8081/", False),
        ("http://[fd00::6]:8080/", False),
    ],
)
def test_a_listed_host_may_be_an_address_of_either_kind(strict: Settings, url: str, may: bool) -> None:
    receivers = Receivers(changed(strict, webhook_hosts=("[fd00::5]:8080",)))
    if may:
        assert receivers.place(receivers.parse(url), time.monotonic() + 20).addresses == ["fd00::5"]
    else:
        with pytest.raises(errors.InvalidInput):
            receivers.parse(url)


def test_proxies_of_the_environment_are_not_asked(
    receiver: Receiver, platform: Platform, listener: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    port, seen = listener
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{port}")
    assert Poster(Receivers(platform.settings), timeout_s=5).post(receiver.url, b"{}", {}).good
    assert seen == []


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Self-signed, for localhost and for somebody else."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("localhost", "elsewhere.example"):
        key, subject = (
            ec.generate_private_key(ec.SECP256R1()),
            x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]),
        )
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        plain = serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        (folder / f"{name}.pem").write_bytes(made.public_bytes(pem) + key.private_bytes(pem, *plain))
    return folder


@pytest.mark.parametrize(
    ("certificate", "trusted", "error"),
    [
        ("localhost", ["localhost"], None),
        ("localhost", [], "TLS_ERROR"),
        ("elsewhere.example", ["elsewhere.example"], "TLS_ERROR"),
    ],
    ids=["trusted", "not trusted", "of another name"],
)
def test_certificates_are_checked_against_the_name(
    platform: Platform, certificates: Path, new_receiver: Callable[..., Receiver], monkeypatch: pytest.MonkeyPatch,
    certificate: str, trusted: list[str], error: str | None
) -> None:  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{certificate}.pem")
    receiver = new_receiver(tls=context)
    for name in trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificates / f"{name}.pem"))
    url = receiver.url.replace("127.0.0.1", "localhost")
    answer = Poster(Receivers(platform.settings), timeout_s=5).post(url, b"{}", {})
    assert (answer.good, answer.error) == (error is None, error)
    assert len(receiver.calls) == (error is None)


def test_a_handshake_that_drips_ends_in_time(strict: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        named = changed(strict, webhook_loopback=(server.getsockname()[1],))
        caller = Poster(Receivers(named), timeout_s=1.0)
        answer = caller.post(f"https://127.0.0.1:{server.getsockname()[1]}/", b"{}", {})
    assert answer.error == "TIMED_OUT"
    assert answer.ms < 10_000
