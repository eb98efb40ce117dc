"""Of whom it is known, without asking anybody, who they are; and what went well for them elsewhere."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest

from access.callers import Callers
from access.credit import Credit
from access.keys import Keyring
from access.strangers import Strangers
from access.tokens import Tokens
from core.setting_doors import Oidc
from tests import callers
from tests.conftest import Platform
from tests.issuer import Issuer


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    found = Issuer()
    yield found
    found.stop()


def test_a_key_is_known_once_it_was_looked_up_and_is_not_due_at_once(platform: Platform) -> None:
    shut, token = Callers(Keyring(platform.engine), None, None), callers.key(platform).token
    assert not any(shut.knows(shown) for shown in (token, None, "a.b.c"))
    assert shut.verify(token, "192.0.2.1").network is None
    assert (shut.knows(token), shut.is_due(token)) == (True, False)
    assert not any(shut.knows(shown) for shown in (None, "a.b.c"))


def test_a_token_is_known_once_it_was_verified(platform: Platform, issuer: Issuer) -> None:
    tokens = Tokens(platform.engine, Oidc(issuer=issuer.url, tenant_claim="org_id"))
    made, org = Callers(Keyring(platform.engine), tokens, None), callers.name("org")
    token = issuer.token(org_id=org)
    assert not made.knows(token)
    assert made.verify(token, "192.0.2.1").key_id.startswith("oidc:")
    assert (made.knows(token), made.is_due(token), made.knows(issuer.token(org_id="other"))) == (True, False, False)
    # Its tenant is new, and nobody but the platform made it.
    told = platform.rows("SELECT actor, address, action FROM audit WHERE object = :of", of=f"tenant:{org}")
    assert told == [("platform", None, "tenant.create")]


def test_strangers_are_known_once_one_of_them_came(platform: Platform) -> None:
    open_, token = (
        Callers(Keyring(platform.engine), None, Strangers(platform.engine)),
        callers.key(platform).token,
    )
    assert not open_.knows(None)
    assert open_.verify(None, "192.0.2.1").network == "192.0.2.1"
    assert (open_.knows(None), open_.is_due(None), open_.knows(token)) == (True, False, False)


def test_what_went_well_is_told_once_to_whoever_asks_first_and_forgotten_after_a_while(platform: Platform) -> None:
    here, elsewhere = Credit(platform.line), Credit(platform.line)
    who, other = (f"key:{secrets.token_hex(6)}" for _ in range(2))
    for one in (who, other, who, who):
        here.add(one)
    assert elsewhere.take(who) == 0
    here.tell()
    assert 500 < int(platform.line.redis.ttl(f"coatcheck:well:{who}")) <= 600
    here.tell()
    assert [elsewhere.take(who), here.take(who), here.take(other)] == [3, 0, 1]
