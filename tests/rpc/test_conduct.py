"""What errors by gRPC lead to is what they lead to over HTTP, for keys and for networks that have none."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence

import grpc
import pytest

from access import entrance
from access.conduct import Conduct
from access.ladder import Ladder
from api import conduct as http
from api import errors as statuses
from core import errors
from rpc import errors as codes
from tests import callers
from tests.conftest import Platform, until
from tests.rpc.conftest import Client, Served

pytestmark = pytest.mark.usefixtures("quiet")
Code = grpc.StatusCode
SECRET = "0" * 48
#: What weighs otherwise, as its status is that of others: there a retired version is gone (410), and what costs
#: too much ever is an input that is wrong (422).
OTHERWISE = {errors.VersionRetired: 0.5, errors.RequestTooCostly: 0.25}
MOST = 9


@pytest.fixture
def strict(serve: Callable[..., Served]) -> Iterator[Served]:
    """A door that bears nine errors, forgets none while a test runs, and believes whoever says for whom it speaks."""
    found = serve(max_errors=MOST, trusted_proxies=("127.0.0.1",))
    conduct = vars(found.door)["conduct"] = Conduct(found.door.engine, Ladder(errors=MOST, refill_s=1e9))
    yield found
    conduct.close()


def stranger(strict: Served, address: str, shown: str) -> Client:
    return Client(strict.channel, {"x-forwarded-for": address, "authorization": f"Bearer {shown}"})


@pytest.mark.parametrize("kind", [*errors.tree()], ids=lambda kind: kind.__name__)
def test_an_error_weighs_what_it_weighs_over_http(kind: type[errors.CoatcheckError]) -> None:
    told, status = codes.status(kind()), statuses.status(kind())
    weighs = OTHERWISE.get(kind, http.WEIGHTS.get(status, 0.0))
    assert issubclass(kind, entrance.BLAMELESS) or codes.WEIGHTS.get(told, 0.0) == weighs, (told, status)


@pytest.mark.parametrize(
    ("keys", "reason"),
    [([callers.written(f"{number:012x}", SECRET) for number in range(6)], "scanning"),
     ([callers.written("0" * 12, SECRET)] * 10, "errors")],
    ids=["one after the other", "one again and again"],
)  # fmt: skip
def test_a_network_whose_keys_open_nothing_is_held_back_by_its_64_bits_and_why_is_known(
    platform: Platform, strict: Served, keys: Sequence[str], reason: str
) -> None:
    network = f"2001:db8:{secrets.randbelow(0xFFFE) + 1:x}:{secrets.randbelow(0xFFFE) + 1:x}"
    for place, shown in enumerate(keys):
        # Another address each time: they are one network.
        assert stranger(strict, f"{network}::{place + 1:x}", shown).infer().code is Code.UNAUTHENTICATED
    rows = until(lambda: platform.rows("SELECT * FROM blocks WHERE subject LIKE :its", its=f"address:{network}%"))
    assert [(row.subject, row.level, row.reason) for row in rows] == [(f"address:{network}::/64", 1, reason)]
    other = stranger(strict, "2001:db8:ffff:ffff::1", keys[0]).infer()
    assert (other.code, "retry-after" in other.trailing) == (Code.UNAUTHENTICATED, False)


def test_what_goes_well_makes_up_for_errors(strict: Served, platform: Platform) -> None:
    busy, careless = (strict.client(callers.key(platform)) for _ in range(2))
    for _ in range(20):
        assert busy.infer("nothing").code is Code.NOT_FOUND
        assert [busy.infer().code for _ in range(2)] == [Code.OK] * 2
    for _ in range(19):
        careless.infer("nothing")
    assert until(lambda: careless.infer().trailing.get("x-conduct")).startswith("warned; ")
    assert "x-conduct" not in busy.infer().trailing
