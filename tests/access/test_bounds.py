"""What narrows a key, and that no key makes one that is less narrow than itself."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from access.bounds import MOST, UNBOUND, Bounds
from core import errors

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(seconds=1)


def of(models: Any = None, networks: Any = None, expires_at: Any = None) -> Bounds:
    return Bounds.read(models=models, networks=networks, expires_at=expires_at)


@pytest.mark.parametrize(
    ("networks", "address", "taken"),
    [
        (["192.0.2.0/24"], "192.0.2.255", True),
        (["192.0.2.0/24"], "192.0.3.0", False),
        (["192.0.2.7"], "192.0.2.7", True),
        (["192.0.2.7"], "192.0.2.8", False),
        (["192.0.2.0/24"], "::ffff:192.0.2.9", True),
        (["::ffff:192.0.2.0/120"], "192.0.2.9", True),
        (["::ffff:192.0.2.0/120"], "192.0.3.9", False),
        (["2001:db8::/32"], "2001:db8:ffff::1", True),
        (["2001:db8::/32"], "2001:db9::1", False),
        (["2001:db8::/32", "192.0.2.0/24"], "192.0.2.1", True),
        (["0.0.0.0/0"], "2001:db8::1", False),
        (["0.0.0.0/0", "::/0"], None, False),
        (["0.0.0.0/0", "::/0"], "", False),
        (["0.0.0.0/0", "::/0"], "unix:", False),
        (None, None, True),
        (None, "192.0.2.1", True),
    ],
)
def test_a_key_is_taken_from_its_networks_and_where_it_has_none_from_everywhere(
    networks: list[str] | None, address: str | None, taken: bool
) -> None:
    if taken:
        of(networks=networks).check_address(address)
    else:
        with pytest.raises(errors.Forbidden, match="may not be used from this address"):
            of(networks=networks).check_address(address)


def test_a_key_is_for_its_models_alone() -> None:
    of(models=["a", "b"]).check_model("b")
    UNBOUND.check_model("c")
    with pytest.raises(errors.Forbidden, match="not for this model") as caught:
        of(models=["a", "b"]).check_model("c")
    assert caught.value.details == {"field": "model", "received": "c"}


@pytest.mark.parametrize(
    ("field", "given"),
    [
        ("models", []), ("models", [f"m{number}" for number in range(MOST + 1)]), ("models", ["A"]),
        ("models", ["a\n"]),
        ("networks", []), ("networks", [f"192.0.2.{number}" for number in range(MOST + 1)]),
        ("networks", ["192.0.2.1/24"]), ("networks", ["192.0.2.0/33"]), ("networks", ["example.com"]),
        ("networks", [""]), ("networks", ["fe80::1%eth0/64"]), ("networks", ["fe80::1%eth0"]),
    ],
)  # fmt: skip
def test_what_names_no_model_and_no_network_is_refused_by_its_field(field: str, given: list[str]) -> None:
    with pytest.raises(errors.InvalidInput) as caught:
        of(**{field: given})
    received = given[0] if len(given) == 1 else len(given)
    assert (caught.value.details["field"], caught.value.details["received"]) == (field, received)


@pytest.mark.parametrize(
    ("asked", "own", "beyond"),
    [
        (of(models=["a"]), of(models=["a", "b"]), None),
        (of(models=["a", "c"]), of(models=["a", "b"]), "models"),
        (UNBOUND, of(models=["a"]), "models"),
        (of(networks=["192.0.2.128/25"]), of(networks=["198.51.100.0/24", "192.0.2.0/24"]), None),
        (of(networks=["192.0.2.0/24"]), of(networks=["192.0.2.128/25"]), "networks"),
        (of(networks=["192.0.2.0/25", "2001:db8::/64"]), of(networks=["192.0.2.0/24"]), "networks"),
        (UNBOUND, of(networks=["192.0.2.0/24"]), "networks"),
        (of(expires_at=NOW), of(expires_at=NOW), None),
        (of(expires_at=LATER), of(expires_at=NOW), "expires_in_s"),
        (UNBOUND, of(expires_at=NOW), "expires_in_s"),
        (of(["a"], ["192.0.2.0/24"], NOW), UNBOUND, None),
    ],
)
def test_what_goes_beyond_ones_own_is_refused_by_its_field(asked: Bounds, own: Bounds, beyond: str | None) -> None:
    if beyond is None:
        asked.check_within(own)
        return
    with pytest.raises(errors.Forbidden) as caught:
        asked.check_within(own)
    assert caught.value.details == {"field": beyond, "issue": "goes beyond your own key's"}


def test_what_is_not_said_is_as_in_ones_own() -> None:
    own = of(["a"], ["192.0.2.0/24"], NOW)
    assert UNBOUND.filled(own) == own
    assert of(models=["b"]).filled(own) == of(["b"], ["192.0.2.0/24"], NOW)
