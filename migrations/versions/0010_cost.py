"""cost: what a job costs in units, so that handing it in again costs the same"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Not `units`, which statements of workers that still run the version before take for a column of their own.
    op.add_column("jobs", sa.Column("cost", sa.Integer(), server_default="1", nullable=False))


def downgrade() -> None:
    op.drop_column("jobs", "cost")
