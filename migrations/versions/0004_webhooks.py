"""webhooks: endpoints, secrets, deliveries and their attempts; deliveries are made in the transaction of what happened"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

#: A job's result as the API shows it, while it is small; null says: ask for it.
RESULT = """
CREATE FUNCTION webhook_prediction(options json, stored json) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN coalesce(options ->> 'explain', '') = ''
    THEN json_build_object('prediction', stored -> 'prediction', 'confidence', stored -> 'confidence')
    ELSE json_build_object('prediction', stored -> 'prediction', 'confidence', stored -> 'confidence',
                           'explanation', json_build_object('method', 'scores', 'scores', stored -> 'scores')) END
$$;
CREATE FUNCTION webhook_result(kind text, options json, stored json) RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE
    WHEN stored IS NULL OR octet_length(stored::text) > 8192 OR stored ->> 'stored_key' IS NOT NULL THEN NULL
    WHEN kind = 'bulk' THEN json_build_object('rows', stored -> 'rows', 'failed', stored -> 'failed')
    WHEN kind <> 'predict' THEN stored
    WHEN stored -> 'predictions' IS NULL THEN webhook_prediction(options, stored)
    WHEN coalesce(options ->> 'faults', '{}') <> '{}' THEN NULL
    ELSE json_build_object('predictions', (
      SELECT json_agg(webhook_prediction(options, item) ORDER BY place)
      FROM json_array_elements(stored -> 'predictions') WITH ORDINALITY AS list (item, place))) END;
-- JSON may hold what its operators refuse, such as NUL. Nothing that is told of a job may keep it from ending.
EXCEPTION WHEN data_exception THEN RETURN NULL;
END $$;
"""

#: Who is told of what happens to a job, and in which words.
RECEIVERS = """
CREATE FUNCTION webhook_receivers(job jobs, event text)
RETURNS TABLE (endpoint_id uuid, url text, target text, enabled boolean) LANGUAGE sql STABLE AS $$
  SELECT id, NULL, id::text, enabled FROM webhook_endpoints
  WHERE tenant_id = job.tenant_id AND event = ANY (events)
  UNION ALL
  SELECT NULL, job.webhook_url, job.tenant_id || ' ' || substring(job.webhook_url FROM '^[a-z]+://[^/?#]+'), true
  WHERE job.webhook_url IS NOT NULL AND event = ANY (job.webhook_events)
$$;
CREATE FUNCTION webhook_body(event text, sequence bigint, at timestamptz, job jobs) RETURNS text
LANGUAGE sql STABLE SET timezone = 'UTC' AS $$
  SELECT json_build_object('type', event, 'timestamp', at, 'data', json_build_object(
    'job_id', 'job_' || replace(job.id::text, '-', ''), 'sequence', sequence, 'status', job.status,
    'progress', job.progress, 'model', job.model, 'model_version', job.version, 'attempt', job.attempt,
    'metadata', job.metadata, 'created_at', job.created_at, 'started_at', job.started_at, 'finished_at', job.finished_at,
    'error', CASE WHEN job.finished_at IS NOT NULL THEN job.error END,
    'result', webhook_result(job.kind, job.options, (SELECT body FROM job_results WHERE job_id = job.id))))::text
$$;
"""

#: What a job's end owes its receivers is in the transaction of that end, whoever writes it. To an endpoint that is
#: switched off it is owed as well: a failed delivery that can be asked for again.
ANNOUNCE = """
CREATE FUNCTION webhooks_announce(ended uuid[]) RETURNS void LANGUAGE sql SET enable_nestloop = on AS $$
  INSERT INTO webhook_deliveries (id, sequence, tenant_id, endpoint_id, url, target, job_id, event, body, status,
                                  last_error, finished_at)
  SELECT gen_random_uuid(), sequence, (job).tenant_id, endpoint_id, url, target, (job).id, event,
    webhook_body(event, sequence, (job).finished_at, job), CASE WHEN enabled THEN 'pending' ELSE 'failed' END,
    CASE WHEN NOT enabled THEN 'ENDPOINT_DISABLED' END, CASE WHEN NOT enabled THEN now() END
  FROM (
    SELECT nextval('webhook_deliveries_sequence_seq') AS sequence, jobs AS job, 'job.' || jobs.status AS event, receiver.*
    FROM jobs CROSS JOIN LATERAL webhook_receivers(jobs, 'job.' || jobs.status) AS receiver WHERE jobs.id = ANY (ended)
  ) AS found
  ON CONFLICT DO NOTHING
