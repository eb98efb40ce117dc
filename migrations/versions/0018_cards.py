"""model_versions: what a bundle says of itself for people"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("model_versions", sa.Column("card", sa.Text(), nullable=True))


def downgrade() -> None:
    op.drop_column("model_versions", "card")
