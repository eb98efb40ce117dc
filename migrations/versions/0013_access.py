"""access: what a tier allows in a minute and a month, what a key may, the ledger, blocks, and who changed what"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

NOW = sa.text("now()")
MOMENT = sa.DateTime(timezone=True)

#: What a tier that is there already gets: limits that nobody meets by accident.
LIMITS = {
    "requests_per_minute": (sa.Integer(), "600000"),
    "requests_burst": (sa.Integer(), "20000"),
    "units_per_minute": (sa.Integer(), "6000000"),
    "units_burst": (sa.Integer(), "1000000"),
    "monthly_units": (sa.BigInteger(), "0"),
    "allowance_percent": (sa.Integer(), "10"),
    "past_allowance": (sa.Text(), "refuse"),
    "unit_price": (sa.Numeric(18, 9), "0"),
    "max_run_s": (sa.Integer(), "3600"),
}
TIERS = """
UPDATE tiers SET requests_per_minute = 1200, requests_burst = 200, units_per_minute = 12000, units_burst = 2000,
  monthly_units = 1000000 WHERE name = 'free';
UPDATE tiers SET past_allowance = 'pay' WHERE name = 'pro';
INSERT INTO tiers (name, pace, priorities, max_running, max_pending, max_ttl_s, keep_s, max_uploads, max_upload_bytes,
    requests_per_minute, requests_burst, units_per_minute, units_burst, monthly_units, allowance_percent, past_allowance,
    max_run_s)
  VALUES
  ('anonymous', 5, '{normal}', 4, 100, 3600, 3600, 0, 0, 60, 20, 600, 100, 100000, 0, 'refuse', 60),
  ('internal', 1000, '{high,normal,low}', 4096, 1000000, 604800, 2592000, 1000, 1099511627776,
    6000000, 200000, 60000000, 10000000, 0, 0, 'pay', 3600)
ON CONFLICT DO NOTHING;
"""

GUARD = """
CREATE FUNCTION audit_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'the audit log is only added to' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER audit_stays BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_stays();
"""

#: Whoever writes a step, the endpoints that operators made for it are told in the same transaction.
TOLD = """
CREATE FUNCTION blocks_tell() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE said text := 'access.' || (ARRAY['warned', 'slowed', 'blocked'])[NEW.level];
BEGIN
  INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, target, event, body)
  SELECT gen_random_uuid(), tenant_id, id, id::text, said, json_build_object('type', said, 'timestamp', NEW.since,
    'data', json_build_object('subject', NEW.subject, 'tenant', (SELECT name FROM tenants WHERE id = NEW.tenant_id),
      'level', substring(said FROM 8), 'reason', NEW.reason, 'since', NEW.since, 'until', NEW.until))::text
  FROM webhook_endpoints WHERE enabled AND said = ANY (events);
  RETURN NULL;
