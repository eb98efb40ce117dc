"""ends of versions: one that is deprecated still answers, one that is removed ends the jobs it has and takes no more"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

MOMENTS = ("deprecated_at", "sunset_at", "removed_at", "forgotten_at")


def upgrade() -> None:
    for name in MOMENTS:
        op.add_column("model_versions", sa.Column(name, sa.DateTime(timezone=True), nullable=True))
    op.add_column("model_versions", sa.Column("deprecation", sa.Text(), nullable=True))


def downgrade() -> None:
    # Its bundle is gone, and no job waits for it; one that was only removed answers again.
    op.execute("DELETE FROM model_versions WHERE forgotten_at IS NOT NULL")
    op.execute("DELETE FROM models WHERE NOT EXISTS (SELECT FROM model_versions WHERE model = name)")
    op.drop_column("model_versions", "deprecation")
    for name in MOMENTS:
        op.drop_column("model_versions", name)
