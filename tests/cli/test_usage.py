"""Operators see what tenants used."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

import models
from tests import factories
from tests.cli.conftest import Here
from tests.conftest import Platform
from tests.engines import until

pytestmark = pytest.mark.usefixtures("quiet")


def test_what_was_used_is_shown_of_the_days_that_are_asked_for(here: Here) -> None:
    def used(*days: str) -> list[dict[str, Any]]:
        return list(json.loads(here("usage", "--tenant", here.key.tenant, *days, "--json").out))

    here.ended()
    (of_the_month,) = until(used)
    day = dt.date.fromisoformat(of_the_month["day"])
    before, after = str(day - dt.timedelta(days=1)), str(day + dt.timedelta(days=1))
    for days in (("--from", str(day)), ("--from", before, "--to", str(day)), ("--to", after, "--from", str(day))):
        assert used(*days) == [of_the_month]
    assert used("--from", before, "--to", before) == []
    assert used("--from", after, "--to", after) == []
    assert here("usage", "--from", f"{day:%d.%m.%Y}").code == 2


def test_what_costs_less_than_a_cent_is_told_to_its_last_digit(here: Here, platform: Platform) -> None:
    tenant = platform.one("SELECT id FROM tenants WHERE name = :name", name=here.key.tenant)[0]
    factories.add(platform, models.Usage, tenant_id=tenant, version="1.0.0", units=1, price="0.000000030")
    [told] = until(lambda: json.loads(here("usage", "--tenant", here.key.tenant, "--json").out))
    assert told["price"] == "0.00000003"
    assert "0.00000003" in here("usage", "--tenant", here.key.tenant).out
