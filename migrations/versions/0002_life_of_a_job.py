"""life of a job: tiers, events, idempotency keys, workers; run limits, links and instant recovery"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

#: One statement-level trigger: a claim or a settle of 256 jobs writes its 256 events in one INSERT. Nested loops are off because
#: the plan is made once, at the first and usually smallest statement, and kept.
RECORD = """
CREATE FUNCTION jobs_record() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
BEGIN
  INSERT INTO job_events (job_id, type, progress, attempt, batch_size, run_ms, error)
  SELECT job.id,
    CASE WHEN job.status <> was.status THEN job.status
         WHEN job.cancel_requested_at IS NOT NULL AND was.cancel_requested_at IS NULL THEN 'cancel_requested'
         ELSE 'progress' END,
    job.progress, job.attempt,
    CASE WHEN job.status = 'processing' AND was.status = 'pending' THEN count(*) OVER () END,
    CASE WHEN job.status = 'completed' THEN job.run_ms END,
    CASE WHEN job.status <> was.status THEN job.error END
  FROM now_rows job JOIN was_rows was USING (id)
  WHERE job.status <> was.status OR job.progress <> was.progress
     OR (job.cancel_requested_at IS NOT NULL AND was.cancel_requested_at IS NULL);
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_record AFTER UPDATE ON jobs REFERENCING OLD TABLE AS was_rows NEW TABLE AS now_rows
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_record();
"""

#: A job is born pending and unclaimed, whoever inserts it.
BIRTH = """
CREATE FUNCTION jobs_birth() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'job %: a new job is pending, with no attempt and no progress', NEW.id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER jobs_birth BEFORE INSERT ON jobs FOR EACH ROW
  WHEN (NEW.status <> 'pending' OR NEW.attempt <> 0 OR NEW.progress <> 0 OR NEW.lost_count <> 0) EXECUTE FUNCTION jobs_birth();
"""

TIERS = """
INSERT INTO tiers (name, pace, priorities, max_running, max_pending, max_ttl_s, keep_s) VALUES
  ('free', 20, '{normal,low}', 64, 10000, 86400, 604800),
  ('pro', 500, '{high,normal,low}', 4096, 1000000, 604800, 2592000);
"""


def upgrade() -> None:
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("route", sa.Text(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.LargeBinary(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("reply", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("tenant_id", "route", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_created_at", "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("progress", sa.SmallInteger(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("batch_size", sa.Integer(), nullable=True),
        sa.Column("run_ms", sa.Integer(), nullable=True),
        sa.Column("error", postgresql.JSON(astext_type=sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("job_id", "id", name=op.f("pk_job_events")),
    )
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("jobs_per_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "tiers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pace", sa.Float(), nullable=False),
        sa.Column("priorities", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("max_running", sa.Integer(), nullable=False),
        sa.Column("max_pending", sa.Integer(), nullable=False),
        sa.Column("max_ttl_s", sa.Integer(), nullable=False),
        sa.Column("keep_s", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_tiers")),
    )
    op.execute(TIERS)
    op.add_column("tenants", sa.Column("tier", sa.Text(), server_default="free", nullable=False))
    op.create_foreign_key(op.f("fk_tenants_tier_tiers"), "tenants", "tiers", ["tier"], ["name"])
    # Nobody who was here before has less than before.
    op.execute("UPDATE tenants SET tier = 'pro'")
    op.add_column("jobs", sa.Column("timeout_s", sa.Integer(), server_default="300", nullable=False))
    op.alter_column("jobs", "timeout_s", server_default=None)
    op.add_column("jobs", sa.Column("wake_id", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("retry_of", sa.Uuid(), nullable=True))
    op.add_column("jobs", sa.Column("run_ms", sa.Integer(), nullable=True))
    op.create_index(
        "ix_jobs_tenant_status",
        "jobs",
        ["tenant_id", "status", sa.literal_column("id DESC")],
        unique=False,
        postgresql_where=sa.text("status <> 'completed'"),
    )
    op.execute(RECORD)
    op.execute(BIRTH)


def downgrade() -> None:
    op.execute("DROP TRIGGER jobs_birth ON jobs")
    op.execute("DROP FUNCTION jobs_birth")
    op.execute("DROP TRIGGER jobs_record ON jobs")
    op.execute("DROP FUNCTION jobs_record")
    op.drop_index("ix_jobs_tenant_status", table_name="jobs", postgresql_where=sa.text("status <> 'completed'"))
    for column in ("run_ms", "retry_of", "wake_id", "timeout_s"):
        op.drop_column("jobs", column)
    op.drop_constraint(op.f("fk_tenants_tier_tiers"), "tenants", type_="foreignkey")
    op.drop_column("tenants", "tier")
    op.drop_table("tiers")
    op.drop_table("workers")
    op.drop_table("job_events")
    op.drop_index("ix_idempotency_keys_created_at", table_name="idempotency_keys")
    op.drop_table("idempotency_keys")
