"""Which keys open something, for how long that is remembered, and what is kept of them."""

from __future__ import annotations

import functools
import re
import secrets

import pytest
from cachetools import TLRUCache
from sqlalchemy import text

from access import issued as access_issued
from access import keys, tenants, tiers
from access.keys import Keyring
from core import database, errors
from tests import callers
from tests.access.conftest import Clock
from tests.conftest import ROOT, Platform
from tests.statements import digest, issued

#: A key as a process of the release before writes it.
AS_BEFORE = text(
    "INSERT INTO api_keys (id, tenant_id, name, secret_sha256, scopes) VALUES (:id, :tenant_id, 'old', '', '{jobs}')"
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The keyring's."""
    made = Clock()
    monkeypatch.setattr(keys, "TLRUCache", functools.partial(TLRUCache, timer=made.monotonic))
    return made


@pytest.fixture
def ring(platform: Platform, clock: Clock) -> Keyring:
    return Keyring(platform.engine)


@pytest.fixture
def deaf() -> Keyring:
    """One whose database does not answer."""
    return Keyring(database.create_engine("postgresql://a:b@127.0.0.1:1/d"))


def opens(ring: Keyring, token: str | None) -> bool:
    try:
        ring.verify(token)
    except errors.Unauthorized:
        return False
    return True


def test_a_key_speaks_for_its_tenant_with_its_tier_and_scopes(platform: Platform, ring: Keyring) -> None:
    tier = callers.tier(platform, max_pending=7, priorities=["low", "normal"])
    key = callers.key(platform, tier=tier, scopes=("jobs", "admin"))
    found = ring.verify(key.token)
    assert (found.key_id, found.scopes, found.tier.name) == (key.id, frozenset({"jobs", "admin"}), tier)
    assert (found.tier.max_pending, found.tier.priorities) == (7, ("low", "normal"))
    assert platform.one("SELECT id FROM tenants WHERE name = :name", name=key.tenant) == (found.tenant_id,)


def test_a_key_with_a_wrong_secret_opens_nothing_though_its_id_and_checksum_are_right(
    platform: Platform, ring: Keyring
) -> None:
    key = callers.key(platform)
    forged = callers.written(key.id, secrets.token_hex(24))
    assert callers.written(key.id, key.secret) == key.token
    assert not opens(ring, forged)
    assert opens(ring, key.token)
    # Nor once the right one is remembered.
    assert not opens(ring, forged)
    assert not opens(ring, callers.written(secrets.token_hex(6), key.secret))
    assert not any(opens(ring, part) for part in (key.id, f"cck_{key.id}", key.secret, key.token[4:]))


def test_another_tenants_secret_under_ones_own_id_opens_nothing(platform: Platform, ring: Keyring) -> None:
    mine, theirs = callers.key(platform), callers.key(platform)
    assert opens(ring, mine.token)
    assert opens(ring, theirs.token)
    assert not opens(ring, callers.written(mine.id, theirs.secret))
    assert not opens(ring, callers.written(theirs.id, mine.secret))


def test_what_is_no_key_is_refused_without_a_question_to_the_database(platform: Platform, deaf: Keyring) -> None:
    token = callers.key(platform).token
    with pytest.raises(errors.Unavailable):
        deaf.verify(token)
    other = token[:-1] + ("0" if token[-1] != "0" else "1")
    for given in (
        None, "", "x", other, token[:-1], f"{token}0", f"{token}\n", f" {token}", token.upper(), token[4:],
        f"cck_{token}", token.replace("cck_", "cck-"), token[:17] + token[30:], f"{token}\x00", "cck_" + "\u0660" * 69,
    ):  # fmt: skip
        with pytest.raises(errors.Unauthorized):
            deaf.verify(given)


@pytest.mark.parametrize("place", [4, 15, 17, 64, 65, 72])
def test_a_mistyped_digit_is_refused_wherever_it_stands(platform: Platform, deaf: Keyring, place: int) -> None:
    token = callers.key(platform).token
    wrong = token[:place] + ("0" if token[place] != "0" else "1") + token[place + 1 :]
    with pytest.raises(errors.Unauthorized):
        deaf.verify(wrong)


def test_a_revoked_key_is_refused_within_five_seconds_also_by_one_who_knew_it(
    platform: Platform, ring: Keyring, clock: Clock
) -> None:
    key = callers.key(platform)
    assert opens(ring, key.token)
    keys.revoke(platform.engine, key.id)
    assert not opens(Keyring(platform.engine), key.token)
    clock.now_s += 5.0
    assert not opens(ring, key.token)
    # And to ask for it does not make it good again.
    assert not opens(ring, key.token)


def test_a_key_is_refused_from_its_end_on_also_by_one_who_knew_it(
    platform: Platform, ring: Keyring, clock: Clock
) -> None:
    key = callers.key(platform)
    platform.execute("UPDATE api_keys SET expires_at = now() + interval '4.5 s' WHERE id = :id", id=key.id)
    assert opens(ring, key.token)
    clock.now_s += 1.0
    assert opens(ring, key.token)
    platform.execute("UPDATE api_keys SET expires_at = now() WHERE id = :id", id=key.id)
    assert opens(ring, key.token)
    clock.now_s += 3.5
    assert not opens(ring, key.token)


def test_a_known_key_is_good_without_a_question_to_the_database_but_only_from_its_networks(
    platform: Platform, ring: Keyring
) -> None:
    key = callers.key(platform)
    platform.execute("UPDATE api_keys SET networks = '{192.0.2.0/24}' WHERE id = :id", id=key.id)
    ring.verify(key.token, "192.0.2.1")
    with issued(platform.engine) as statements:
        ring.verify(key.token, "192.0.2.2")
        for address in ("192.0.3.1", None):
            with pytest.raises(errors.Forbidden, match="may not be used from this address"):
                ring.verify(key.token, address)
    assert statements == []


def test_a_key_that_is_used_all_the_time_is_looked_up_all_the_same(
    platform: Platform, ring: Keyring, clock: Clock
) -> None:
    key = callers.key(platform)
    assert opens(ring, key.token)
    keys.revoke(platform.engine, key.id)
    for _ in range(5):
        opens(ring, key.token)
        clock.now_s += 1.0
    assert not opens(ring, key.token)


def test_a_known_key_may_be_asked_about_ahead_and_is_good_for_as_long_again(
    platform: Platform, ring: Keyring, clock: Clock
) -> None:
    key = callers.key(platform)
    assert not ring.is_due(key.token)
    assert opens(ring, key.token)
    clock.now_s += 5.0 - keys.AHEAD_S
    assert not ring.is_due(key.token)
    clock.now_s += 0.1
    assert ring.is_due(key.token)
    ring.look_ahead(key.token)
    assert not ring.is_due(key.token)
    clock.now_s += 4.9
    with issued(platform.engine) as statements:
        assert opens(ring, key.token)
    assert statements == []


def test_a_key_that_was_revoked_is_forgotten_by_a_look_ahead(platform: Platform, ring: Keyring) -> None:
    key = callers.key(platform)
    assert opens(ring, key.token)
    keys.revoke(platform.engine, key.id)
    assert ring.knows(key.token)
    with pytest.raises(errors.Unauthorized):
        ring.look_ahead(key.token)
    assert not ring.knows(key.token)
    assert not opens(ring, key.token)


def test_what_a_key_may_holds_within_five_seconds_of_its_change(
    platform: Platform, ring: Keyring, clock: Clock
) -> None:
    tier = callers.tier(platform)
    key = callers.key(platform, tier=tier)
    before = ring.verify(key.token)
    tiers.change(platform.engine, tier, {"max_pending": 3})
    clock.now_s += 5.0
    assert ring.verify(key.token).tier.max_pending == 3 != before.tier.max_pending
    tenants.change(platform.engine, key.tenant, tier="free")
    platform.execute("UPDATE api_keys SET scopes = '{metrics}' WHERE id = :id", id=key.id)
    clock.now_s += 5.0
    after = ring.verify(key.token)
    assert (after.tier.name, after.scopes) == ("free", frozenset({"metrics"}))


def test_a_remembered_key_is_good_while_the_database_is_away_but_not_for_long(platform: Platform, clock: Clock) -> None:
    engine = database.create_engine(platform.settings.database_url)
    ring, key = Keyring(engine), callers.key(platform)
    caller = ring.verify(key.token)
    engine.dispose()
    ring._engine = database.create_engine("postgresql://a:b@127.0.0.1:1/d")
    clock.now_s += 4.0
    assert ring.verify(key.token) == caller
    clock.now_s += 1.0
    with pytest.raises(errors.Unavailable):
        ring.verify(key.token)


def test_no_more_keys_are_remembered_than_there_is_room_for(
    platform: Platform, deaf: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "CACHE_MAX", 2)
    ring, made = Keyring(platform.engine), [callers.key(platform) for _ in range(3)]
    assert all(opens(ring, key.token) for key in made + made)
    ring._engine = deaf._engine
    assert all(opens(ring, key.token) for key in made[1:])
    with pytest.raises(errors.Unavailable):
        ring.verify(made[0].token)


def test_a_caller_needs_one_of_the_scopes_and_is_told_which(platform: Platform, ring: Keyring) -> None:
    caller = ring.verify(callers.key(platform, scopes=("metrics",)).token)
    caller.require("metrics")
    caller.require("admin", "metrics")
    with pytest.raises(errors.Forbidden, match="does not have the scope 'jobs'") as caught:
        caller.require("jobs")
    assert caught.value.details == {"scope": "jobs"}
    with pytest.raises(errors.Forbidden, match="'admin' or 'jobs'"):
        caller.require("admin", "jobs")


def test_of_a_key_only_the_hash_of_its_secret_is_kept(platform: Platform) -> None:
    key = callers.key(platform)
    for row in platform.rows("SELECT k::text FROM api_keys AS k"):
        assert key.secret not in str(row[0])
        assert key.secret.encode().hex() not in str(row[0])
    assert re.fullmatch(r"cck_[0-9a-f]{12}_[0-9a-f]{56}", key.token)
    assert len({callers.key(platform).secret for _ in range(5)}) == 5


@pytest.mark.parametrize("name", ["", " ", "a ", " a", "x" * 101, "a\nb", "a\x00", "\u202e"])
def test_a_name_that_cannot_be_shown_makes_no_key_and_no_tenant(platform: Platform, name: str) -> None:
    before = digest(platform)
    for field, tenant, given in (("name", callers.name("t"), name), ("tenant", name, "n")):
        with pytest.raises(errors.InvalidInput) as caught:
            keys.create(platform.engine, tenant=tenant, name=given, scopes={"jobs"})
        assert caught.value.details["field"] == field
    assert digest(platform) == before


@pytest.mark.parametrize("name", ["x", "x" * 100, "é ü 😀"])
def test_a_name_up_to_the_limit_is_taken(platform: Platform, name: str) -> None:
    assert keys.create(platform.engine, tenant=callers.name("t"), name=name, scopes={"jobs"})


def test_a_scope_that_is_none_makes_no_key_and_is_told(platform: Platform) -> None:
    before = digest(platform)
    with pytest.raises(errors.InvalidInput) as caught:
        keys.create(platform.engine, tenant=callers.name("t"), name="n", scopes={"jobs", "root", "all"})
    assert (caught.value.details["field"], caught.value.details["received"]) == ("scopes", ["all", "root"])
    assert digest(platform) == before


def test_keys_are_listed_by_tenant_and_age_and_ended_ones_only_when_asked_for(platform: Platform) -> None:
    first = callers.key(platform)
    second, third = (callers.key(platform, tenant=first.tenant) for _ in range(2))
    callers.key(platform)
    keys.revoke(platform.engine, second.id)
    listed = access_issued.listed(platform.engine, tenant=first.tenant)
    assert [item.id for item in listed] == [first.id, third.id]
    everything = access_issued.listed(platform.engine, tenant=first.tenant, revoked=True)
    assert [item.id for item in everything] == [first.id, third.id, second.id]
    platform.execute("UPDATE api_keys SET expires_at = now() WHERE id = :id", id=third.id)
    assert [item.id for item in access_issued.listed(platform.engine, tenant=first.tenant)] == [first.id]
    assert [item.keys for item in tenants.listed(platform.engine) if item.name == first.tenant] == [1]
    everything = access_issued.listed(platform.engine, tenant=first.tenant, revoked=True)
    assert [item.id for item in everything] == [first.id, third.id, second.id]
    assert {item.tenant for item in everything} == {first.tenant}
    with pytest.raises(errors.NotFound, match="There is no tenant 'nobody'"):
        access_issued.listed(platform.engine, tenant="nobody")


def test_a_key_is_revoked_once_and_no_other_with_it(platform: Platform, ring: Keyring) -> None:
    first = callers.key(platform)
    other = callers.key(platform, tenant=first.tenant)
    assert keys.revoke(platform.engine, first.id) is None
    since = keys.revoke(platform.engine, first.id)
    assert since is not None
    assert keys.revoke(platform.engine, first.id) == since
    assert opens(ring, other.token)
    before = digest(platform)
    with pytest.raises(errors.KeyNotFound, match="No such API key"):
        keys.revoke(platform.engine, "0" * 12)
    assert digest(platform) == before


def test_keys_are_listed_of_everybody_when_no_tenant_is_named(platform: Platform) -> None:
    made = {callers.key(platform).id for _ in range(2)}
    assert made <= {key.id for key in access_issued.listed(platform.engine)}


def test_keys_that_the_release_before_made_meanwhile_are_opened_as_the_docs_say(platform: Platform) -> None:
    statement = re.search(r"UPDATE api_keys.*?;", (ROOT / "docs" / "access.md").read_text(), re.DOTALL)
    assert statement
    narrow = callers.key(platform, scopes=("jobs",))
    tenant_id = platform.one("SELECT tenant_id FROM api_keys WHERE id = :id", id=narrow.id).tenant_id
    with platform.engine.connect() as connection:
        values = {"id": secrets.token_hex(6), "tenant_id": tenant_id}
        connection.execute(AS_BEFORE, values)
        connection.execute(text(statement[0]))
        found = {row.id: row.scopes for row in connection.execute(text("SELECT id, scopes FROM api_keys"))}
        connection.rollback()
    assert set(found[values["id"]]) == set(keys.CLIENT)
    assert found[narrow.id] == ["jobs"]
