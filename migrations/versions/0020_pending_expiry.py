"""jobs: the index of expiries is for the chore alone, whose words no claim says"""

from __future__ import annotations

from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX ix_jobs_pending_expiry")
    op.execute("CREATE INDEX ix_jobs_pending_expiry ON jobs (expires_at) WHERE lower(status) = 'pending'")


def downgrade() -> None:
    op.execute("DROP INDEX ix_jobs_pending_expiry")
    op.execute("CREATE INDEX ix_jobs_pending_expiry ON jobs (expires_at) WHERE status = 'pending'")
