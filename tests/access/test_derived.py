"""Two that make keys with keys, at once."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from access import derived, keys
from access.bounds import UNBOUND
from access.keys import Keyring
from core import errors
from core.audit import Actor
from tests import callers
from tests.access.conftest import waiting
from tests.conftest import Platform
from tests.engines import until

BY = Actor("cli:test")


def test_two_that_rotate_each_other_s_keys_do_not_wait_for_each_other(platform: Platform) -> None:
    ring = Keyring(platform.engine)
    first, second = sorted((callers.key(platform, scopes=("admin",)) for _ in range(2)), key=lambda key: key.id)

    def rotate(own: callers.Key, other: callers.Key) -> str:
        caller = ring.verify(own.token)
        return derived.rotate(platform.engine, other.id, overlap_s=60, own=caller, everywhere=True, by=BY)

    with ThreadPoolExecutor(2) as pool:
        with platform.admin.begin() as connection:
            connection.exec_driver_sql("SELECT FROM api_keys WHERE id = %(id)s FOR UPDATE", {"id": second.id})
            later = pool.submit(rotate, second, first)
            until(lambda: waiting(platform, "api_keys") == 1)
            sooner = pool.submit(rotate, first, second)
            until(lambda: waiting(platform, "api_keys") == 2)
        made = [later.result(timeout=30), sooner.result(timeout=30)]
    assert [ring.verify(token).tenant_id for token in made] == [
        ring.verify(key.token).tenant_id for key in (first, second)
    ]


def test_who_ends_a_key_and_who_rotates_it_do_not_wait_for_each_other(platform: Platform) -> None:
    ring = Keyring(platform.engine)
    pairs = ((callers.key(platform), callers.key(platform, scopes=("admin",))) for _ in itertools.count())
    lower, admin = next((lower, admin) for lower, admin in pairs if lower.id < admin.id)

    def rotate() -> str:
        own = ring.verify(admin.token)
        return derived.rotate(platform.engine, lower.id, overlap_s=60, own=own, everywhere=True, by=BY)

    with ThreadPoolExecutor(2) as pool:
        with platform.admin.begin() as connection:
            connection.exec_driver_sql("SELECT FROM api_keys WHERE id = %(id)s FOR UPDATE", {"id": lower.id})
            rotated = pool.submit(rotate)
            until(lambda: waiting(platform, "api_keys") == 1)
            ended = pool.submit(keys.revoke, platform.engine, lower.id, by=BY)
            until(lambda: waiting(platform, "api_keys") == 2)
        assert ring.verify(rotated.result(timeout=30))
        assert ended.result(timeout=30) is None


def test_who_makes_a_key_waits_for_its_own_tenant_and_key_alone(platform: Platform) -> None:
    own, other = (Keyring(platform.engine).verify(callers.key(platform, scopes=("keys",)).token) for _ in range(2))

    def make() -> str:
        return derived.create(platform.engine, own, name="one", scopes=None, bounds=UNBOUND, by=BY)

    with ThreadPoolExecutor(1) as pool, platform.admin.begin() as connection:
        connection.execute(text("SELECT FROM tenants WHERE id = :id FOR UPDATE"), {"id": other.tenant_id})
        connection.execute(text("SELECT FROM api_keys WHERE id = :id FOR UPDATE"), {"id": other.key_id})
        assert pool.submit(make).result(timeout=10)
        connection.execute(text("SELECT FROM tenants WHERE id = :id FOR UPDATE"), {"id": own.tenant_id})
        made = pool.submit(make)
        until(lambda: waiting(platform, "tenants") == 1)
        assert not made.done()


def test_who_asks_for_more_than_its_own_is_told_which_of_it(platform: Platform) -> None:
    own = Keyring(platform.engine).verify(callers.key(platform, scopes=("keys", "jobs")).token)
    asked = ("metrics", "jobs", "admin")
    with pytest.raises(errors.Forbidden) as refused:
        derived.create(platform.engine, own, name="one", scopes=asked, bounds=UNBOUND, by=BY)
    assert refused.value.details == {
        "field": "scopes", "issue": "goes beyond your own key's", "received": ["admin", "metrics"],
    }  # fmt: skip
