"""uploads, feedback: what a tenant keeps, and the latest of a model, are read by an index, however much there is"""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("CREATE INDEX ix_feedback_latest ON feedback (model, at DESC)")
    op.execute("CREATE INDEX ix_uploads_kept ON uploads (tenant_id) INCLUDE (size, used_at, expires_at)")
    # Nobody may read a table from here to the end.
    op.execute("DROP INDEX ix_feedback_model")
    op.execute("DROP INDEX ix_uploads_tenant")


def downgrade() -> None:
    op.execute("CREATE INDEX ix_feedback_model ON feedback (model, version)")
    op.execute("DROP INDEX ix_feedback_latest")
    op.execute("CREATE INDEX ix_uploads_tenant ON uploads (tenant_id)")
    op.execute("DROP INDEX ix_uploads_kept")
