"""What a tenant was given, or taken, is listed to its operator: newest first, a page at a time, and nobody else's."""

from __future__ import annotations

import pytest

from access import adjustments
from core import audit, errors
from tests import callers
from tests.conftest import Platform


def give(platform: Platform, tenant: str, units: int) -> adjustments.Adjustment:
    with platform.engine.begin() as connection:
        return adjustments.make(connection, tenant, units, "r", audit.Actor("cli:made"))


def test_what_is_no_number_of_units_is_told_with_what_was_received(platform: Platform) -> None:
    tenant = callers.key(platform).tenant
    for units in (0, 2**53 + 1, -(2**53) - 1):
        with pytest.raises(errors.InvalidInput) as refused:
            give(platform, tenant, units)
        assert (refused.value.details["field"], refused.value.details["received"]) == ("units", units)
    assert [give(platform, tenant, units).units for units in (1, -1, -(2**53))] == [1, -1, -(2**53)]


def test_a_tenants_own_are_read_a_page_at_a_time_newest_first(platform: Platform) -> None:
    tenant, other = (callers.key(platform).tenant for _ in range(2))
    made = []
    for units in (1, 2, 3, 4):
        made.append(give(platform, tenant, units))
        give(platform, other, 100 * units)
    first = adjustments.page(platform.engine, tenant, limit=3)
    assert list(first.items) == made[:0:-1]
    last = adjustments.page(platform.engine, tenant, limit=3, cursor=first.next_cursor)
    assert (list(last.items), last.next_cursor) == (made[:1], None)
    whole = adjustments.page(platform.engine, tenant, limit=4)
    assert (list(whole.items), whole.next_cursor) == (made[::-1], None)
    for cursor in ("x", "", "\x00"):
        with pytest.raises(errors.InvalidInput) as refused:
            adjustments.page(platform.engine, tenant, limit=3, cursor=cursor)
        assert refused.value.details["field"] == "cursor"
