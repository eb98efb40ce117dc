"""Whose request it is by its address: what is believed, and of whom."""

from __future__ import annotations

from collections.abc import Iterator

import flask
import pytest

import api
from api import client
from tests.changed import changed
from tests.conftest import Platform


@pytest.fixture
def behind(platform: Platform) -> Iterator[flask.Flask]:
    """An API that trusts proxies in two networks."""
    made = api.create_app(changed(platform.settings, trusted_proxies=("10.0.0.0/8", "fd00::/8")))
    with made.app_context():
        yield made
    made.extensions["coatcheck"].close()


@pytest.mark.usefixtures("behind")
@pytest.mark.parametrize(
    ("peer", "said", "client_is"),
    [
        # Who is no proxy of ours speaks for nobody, whatever is said.
        ("8.8.8.8", "", "8.8.8.8"),
        ("8.8.8.8", "6.6.6.6", "8.8.8.8"),
        ("127.0.0.1", "6.6.6.6", "127.0.0.1"),
        ("8.8.8.8", "10.0.0.1", "8.8.8.8"),
        # Who is speaks for the one next to it, and what that one says before is not believed.
        ("10.0.0.1", "8.8.8.8", "8.8.8.8"),
        ("10.0.0.1", "6.6.6.6,8.8.8.8", "8.8.8.8"),
        ("10.0.0.1", "6.6.6.6, 8.8.8.8 ,10.9.9.9", "8.8.8.8"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.8", "10.0.0.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("::ffff:10.0.0.1", "::ffff:8.8.8.8", "8.8.8.8"),
        ("fd00::1", "2001:DB8:0:0::7", "2001:db8::7"),
        # What is no address is nobody's: it stays the one who said it.
        ("10.0.0.1", "unknown", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6,unknown", "10.0.0.1"),
        ("10.0.0.1", "8.8.8.8:99", "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6," + " " * 9000, "10.0.0.1"),
        ("10.0.0.1", "6.6.6.6," + "8" * 9000, "10.0.0.1"),
        # A Unix socket is our own proxy's.
        ("", "8.8.8.8", "8.8.8.8"),
        ("", "6.6.6.6,8.8.8.8", "8.8.8.8"),
        ("", "", "unix"),
    ],
)
def test_a_client_is_who_the_nearest_trusted_proxy_says(peer: str, said: str, client_is: str) -> None:
    environ = {"REMOTE_ADDR": peer, **({"HTTP_X_FORWARDED_FOR": said} if said else {})}
    assert client.address(environ) == client_is


@pytest.mark.usefixtures("behind")
@pytest.mark.parametrize(
    ("peer", "network"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("", "unix"),
    ],
)
def test_all_of_an_ipv6_network_is_one_client_and_an_ipv4_address_is_one(peer: str, network: str) -> None:
    assert client.network({"REMOTE_ADDR": peer}) == network


def test_nobody_is_believed_unless_it_is_set(app: flask.Flask) -> None:
    with app.app_context():
        assert client.address({"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_FOR": "6.6.6.6"}) == "10.0.0.1"
