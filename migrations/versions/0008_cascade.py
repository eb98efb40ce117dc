"""cascade: no chunk outlives its bulk job by changing hands while that ends"""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

CASCADE = """
CREATE OR REPLACE FUNCTION jobs_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
{lock}  UPDATE jobs SET status = 'canceled', cancel_requested_at = now() WHERE parent_id = NEW.id AND status = 'pending';
  UPDATE jobs SET cancel_requested_at = now()
  WHERE parent_id = NEW.id AND status = 'processing' AND cancel_requested_at IS NULL;
  RETURN NULL;
END $$;
"""
#: One that went from either to the other between the two updates would be met by neither.
LOCK = """\
  PERFORM FROM jobs WHERE parent_id = NEW.id AND status IN ('pending', 'processing') ORDER BY id FOR UPDATE;
"""


def upgrade() -> None:
    op.execute(CASCADE.format(lock=LOCK))


def downgrade() -> None:
    op.execute(CASCADE.format(lock=""))
