"""routes: who gets which version of a model, and of a job why it has its own"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("models", sa.Column("routes", sa.JSON(), nullable=False, server_default="{}"))
    op.add_column("jobs", sa.Column("route", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "route")
    op.drop_column("models", "routes")
