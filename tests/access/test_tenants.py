"""Who is a tenant, and of which tier."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from access import keys, tenants, tiers
from core import audit, errors
from tests import callers
from tests.access.conftest import waiting
from tests.conftest import Platform, until
from tests.statements import digest


def tier_of(platform: Platform, name: str) -> list[str]:
    return [item.tier for item in tenants.listed(platform.engine) if item.name == name]


def test_a_tenant_is_made_once_however_many_make_it_at_once(platform: Platform) -> None:
    name = callers.name("tenant")

    def make(_: int) -> bool:
        try:
            tenants.create(platform.engine, name, "pro")
        except errors.TenantConflict:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, range(8)))
    assert made.count(True) == 1
    assert tier_of(platform, name) == ["pro"]


def test_a_first_key_makes_its_tenant_and_a_later_one_leaves_it_as_it_is(platform: Platform) -> None:
    name = callers.name("tenant")
    callers.key(platform, tenant=name)
    assert tier_of(platform, name) == ["free"]
    tenants.change(platform.engine, name, tier="pro")
    callers.key(platform, tenant=name)
    callers.key(platform, tenant=name, tier="pro")
    before = digest(platform)
    with pytest.raises(errors.TenantConflict, match="is pro, not free") as caught:
        callers.key(platform, tenant=name, tier="free")
    assert caught.value.details == {"tenant": name, "tier": "pro"}
    assert digest(platform) == before


def test_of_a_tenants_keys_those_are_counted_that_open_something(platform: Platform) -> None:
    key = callers.key(platform)
    callers.key(platform, tenant=key.tenant)
    callers.key(platform)
    keys.revoke(platform.engine, key.id)
    assert [item.keys for item in tenants.listed(platform.engine) if item.name == key.tenant] == [1]
    names = [item.name for item in tenants.listed(platform.engine)]
    assert names == [str(row[0]) for row in platform.rows("SELECT name FROM tenants ORDER BY name")]


def test_a_change_tells_the_tier_before_and_is_of_one_tenant(platform: Platform) -> None:
    name, other = callers.name("tenant"), callers.name("tenant")
    for made in (name, other):
        tenants.create(platform.engine, made, "free")
    assert tenants.change(platform.engine, name, tier="pro") == "free"
    assert tenants.change(platform.engine, name, tier="pro") == "pro"
    assert (tier_of(platform, name), tier_of(platform, other)) == (["pro"], ["free"])


def test_of_two_changes_at_once_the_second_tells_what_the_first_one_made(platform: Platform) -> None:
    name = callers.name("tenant")
    tenants.create(platform.engine, name, "free")
    with ThreadPoolExecutor(1) as pool, platform.admin.begin() as first:
        first.execute(text("UPDATE tenants SET tier = 'pro' WHERE name = :name"), {"name": name})
        second = pool.submit(tenants.change, platform.engine, name, tier="free")
        until(lambda: waiting(platform, "tenants"))
        first.commit()
        assert second.result() == "pro"
    assert tier_of(platform, name) == ["free"]


def test_what_is_refused_changes_nothing_and_says_what_there_is(platform: Platform) -> None:
    name = callers.name("tenant")
    tenants.create(platform.engine, name, "free")
    before = digest(platform)
    with pytest.raises(errors.InvalidInput) as caught:
        tenants.change(platform.engine, name, tier="gold")
    assert (caught.value.details["field"], caught.value.details["received"]) == ("tier", "gold")
    assert "free" in caught.value.details["issue"]
    with pytest.raises(errors.InvalidInput):
        tenants.create(platform.engine, callers.name("tenant"), "gold")
    with pytest.raises(errors.NotFound, match="There is no tenant 'nobody'"):
        tenants.change(platform.engine, "nobody", tier="pro")
    with pytest.raises(errors.TenantConflict):
        tenants.create(platform.engine, name, "pro")
    assert digest(platform) == before


def test_who_makes_or_changes_tenants_and_tiers_is_written_down(platform: Platform) -> None:
    tenant, tier = callers.name("tenant"), callers.tier(platform, max_pending=7)
    tenants.create(platform.engine, tenant, tier, audit.Actor("key:abc", "192.0.2.1"))
    tenants.change(platform.engine, tenant, tier="pro")
    tiers.change(platform.engine, tier, {"max_pending": 9})
    me = audit.operator().name
    sql = "SELECT actor, address, action, before, after FROM audit WHERE object = :object ORDER BY id"
    assert [tuple(row) for row in platform.rows(sql, object=f"tenant:{tenant}")] == [
        ("key:abc", "192.0.2.1", "tenant.create", None, {"tier": tier}),
        (me, None, "tenant.change", {"tier": tier}, {"tier": "pro"}),
    ]
    made, changed = platform.rows(sql, object=f"tier:{tier}")
    assert (made.action, made.after["max_pending"]) == ("tier.create", 7)
    assert tuple(changed) == (me, None, "tier.change", {"max_pending": 7}, {"max_pending": 9})


def test_who_only_looks_for_a_tenant_waits_for_nobody_who_has_it(platform: Platform) -> None:
    name = callers.key(platform).tenant
    with platform.engine.begin() as mine, platform.engine.begin() as other:
        mine.execute(text("SELECT FROM tenants WHERE name = :name FOR UPDATE"), {"name": name})
        other.execute(text("SET LOCAL lock_timeout = '5s'"))
        assert tenants.find(other, name) == platform.one("SELECT id FROM tenants WHERE name = :name", name=name).id


def test_who_comes_at_sight_has_the_limits_of_the_tier_that_its_tenant_has(platform: Platform) -> None:
    for most in (7, 8, 9):
        tier, name = callers.tier(platform, max_pending=most), callers.name("tenant")
        tenants.create(platform.engine, name, tier)
        _, found = tenants.at_sight(platform.engine, name, "free")
        assert (found.name, found.max_pending) == (tier, most)
        tenant_id, new = tenants.at_sight(platform.engine, callers.name("new"), tier)
        assert (new.name, new.max_pending) == (tier, most)
        assert platform.one("SELECT tier FROM tenants WHERE id = :id", id=tenant_id) == (tier,)
