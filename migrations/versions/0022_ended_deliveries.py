"""webhook_deliveries: what has ended is found by its tenant and how it ended, each of which is kept for another time"""

from __future__ import annotations

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("DROP INDEX ix_webhook_deliveries_finished")
    op.execute(
        "CREATE INDEX ix_webhook_deliveries_ended ON webhook_deliveries (tenant_id, status, finished_at)"
        " WHERE finished_at IS NOT NULL"
    )


def downgrade() -> None:
    op.execute("DROP INDEX ix_webhook_deliveries_ended")
    op.execute(
        "CREATE INDEX ix_webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE finished_at IS NOT NULL"
    )
