"""Keys as they are listed, in which order; and one that is rotated by two at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from access import derived, issued, keys
from core import errors
from tests import callers
from tests.conftest import Platform, until

WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%api_keys%'"


def test_those_that_open_something_come_by_tenant_and_age_and_then_the_ended_ones_the_latest_first(
    platform: Platform,
) -> None:
    a, b = sorted(callers.name("tenant") for _ in range(2))
    made = [callers.key(platform, tenant=tenant).id for tenant in (b, a, b, a, b)]
    for key_id in (made[2], made[4]):
        keys.revoke(platform.engine, key_id)
    found = [item.id for item in issued.listed(platform.engine, revoked=True) if item.tenant in (a, b)]
    assert found == [made[1], made[3], made[0], made[4], made[2]]


def test_keys_that_are_as_old_as_each_other_are_each_on_one_page(platform: Platform) -> None:
    tenant = callers.name("tenant")
    made = sorted((callers.key(platform, tenant=tenant).id for _ in range(4)), reverse=True)
    platform.execute("UPDATE api_keys SET created_at = '2026-01-01' WHERE id = ANY (:ids)", ids=made)
    assert [item.id for item in issued.page(platform.engine, tenant=tenant, revoked=False, limit=4).items] == made
    found: list[str] = []
    cursor = None
    for _ in made:
        page = issued.page(platform.engine, tenant=tenant, revoked=False, limit=1, cursor=cursor)
        found += [item.id for item in page.items]
        cursor = page.next_cursor
    assert (found, cursor) == (made, None)


def test_a_key_that_two_operators_rotate_at_once_has_one_in_its_place(platform: Platform) -> None:
    key = callers.key(platform, scopes={"admin", "jobs"})

    def rotate(_: int) -> str | None:
        try:
            return derived.rotate(platform.engine, key.id, overlap_s=60)
        except errors.KeyConflict:
            return None

    with ThreadPoolExecutor(2) as pool:
        with platform.admin.begin() as connection:
            connection.exec_driver_sql("SELECT FROM api_keys WHERE id = %(id)s FOR UPDATE", {"id": key.id})
            asked = [pool.submit(rotate, number) for number in range(2)]
            until(lambda: len(platform.rows(WAITING)) == 2)
        (made,) = [token for item in asked if (token := item.result(timeout=30)) is not None]
    tenant = platform.one("SELECT tenant_id FROM api_keys WHERE id = :id", id=key.id).tenant_id
    assert issued.get(platform.engine, key.id).rotated_to == keys.id_of(made)
    # And it is told of that tenant.
    told = platform.rows("SELECT * FROM audit WHERE object = :of ORDER BY id", of=f"key:{key.id}")
    assert [(row.action, row.tenant_id) for row in told] == [("key.create", tenant), ("key.rotate", tenant)]
    assert told[1].before == {"expires_at": None}
    assert told[1].after.keys() == {"expires_at", "rotated_to"}
    with pytest.raises(errors.KeyNotFound):
        issued.get(platform.engine, "0" * 12)
