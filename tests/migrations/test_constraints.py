"""Every constraint of the migrated schema refuses what it is there for, and says so by its own name.

What is enumerated is what the database has: a new table needs a row here, a new constraint a move that it refuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy
from sqlalchemy import text

import models
from models.base import Base
from tests import factories
from tests.migrations.conftest import Refused

#: For each CHECK, the rows of its table that it forbids, as changes of one that it allows.
FORBIDDEN: Mapping[str, Sequence[str]] = {
    "ck_jobs_status": ["status = 'odd'", "status = ''"],
    "ck_jobs_priority": ["priority = 'urgent'"],
    "ck_jobs_progress": ["progress = 101", "progress = -1"],
    "ck_jobs_lease": ["status = 'processing'", "lease_expires_at = now()"],
    "ck_jobs_finished": ["finished_at = now()", *(f"status = '{status}'" for status in factories.TERMINAL)],
    "ck_tiers_past_allowance": ["past_allowance = 'odd'", "past_allowance = ''"],
    "ck_blocks_level": ["level = 0", "level = 4"],
    "ck_canaries_state": ["state = 'odd', ended_at = now()"],
    "ck_canaries_ended": ["ended_at = now()", "state = 'promoted'"],
    "ck_usage_mark_one": ["one = false"],
    "ck_feedback_one": ["true_label = NULL", "number = 1", "label = NULL, true_label = NULL", "true_number = 1"],
    "ck_webhook_endpoints_signing": ["signing = 'none'"],
    "ck_webhook_endpoints_enabled": ["enabled = false", "disabled_code = 'GONE'"],
    "ck_webhook_deliveries_status": ["status = 'odd'"],
    "ck_webhook_deliveries_lease": ["status = 'sending'", "lease_expires_at = now()"],
    "ck_webhook_deliveries_finished": ["status = 'delivered'", "status = 'failed'", "finished_at = now()"],
}

#: For each unique index beside the primary keys, rows of which there may be one, and then such as may be beside it.
ONLY_ONE: Mapping[str, tuple[type[Base], Sequence[Mapping[str, Any]], Sequence[Mapping[str, Any]]]] = {
    "uq_tenants_name": (models.Tenant, [{"name": "twice"}], [{"name": "once"}]),
    "uq_usage_job": (models.Usage, [{"job_id": "job"}], [{}, {}]),
    "uq_webhook_secrets_current": (
        models.WebhookSecret,
        [{"endpoint_id": "endpoint"}, {"endpoint_id": None}],
        [
            {"endpoint_id": "endpoint", "retires_at": factories.SOON},
            {"endpoint_id": None, "retires_at": factories.SOON},
        ],
    ),
    "uq_webhook_deliveries_end": (
        models.WebhookDelivery,
        [{"job_id": "job", "endpoint_id": "endpoint"}, {"job_id": "job", "endpoint_id": None}],
        [
            {"job_id": "job", "endpoint_id": "endpoint", "event": "job.progress"},
            {"job_id": None, "endpoint_id": "endpoint"},
        ],
    ),
}

CONSTRAINTS = """
SELECT conname, relname, contype::text, (
  SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
  WHERE attrelid = pg_class.oid AND attnum = ANY (conkey)) AS columns
FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid
WHERE connamespace = 'public'::regnamespace AND relname <> 'alembic_version' AND contype IN ('c', 'f', 'p', 'u', 'x')
ORDER BY conname
"""
UNIQUE = """
SELECT indexrelid::regclass::text FROM pg_index JOIN pg_class ON pg_class.oid = indrelid
WHERE relnamespace = 'public'::regnamespace AND indisunique AND NOT indisprimary
"""
NOT_NULL = """
SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname <> 'alembic_version'
  AND attnum > 0 AND attnotnull AND NOT attisdropped
