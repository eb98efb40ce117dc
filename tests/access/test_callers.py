"""What is shown by whoever comes in, and from where, as far as that is believed."""

from __future__ import annotations

import pytest

from access import callers, networks
from core import errors

PROXIES = ("10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("authorization", "key", "shown"),
    [
        (None, None, None),
        (None, "cck_a", "cck_a"),
        ("Bearer cck_a", None, "cck_a"),
        ("bEARER  cck_a ", None, "cck_a"),
        ("Bearer ", None, ""),
    ],
)
def test_a_key_is_shown_in_one_of_two_headers(authorization: str | None, key: str | None, shown: str | None) -> None:
    assert callers.shown(authorization, key) == shown


@pytest.mark.parametrize(
    ("authorization", "key"), [("Bearer cck_a", "cck_a"), ("Basic x", None), ("Bearer", None), ("", None), ("", "k")]
)
def test_two_of_them_or_one_of_another_kind_show_nothing(authorization: str, key: str | None) -> None:
    with pytest.raises(errors.Unauthorized):
        callers.shown(authorization, key)


@pytest.mark.parametrize(
    ("connected", "said", "found"),
    [
        ("8.8.8.8", "", "8.8.8.8"),
        ("8.8.8.8", "6.6.6.6", "8.8.8.8"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6", "6.6.6.6"),
        ("10.0.0.1", "6.6.6.6, 8.8.8.8", "8.8.8.8"),
        ("10.0.0.1", "6.6.6.6, 8.8.8.8, 10.1.1.1", "8.8.8.8"),
        ("10.0.0.1", "6.6.6.6, nonsense", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6, nonsense, fd00::1", "fd00::1"),
        ("fd00::1", "2001:DB8::0001", "2001:db8::1"),
        ("fd00::1%eth0", "::ffff:6.6.6.6", "6.6.6.6"),
        ("::ffff:10.0.0.1", "6.6.6.6", "6.6.6.6"),
        # By a Unix socket.
        ("", "6.6.6.6", "6.6.6.6"),
        ("", "", "unix"),
        ("", f"{' ' * 64}6.6.6.6", "unix"),
    ],
)
def test_who_speaks_for_others_is_believed_where_it_is_a_proxy_of_ours(connected: str, said: str, found: str) -> None:
    assert networks.behind(connected, said, PROXIES) == found


@pytest.mark.parametrize(
    ("address", "client"),
    [("192.0.2.1", "192.0.2.1"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"), ("2001:db8::", "2001:db8::/64")],
)
def test_one_client_has_an_address_or_of_ipv6_a_network(address: str, client: str) -> None:
    assert networks.of(address) == client