$$;
CREATE FUNCTION jobs_announce() RETURNS trigger LANGUAGE plpgsql SET enable_nestloop = off AS $$
DECLARE ended uuid[];
BEGIN
  IF NOT EXISTS (SELECT FROM now_rows WHERE finished_at IS NOT NULL AND parent_id IS NULL)
     OR NOT (EXISTS (SELECT FROM webhook_endpoints) OR EXISTS (SELECT FROM now_rows WHERE webhook_url IS NOT NULL))
  THEN RETURN NULL; END IF;
  SELECT array_agg(job.id) INTO ended FROM now_rows job JOIN was_rows was USING (id)
  WHERE job.finished_at IS NOT NULL AND was.finished_at IS NULL AND job.parent_id IS NULL;
  PERFORM webhooks_announce(ended);
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_announce AFTER UPDATE ON jobs REFERENCING OLD TABLE AS was_rows NEW TABLE AS now_rows
  FOR EACH STATEMENT EXECUTE FUNCTION jobs_announce();
"""

#: Progress is told while it is news: not before the last one is out of the house, and not more often than every five seconds.
PROGRESS = """
CREATE FUNCTION jobs_tell_progress() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO webhook_deliveries (id, sequence, tenant_id, endpoint_id, url, target, job_id, event, body)
  SELECT gen_random_uuid(), sequence, NEW.tenant_id, endpoint_id, url, target, NEW.id, 'job.progress',
    webhook_body('job.progress', sequence, clock_timestamp(), NEW)
  FROM (SELECT nextval('webhook_deliveries_sequence_seq') AS sequence, receiver.*
        FROM webhook_receivers(NEW, 'job.progress') AS receiver
        WHERE enabled AND NOT EXISTS (
          SELECT FROM webhook_deliveries earlier
          WHERE earlier.job_id = NEW.id AND event = 'job.progress' AND earlier.target = receiver.target
            AND (earlier.finished_at IS NULL OR earlier.created_at > now() - interval '5 s'))) AS found;
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_tell_progress AFTER UPDATE OF progress ON jobs FOR EACH ROW
  WHEN (NEW.progress > OLD.progress AND NEW.status = 'processing' AND NEW.parent_id IS NULL)
  EXECUTE FUNCTION jobs_tell_progress();
