"""With a log of deliveries as long as a tenant's history, no statement that sends one may read it all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import text

import webhooks
from tests import statements
from tests.conftest import Platform, truncate
from tests.jobs.test_plans import ELSE, GIVEN, passed_over
from webhooks import deliveries

# Straight past the guards: only the shape of the table matters here.
FILL = """
INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, target, job_id, event, body, status, attempt,
                                lease_expires_at, finished_at)
SELECT gen_random_uuid(), owner, owner, owner::text, gen_random_uuid(), 'job.completed', '{}', :state, 1,
       CASE WHEN :state = 'sending' THEN now() END, CASE WHEN :state IN ('delivered', 'failed') THEN now() END
FROM (SELECT gen_random_uuid() AS owner FROM generate_series(1, 30)) AS owners, generate_series(1, :count)
"""


@pytest.fixture(scope="module")
def crowded(platform: Platform) -> Iterator[sqlalchemy.Connection]:
    """A connection that sees many deliveries that have ended and a few that have not; nothing is kept."""
    with platform.admin.connect() as connection:
        truncate(connection, "webhook_deliveries, webhook_attempts")
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for state, count in (("delivered", 600), ("failed", 20), ("pending", 2), ("sending", 1)):
            connection.execute(text(FILL), {"state": state, "count": count})
        connection.execute(
            text("INSERT INTO webhook_attempts (delivery_id, attempt) SELECT id, 1 FROM webhook_deliveries")
        )
        connection.execute(text("SET LOCAL session_replication_role = origin"))
        connection.execute(text("ANALYZE webhook_deliveries, webhook_attempts"))
        yield connection
        connection.rollback()


STATEMENTS = statements.constants(webhooks)


@pytest.mark.parametrize("name", STATEMENTS)
def test_no_statement_reads_every_delivery(crowded: sqlalchemy.Connection, name: str) -> None:
    statement = STATEMENTS[name]
    given = {item: {**GIVEN, **ELSE.get(name, {})}.get(item, "1") for item in statement._bindparams}
    with crowded.begin_nested() as aside:
        plan = "\n".join(crowded.execute(text(f"EXPLAIN {statement.text}"), given).scalars())
        aside.rollback()
    for table in ("webhook_deliveries", "webhook_attempts"):
        assert f"Seq Scan on {table}" not in plan, plan


@pytest.mark.parametrize("name", ["job_id", "status"])
def test_of_a_long_log_only_what_is_asked_for_is_looked_at(crowded: sqlalchemy.Connection, name: str) -> None:
    one = crowded.execute(text("SELECT tenant_id, job_id FROM webhook_deliveries WHERE status = 'delivered'")).first()
    assert one is not None
    filters = {"job_id": one.job_id} if name == "job_id" else {"status": "failed"}
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {deliveries._listing(filters)}")
    [plan] = crowded.execute(explained, {"tenant_id": one.tenant_id, "limit": 21, **filters}).scalar_one()
    # Of 600 that the tenant has.
    assert passed_over(plan["Plan"]) == 0, plan


def test_a_target_for_which_nothing_waits_any_more_is_not_looked_at(crowded: sqlalchemy.Connection) -> None:
    statement = STATEMENTS["webhooks.outbox._CLAIM"]
    given = {item: GIVEN.get(item, "1") for item in statement._bindparams}
    with crowded.begin_nested() as aside:
        [plan] = crowded.execute(text(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.text}"), given).scalar_one()
        aside.rollback()
    # Of 120 something has been for, for 30 it waits.
    assert found(plan["Plan"], "Recursive Union") == 30


def test_what_is_too_young_to_be_forgotten_is_not_looked_at(crowded: sqlalchemy.Connection) -> None:
    explained = text(f"EXPLAIN (ANALYZE, FORMAT JSON) {STATEMENTS['webhooks.chores._OLD'].text}")
    with crowded.begin_nested() as aside:
        [plan] = crowded.execute(explained, {"keep_failed_s": 1, "limit": 500}).scalar_one()
        aside.rollback()
    # Of 120 something has been for, of 60 something has ended; and the end is found.
    assert found(plan["Plan"], "Recursive Union") == 61
    assert passed_over(plan["Plan"]) == 0, plan


def found(plan: Mapping[str, Any], kind: str) -> float:
    """The rows that the nodes of a kind gave."""
    mine = plan["Actual Rows"] if plan["Node Type"] == kind else 0
    return float(mine + sum(found(part, kind) for part in plan.get("Plans", ())))
