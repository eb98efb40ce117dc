"""What is written down of a change, and by whom."""

from __future__ import annotations

import os
import pwd

import pytest

from core import audit
from core.audit import Actor
from tests import factories
from tests.conftest import Platform


def test_all_of_a_change_is_written_down(platform: Platform) -> None:
    tenant = factories.tenant(platform)
    action = factories.unique("action")
    with platform.engine.begin() as connection:
        audit.record(
            connection, Actor("key:1", "10.0.0.1"), action, "tenant:x", tenant_id=tenant, before={"a": 1}, after={}
        )
        audit.record(connection, Actor("cli:me"), action, "tier:y")
    asked = "SELECT actor, address, tenant_id, object, before, after FROM audit WHERE action = :action ORDER BY id"
    assert platform.rows(asked, action=action) == [
        ("key:1", "10.0.0.1", tenant, "tenant:x", {"a": 1}, {}), ("cli:me", None, None, "tier:y", None, None),
    ]  # fmt: skip


def test_who_runs_a_command_is_named_by_name_and_by_number_where_nobody_knows_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert audit.operator() == Actor(f"cli:{pwd.getpwuid(os.getuid()).pw_name}", None)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    assert audit.operator() == Actor("cli:4000000000", None)