"""

Keys = Mapping[str, Any]


@pytest.fixture
def keys(db: sqlalchemy.Connection) -> Keys:
    """A row in every table, each leading to the others."""
    tier = factories.put(db, models.Tier)["name"]
    tenant = factories.put(db, models.Tenant, tier=tier)["id"]
    model = factories.put(db, models.Model)["name"]
    job = factories.put(db, models.Job, tenant_id=tenant)["id"]
    endpoint = factories.put(db, models.WebhookEndpoint, tenant_id=tenant)["id"]
    delivery = factories.put(db, models.WebhookDelivery, tenant_id=tenant)["id"]
    theirs = {"tenant_id": tenant, "job_id": job, "model": model, "delivery_id": delivery, "endpoint_id": endpoint}
    for table in factories.DEFAULTS:
        if db.execute(sqlalchemy.select(sqlalchemy.func.count()).select_from(table)).scalar_one() == 0:
            columns = table.__table__.columns.keys()
            factories.put(db, table, **{name: value for name, value in theirs.items() if name in columns})
    return {"tenant": tenant, "job": job, "endpoint": endpoint}


def constraints(db: sqlalchemy.Connection, kind: str) -> list[sqlalchemy.Row[Any]]:
    return [row for row in db.execute(text(CONSTRAINTS)) if row.contype == kind]


def test_there_is_a_row_of_every_table_and_a_move_against_every_check_and_unique_index(
    db: sqlalchemy.Connection, keys: Keys
) -> None:
    assert set(factories.DEFAULTS) == {mapper.class_ for mapper in Base.registry.mappers}
    assert {row.conname for row in constraints(db, "c")} == set(FORBIDDEN)
    assert set(db.execute(text(UNIQUE)).scalars()) == set(ONLY_ONE)
    assert constraints(db, "x") == []


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_check_refuses_each_row_that_it_forbids(
    db: sqlalchemy.Connection, refused: Refused, keys: Keys, name: str
) -> None:
    (table,) = (row.relname for row in constraints(db, "c") if row.conname == name)
    # Whatever a trigger would say before.
    db.execute(text("SET LOCAL session_replication_role = replica"))
    assert {change: refused(f"UPDATE {table} SET {change}") for change in FORBIDDEN[name]} == dict.fromkeys(
        FORBIDDEN[name], name
    )


def test_no_row_has_the_primary_key_of_another(db: sqlalchemy.Connection, refused: Refused, keys: Keys) -> None:
    found = {row.conname: refused(f'INSERT INTO "{row.relname}" SELECT * FROM "{row.relname}" LIMIT 1')
             for row in constraints(db, "p")}  # fmt: skip
    assert found == {name: name for name in found}
    assert len(found) == len(Base.metadata.tables)


def test_no_row_leads_to_one_that_is_not_there(db: sqlalchemy.Connection, refused: Refused, keys: Keys) -> None:
    types = {"uuid": "gen_random_uuid()", "text": "'nothing of this name'"}
    found = {}
    for row in constraints(db, "f"):
        kind = db.execute(
            text("SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = :table ::regclass"
                 " AND quote_ident(attname) = :column"),
            {"table": row.relname, "column": row.columns},
        ).scalar_one()  # fmt: skip
        found[row.conname] = refused(f"UPDATE {row.relname} SET {row.columns} = {types[kind]}")
    assert found == {name: name for name in found}
    assert len(found) >= 9


@pytest.mark.parametrize("name", ONLY_ONE)
def test_of_what_there_may_be_one_there_is_no_second(
    db: sqlalchemy.Connection, refused: Refused, keys: Keys, name: str
) -> None:
    table, only, beside = ONLY_ONE[name]

    def put(given: Mapping[str, Any]) -> Mapping[str, Any]:
        leads = {column: keys.get(value, value) if isinstance(value, str) else value for column, value in given.items()}
        theirs = {"tenant_id": keys["tenant"]} if "tenant_id" in table.__table__.columns else {}
        return factories.put(db, table, **theirs, **leads)

    for given in only:
        db.execute(text(f"DELETE FROM {table.__tablename__} WHERE id::text <> :id"), {"id": str(keys["tenant"])})
        first = put(given)
        copied = ", ".join(column.name for column in table.__table__.columns if column.name not in ("id", "sequence"))
        into, one = f"INSERT INTO {table.__tablename__} (id, {copied})", f"FROM {table.__tablename__} WHERE id = :id"
        again = f"{into} SELECT :new, {copied} {one}"
        new = uuid4() if isinstance(first["id"], UUID) else first["id"] + 1_000_000
        assert refused(again, new=new, id=first["id"]) == name, given
        for other in beside:
            put(other)


def test_what_has_to_be_there_cannot_be_left_out(db: sqlalchemy.Connection, refused: Refused, keys: Keys) -> None:
    # Whatever a trigger would say before.
    db.execute(text("SET LOCAL session_replication_role = replica"))
    found = {
        (row.relname, row.attname): refused(f'UPDATE "{row.relname}" SET "{row.attname}" = NULL') or "nothing"
        for row in db.execute(text(NOT_NULL)).all()
    }
    taken = {column: said for column, said in found.items() if "null value in column" not in said}
    assert taken == {}
    assert len(found) > 100
