"""What kind of address an address is: by our own tables, the same under every Python."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from typing import Any

import pytest

from core import outbound
from core.outbound import Kind, kind
from tests.hands import without_threads

FORBIDDEN_V4 = [
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
    "224.0.0.0/4", "240.0.0.0/4", "168.63.129.16/32", "100.100.100.200/32",
]  # fmt: skip
FORBIDDEN_V6 = [
    "::/128", "::1/128", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    "4000::/3", "5f00::/16", "fc00::/7", "fd00:ec2::254/128", "fd20:ce::254/128", "fe80::/10", "fec0::/10", "ff00::/8",
]  # fmt: skip
PUBLIC = ["8.8.8.8", "1.1.1.1", "168.63.129.17", "100.128.0.1", "192.0.1.1", "2606:4700::1111", "2a00:1450::1"]


def ends(networks: list[str]) -> list[str]:
    """The first, the last and one in the middle of each."""
    found = [ipaddress.ip_network(item) for item in networks]
    return list(dict.fromkeys(str(item[at]) for item in found for at in (0, item.num_addresses // 2, -1)))


def wrapped(address: str) -> list[str]:
    """An IPv4 address in every form of IPv6 that stands for one."""
    inner = int(ipaddress.IPv4Address(address))
    low = [*("::", "::ffff:0:0", "::ffff:0:0:0", "64:ff9b::", "64:ff9b:1::", "64:ff9b:1:ffff:ffff::")]
    isatap = [
        f"{prefix}:{group}:5efe:0:0" for prefix in ("2a00:1450:1:2", "fd00:1:2:3", "fe80:0:0:0") for group in (0, 200)
    ]
    numbers = [int(ipaddress.IPv6Address(item)) + inner for item in low + isatap]
    # 6to4 in the upper half (RFC 3056); Teredo's server there, and its client inverted below (RFC 4380).
    numbers += [(0x2002 << 112) + (inner << 80) + 1]
    numbers += [(0x20010000 << 96) + (inner << 64), (0x20010000 << 96) + (0x08080808 << 64) + (inner ^ 0xFFFFFFFF)]
    return [str(ipaddress.IPv6Address(item)) for item in numbers]


@pytest.mark.parametrize("address", ends(FORBIDDEN_V4 + FORBIDDEN_V6))
def test_what_is_not_at_large_is_not_public(address: str) -> None:
    assert kind(address) is not Kind.PUBLIC
    assert kind(f"{address}%eth0") is kind(address)


@pytest.mark.parametrize("address", [*ends(FORBIDDEN_V4), "8.8.8.8"])
def test_every_wrapped_form_of_an_address_is_never_called(address: str) -> None:
    assert {form: kind(form) for form in wrapped(address)} == dict.fromkeys(wrapped(address), Kind.NEVER)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_at_large_is_public(address: str) -> None:
    assert kind(address) is Kind.PUBLIC


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23"),
        *("fd20:ce::254", "fd00:42::42", "fe80::a9fe:a9fe", "0.0.0.0", "::", "255.255.255.255", "224.0.0.1", "ff02::1"),
    ],
)
def test_metadata_and_what_is_no_machine_are_called_by_nobody(address: str) -> None:
    assert kind(address) is Kind.NEVER


def test_an_operator_may_list_what_is_private() -> None:
    assert {kind(item) for item in ("10.0.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1", "fd12::1")} == {
        Kind.PRIVATE
    }
    assert {kind(item) for item in ("127.0.0.1", "127.255.0.1", "::1")} == {Kind.LOOPBACK}


def test_this_machine_is_known_by_every_address_it_has() -> None:
    assert outbound.is_here("127.0.0.1")
    assert outbound.is_here("127.8.9.10")
    assert outbound.is_here("::1")
    assert not outbound.is_here("192.0.2.1")
    # Where no route leads: to broadcast is not allowed.
    assert not outbound.is_here("255.255.255.255")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            pytest.skip("this machine has no other address")
        assert outbound.is_here(probe.getsockname()[0])


def test_a_look_up_for_which_there_is_no_thread_fails_as_any_other_and_gives_its_place_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outbound, "_PLACES", threading.BoundedSemaphore(1))
    for _ in range(2):
        with without_threads(monkeypatch), pytest.raises(OSError, match="no thread is left"):
            outbound.lookup("slow.example", 443, time.monotonic() + 20)
    assert outbound.lookup("localhost", 443, time.monotonic() + 20)


def test_a_look_up_that_hangs_ends_in_time_and_gives_its_place_back(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    real = socket.getaddrinfo

    def hang(host: str, *args: Any, **kwargs: Any) -> Any:
        if host == "slow.example" and not kwargs.get("flags"):
            release.wait(30)
            raise socket.gaierror
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    monkeypatch.setattr(outbound, "_PLACES", threading.BoundedSemaphore(2))
    try:
        for _ in range(3):
            started = time.monotonic()
            with pytest.raises(TimeoutError):
                outbound.lookup("slow.example", 443, started + 0.3)
            assert time.monotonic() - started < 10
        # Who still looks keeps no process from its end.
        assert {thread.daemon for thread in threading.enumerate() if thread.name == "lookup"} == {True}
        # A number needs nobody's help.
        assert outbound.lookup("10.0.0.1", 443, time.monotonic()) == ["10.0.0.1"]
    finally:
        release.set()
    with pytest.raises(socket.gaierror):
        outbound.lookup("slow.example", 443, time.monotonic() + 20)
