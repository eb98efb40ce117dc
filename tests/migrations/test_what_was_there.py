"""Rows that were there before an update: what each migration makes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import alembic.command
import alembic.config
import pytest
import sqlalchemy
from sqlalchemy import text

Go = Callable[..., list[Any]]
JOB = """
INSERT INTO jobs (id, tenant_id, kind, pool, model, version, lane, status, expires_at, lease_expires_at, max_attempts,
                  inputs, options, metadata, request_id)
SELECT gen_random_uuid(), id, :kind, 'cpu', 'm', '1', 'l', :status, now() + interval '1 d',
  CASE WHEN :status = 'processing' THEN now() END, 4, '{}', '{}', '{}', 'r'
FROM tenants
"""


@pytest.fixture
def go(empty: sqlalchemy.Engine, config: alembic.config.Config) -> Go:
    """Update to a revision, and ask or say something there, past all triggers; answers the rows of the last one."""

    def went(revision: str, *said: str, **values: object) -> list[Any]:
        alembic.command.upgrade(config, revision)
        found: list[Any] = []
        with empty.begin() as connection:
            connection.execute(text("SET LOCAL session_replication_role = replica"))
            for statement in said:
                answer = connection.execute(text(statement), values)
                found = [tuple(row) for row in answer] if answer.returns_rows else []
        return found

    return went


@pytest.fixture
def tenant(go: Go) -> Go:
    go("0001", "INSERT INTO tenants (id, name) VALUES (gen_random_uuid(), 'early')")
    return go


def test_a_tenant_from_before_there_were_tiers_goes_on_as_one_that_pays(tenant: Go) -> None:
    assert tenant("head", "SELECT tier, max_uploads, past_allowance FROM tenants JOIN tiers ON tiers.name = tier") == [
        ("pro", 100, "pay")
    ]


def test_a_key_is_opened_to_what_it_could_do_and_to_nothing_else(tenant: Go) -> None:
    for name, scopes in (("client", "{jobs}"), ("scrape", "{metrics}"), ("operator", "{admin,jobs}"), ("none", "{}")):
        tenant(
            "0001",
            "INSERT INTO api_keys (id, tenant_id, name, secret_sha256, scopes) "
            "SELECT :name, id, :name, '', CAST(:scopes AS text[]) FROM tenants",
            name=name, scopes=scopes,
        )  # fmt: skip
    client = ["files", "jobs", "keys", "models:read", "predict", "usage:read", "webhooks"]
    assert dict(tenant("head", "SELECT name, scopes FROM api_keys")) == {
        "client": client, "scrape": ["metrics"], "operator": ["admin", *client], "none": [],
    }  # fmt: skip


def test_what_was_used_is_added_up_once_by_the_days_of_utc(tenant: Go) -> None:
    used = (
        "INSERT INTO usage (job_id, tenant_id, model, units, created_at) "
        "SELECT gen_random_uuid(), id, 'm', :units, CAST(:at AS timestamptz) FROM tenants"
    )
    for at, units in (("2026-01-31 23:59:59Z", 2), ("2026-01-31 00:00:00Z", 3), ("2026-02-01 00:00:00Z", 5)):
        tenant("0001", used, at=at, units=units)
    days = "SELECT CAST(day AS text), calls, units FROM usage_days ORDER BY day"
    assert tenant("head", days) == [("2026-01-31", 2, 5), ("2026-02-01", 1, 5)]
    # What the sums know already is not added to them again.
    assert tenant("head", "SELECT count(*) FROM usage WHERE xact >= (SELECT xact FROM usage_mark)") == [(0,)]


@pytest.mark.parametrize("status", ["pending", "processing"])
def test_of_what_waits_or_runs_predictions_alone_are_claimed_together(tenant: Go, status: str) -> None:
    for kind in ("predict", "bulk", "chunk", "file"):
        tenant("0001", JOB, kind=kind, status=status)
    assert dict(tenant("0011", "SELECT kind, batches FROM jobs")) == {
        "predict": True, "bulk": False, "chunk": False, "file": False,
    }  # fmt: skip


def test_who_does_the_chores_no_more_is_no_worker_any_more(go: Go) -> None:
    says = (
        "INSERT INTO workers (name, node, pools, receives, works, jobs_per_s) VALUES (:name, 'n', '{}', true, true, 0)"
    )
    for name in ("sweep", "cpu"):
        go("0008", says, name=name)
    assert go("0009", "SELECT name FROM workers") == [("cpu",)]