END $$;
CREATE TRIGGER blocks_tell AFTER INSERT OR UPDATE ON blocks FOR EACH ROW EXECUTE FUNCTION blocks_tell();
"""

#: What every key with `jobs` could do until now.
OPENED = "'{predict,jobs,files,webhooks,models:read,usage:read,keys}'::text[]"


#: Of the transaction that writes; as a number, since it never comes near 2^63.
XACT = sa.text("pg_current_xact_id()::text::bigint")


def upgrade() -> None:
    _tiers()
    _keys()
    _ledger()
    _conduct()


def _tiers() -> None:
    for name, (kind, default) in LIMITS.items():
        op.add_column("tiers", sa.Column(name, kind, server_default=default, nullable=False))
    op.create_check_constraint(op.f("ck_tiers_past_allowance"), "tiers", "past_allowance IN ('refuse', 'pay')")
    op.execute(TIERS)


def _keys() -> None:
    op.add_column("api_keys", sa.Column("expires_at", MOMENT, nullable=True))
    op.add_column("api_keys", sa.Column("models", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("api_keys", sa.Column("networks", postgresql.ARRAY(sa.Text()), nullable=True))
    op.add_column("api_keys", sa.Column("last_used_at", MOMENT, nullable=True))
    op.add_column("api_keys", sa.Column("rotated_to", sa.Text(), nullable=True))
    op.execute(
        f"UPDATE api_keys SET scopes = ARRAY(SELECT DISTINCT unnest(scopes || {OPENED}) ORDER BY 1) "  # noqa: S608
        "WHERE 'jobs' = ANY (scopes)"
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("at", MOMENT, server_default=NOW, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=True),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=True),
        sa.Column("after", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_tenant", "audit", ["tenant_id", sa.text("id DESC")])
    op.execute(GUARD)


def _ledger() -> None:
    op.add_column("jobs", sa.Column("key_id", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("unit_price", sa.Numeric(18, 9), nullable=True))
    op.drop_constraint(op.f("pk_usage"), "usage", type_="primary")
    # Of what workers of the version before still settle, nobody knows more.
    op.add_column("usage", sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False))
    op.create_primary_key(op.f("pk_usage"), "usage", ["id"])
    op.create_index("uq_usage_job", "usage", ["job_id"], unique=True)
    op.add_column("usage", sa.Column("version", sa.Text(), server_default="", nullable=False))
    op.add_column("usage", sa.Column("kind", sa.Text(), server_default="predict", nullable=False))
    op.add_column("usage", sa.Column("key_id", sa.Text(), server_default="", nullable=False))
    op.add_column("usage", sa.Column("calls", sa.Integer(), server_default="1", nullable=False))
    op.add_column("usage", sa.Column("price", sa.Numeric(24, 9), server_default="0", nullable=False))
    op.alter_column("usage", "units", type_=sa.BigInteger())
    op.add_column("usage", sa.Column("xact", sa.BigInteger(), server_default=XACT, nullable=False))
    op.create_index("ix_usage_xact", "usage", ["xact"])
    op.create_table(
        "usage_days",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("calls", sa.BigInteger(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("price", sa.Numeric(24, 9), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "day", "model", "version", "kind", "key_id", name=op.f("pk_usage_days")),
    )
    op.create_table(
        "usage_mark",
        sa.Column("one", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("one", name=op.f("pk_usage_mark")),
        sa.CheckConstraint("one", name=op.f("ck_usage_mark_one")),
    )
    op.create_table(
        "adjustments",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("units", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_adjustments_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_adjustments")),
    )
    op.create_index("ix_adjustments_tenant", "adjustments", ["tenant_id", "month"])
    op.create_table(
        "quota_notices",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("month", sa.Date(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("created_at", MOMENT, server_default=NOW, nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "month", "event", name=op.f("pk_quota_notices")),
    )


def _conduct() -> None:
    op.create_table(
        "blocks",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=True),
        sa.Column("level", sa.SmallInteger(), nullable=False),
        sa.Column("steps", sa.Integer(), server_default="1", nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("since", MOMENT, server_default=NOW, nullable=False),
        sa.Column("until", MOMENT, nullable=False),
        sa.Column("gone_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("subject", name=op.f("pk_blocks")),
        sa.CheckConstraint("level BETWEEN 1 AND 3", name=op.f("ck_blocks_level")),
    )
    op.execute(TOLD)


def downgrade() -> None:
    for table in ("blocks", "quota_notices", "adjustments", "usage_mark", "usage_days", "audit"):
        op.drop_table(table)
    op.execute("DROP FUNCTION audit_stays")
    op.execute("DROP FUNCTION blocks_tell")
    op.execute("DELETE FROM usage WHERE kind = 'inline'")
    op.drop_index("ix_usage_xact", "usage")
    op.drop_constraint(op.f("pk_usage"), "usage", type_="primary")
    op.drop_index("uq_usage_job", "usage")
    for name in ("id", "version", "kind", "key_id", "calls", "price", "xact"):
        op.drop_column("usage", name)
    op.alter_column("usage", "units", type_=sa.Integer())
    op.create_primary_key(op.f("pk_usage"), "usage", ["job_id"])
    op.drop_column("jobs", "unit_price")
    op.drop_column("jobs", "key_id")
    for name in ("expires_at", "models", "networks", "last_used_at", "rotated_to"):
        op.drop_column("api_keys", name)
    # Whoever is of such a tier is of the smallest one from now on.
    op.execute("UPDATE tenants SET tier = 'free' WHERE tier IN ('anonymous', 'internal')")
    op.execute("DELETE FROM tiers WHERE name IN ('anonymous', 'internal')")
    op.drop_constraint(op.f("ck_tiers_past_allowance"), "tiers", type_="check")
    for name in LIMITS:
        op.drop_column("tiers", name)
