"""kinds: what SQL has to know of a kind is a column; what is told of a result is written with it, and pieces before"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BODY = """
CREATE OR REPLACE FUNCTION webhook_body(event text, sequence bigint, at timestamptz, job jobs) RETURNS text
LANGUAGE sql STABLE SET timezone = 'UTC' AS $$
  SELECT json_build_object('type', event, 'timestamp', at, 'data', json_build_object(
    'job_id', 'job_' || replace(job.id::text, '-', ''), 'sequence', sequence, 'status', job.status,
    'progress', job.progress, 'model', job.model, 'model_version', job.version, 'attempt', job.attempt,
    'metadata', job.metadata, 'created_at', job.created_at, 'started_at', job.started_at, 'finished_at', job.finished_at,
    'error', CASE WHEN job.finished_at IS NOT NULL THEN job.error END,
    'result', {result}))::text
$$
"""
TOLD = "(SELECT told FROM job_results WHERE job_id = job.id)"
MADE = "webhook_result(job.kind, job.options, (SELECT body FROM job_results WHERE job_id = job.id))"

#: As 0004 and 0007 had them.
RESULT = """
CREATE FUNCTION webhook_prediction(options json, stored json) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN stored -> 'error' IS NOT NULL THEN json_build_object('error', stored -> 'error')
    WHEN coalesce(options ->> 'explain', '') = ''
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
EXCEPTION WHEN data_exception THEN RETURN NULL;
END $$;
"""

_LABEL = (
    """json_build_object('prediction', {0} -> 'label', 'confidence', {0} -> 'confidence', 'scores', {0} -> 'scores')"""
)
#: The other forms have the same names as before, and are read by them. What holds a NUL, which JSON's operators refuse,
#: stays as it is, and is not read.
AS_BEFORE = f"""
UPDATE job_results SET body = CASE body ->> 'form'
  WHEN 'record' THEN body -> 'found'
  WHEN 'label' THEN {_LABEL.format("body")}
  ELSE json_build_object('predictions', (
    SELECT json_agg(CASE item ->> 'form' WHEN 'label' THEN {_LABEL.format("item")}
                         ELSE json_build_object('error', item -> 'error') END ORDER BY place)
    FROM json_array_elements(body -> 'items') WITH ORDINALITY AS list (item, place))) END
WHERE CASE WHEN strpos(body::text, '\\u0000') = 0 THEN body ->> 'form' IN ('record', 'label', 'several') END
"""  # noqa: S608 - constants only


def upgrade() -> None:
    # True of all there are, at no cost, and then of those only that it is true of. A job that an API of the version
    # before still accepts has a claim of its own, whatever it is.
    op.add_column("jobs", sa.Column("batches", sa.Boolean(), server_default=sa.true(), nullable=False))
    # By the index of each status, as the table is locked meanwhile.
    op.execute("SET LOCAL enable_seqscan = off")
    op.execute("UPDATE jobs SET batches = false WHERE status = 'pending' AND kind <> 'predict'")
    op.execute("UPDATE jobs SET batches = false WHERE status = 'processing' AND kind <> 'predict'")
    op.execute("SET LOCAL enable_seqscan = on")
    op.alter_column("jobs", "batches", server_default=sa.false())
    # Of what workers of the version before still settle, receivers have to ask.
    op.add_column("job_results", sa.Column("told", sa.JSON(), nullable=True))
    op.add_column("job_events", sa.Column("output", sa.JSON(), nullable=True))
    op.execute(BODY.format(result=TOLD))
    op.execute("DROP FUNCTION webhook_result")
    op.execute("DROP FUNCTION webhook_prediction")


def downgrade() -> None:
    op.execute(AS_BEFORE)
    op.execute("DELETE FROM job_events WHERE type = 'output'")
    op.execute(RESULT)
    op.execute(BODY.format(result=MADE))
    op.drop_column("job_events", "output")
    op.drop_column("job_results", "told")
    op.drop_column("jobs", "batches")
