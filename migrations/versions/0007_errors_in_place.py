"""errors in place: webhooks tell of a list's bad inputs as the API shows them, in the place of their predictions"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

PREDICTION = """
CREATE OR REPLACE FUNCTION webhook_prediction(options json, stored json) RETURNS json LANGUAGE sql STABLE AS $$
  SELECT CASE {error} WHEN coalesce(options ->> 'explain', '') = ''
    THEN json_build_object('prediction', stored -> 'prediction', 'confidence', stored -> 'confidence')
    ELSE json_build_object('prediction', stored -> 'prediction', 'confidence', stored -> 'confidence',
                           'explanation', json_build_object('method', 'scores', 'scores', stored -> 'scores')) END
$$
"""
ERROR = "WHEN stored -> 'error' IS NOT NULL THEN json_build_object('error', stored -> 'error')"


def upgrade() -> None:
    op.execute(PREDICTION.format(error=ERROR))


def downgrade() -> None:
    op.execute(PREDICTION.format(error=""))