"""


def _endpoints() -> None:
    op.create_table(
        "webhook_endpoints",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("events", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("signing", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("disabled_code", sa.Text(), nullable=True),
        sa.Column("disabled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("signing IN ('v1', 'v1a')", name=op.f("ck_webhook_endpoints_signing")),
        sa.CheckConstraint("enabled = (disabled_code IS NULL)", name=op.f("ck_webhook_endpoints_enabled")),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_endpoints_tenant_id_tenants")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_endpoints")),
    )
    op.create_index(op.f("ix_webhook_endpoints_tenant_id"), "webhook_endpoints", ["tenant_id"], unique=False)
    op.create_table(
        "webhook_secrets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("sealed", sa.Text(), nullable=False),
        sa.Column("public_key", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("retires_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenants.id"], name=op.f("fk_webhook_secrets_tenant_id_tenants")),
        sa.ForeignKeyConstraint(
            ["endpoint_id"],
            ["webhook_endpoints.id"],
            name=op.f("fk_webhook_secrets_endpoint_id_webhook_endpoints"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_secrets")),
    )
    op.create_index("ix_webhook_secrets_owner", "webhook_secrets", ["tenant_id", "endpoint_id"], unique=False)
    op.create_index(
        "uq_webhook_secrets_current",
        "webhook_secrets",
        ["tenant_id", "endpoint_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("retires_at IS NULL"),
    )


def _deliveries() -> None:
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("endpoint_id", sa.Uuid(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), server_default="pending", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries_before", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("worker", sa.Text(), nullable=True),
        sa.Column("lease_expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "status IN ('pending', 'sending', 'delivered', 'failed')", name=op.f("ck_webhook_deliveries_status")
        ),
        sa.CheckConstraint(
            "(status = 'sending') = (lease_expires_at IS NOT NULL)", name=op.f("ck_webhook_deliveries_lease")
        ),
        sa.CheckConstraint(
            "(status IN ('delivered', 'failed')) = (finished_at IS NOT NULL)",
            name=op.f("ck_webhook_deliveries_finished"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
    )
    latest = sa.literal_column("sequence DESC")
    for name, columns, condition in (
        ("ix_webhook_deliveries_due", ["target", "next_at", "sequence"], "status = 'pending'"),
        ("ix_webhook_deliveries_since", ["since"], "status = 'pending'"),
        ("ix_webhook_deliveries_lease", ["lease_expires_at"], "status = 'sending'"),
        ("ix_webhook_deliveries_progress", ["job_id"], "event = 'job.progress'"),
        ("ix_webhook_deliveries_finished", ["finished_at"], "finished_at IS NOT NULL"),
    ):
        op.create_index(name, "webhook_deliveries", columns, unique=False, postgresql_where=sa.text(condition))
    op.create_index("ix_webhook_deliveries_tenant", "webhook_deliveries", ["tenant_id", latest], unique=False)
    op.create_index("ix_webhook_deliveries_endpoint", "webhook_deliveries", ["endpoint_id", latest], unique=False)
    op.create_index(
        "uq_webhook_deliveries_end",
        "webhook_deliveries",
        ["job_id", "endpoint_id"],
        unique=True,
        postgresql_nulls_not_distinct=True,
        postgresql_where=sa.text("job_id IS NOT NULL AND event <> 'job.progress'"),
    )
    op.create_table(
        "webhook_attempts",
        sa.Column("delivery_id", sa.Uuid(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ms", sa.Integer(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("response", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["delivery_id"],
            ["webhook_deliveries.id"],
            name=op.f("fk_webhook_attempts_delivery_id_webhook_deliveries"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("delivery_id", "attempt", name=op.f("pk_webhook_attempts")),
    )
    op.create_table(
        "webhook_troubles",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failing_since", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("held_until", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("target", name=op.f("pk_webhook_troubles")),
    )


def upgrade() -> None:
    op.add_column("jobs", sa.Column("webhook_url", sa.Text(), nullable=True))
    op.add_column("jobs", sa.Column("webhook_events", postgresql.ARRAY(sa.Text()), nullable=True))
    _endpoints()
    _deliveries()
    for statement in (RESULT, RECEIVERS, ANNOUNCE, PROGRESS):
        op.execute(statement)


def downgrade() -> None:
    for trigger in ("jobs_tell_progress", "jobs_announce"):
        op.execute(f"DROP TRIGGER {trigger} ON jobs")
        op.execute(f"DROP FUNCTION {trigger}")
    for function in ("webhooks_announce", "webhook_body", "webhook_receivers", "webhook_result", "webhook_prediction"):
        op.execute(f"DROP FUNCTION {function}")
    for table in ("troubles", "attempts", "deliveries", "secrets", "endpoints"):
        op.drop_table(f"webhook_{table}")
    op.drop_column("jobs", "webhook_events")
    op.drop_column("jobs", "webhook_url")
