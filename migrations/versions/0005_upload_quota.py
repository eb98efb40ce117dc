"""upload quota: how many places a tenant may have open, and how many bytes it may have in them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # What a tier of the operator's own gets, until a row says otherwise.
    op.add_column("tiers", sa.Column("max_uploads", sa.Integer(), server_default="10", nullable=False))
    op.add_column("tiers", sa.Column("max_upload_bytes", sa.BigInteger(), server_default=str(5 << 30), nullable=False))
    op.execute(f"UPDATE tiers SET max_uploads = 100, max_upload_bytes = {100 << 30} WHERE name = 'pro'")  # noqa: S608
    op.create_index("ix_uploads_tenant", "uploads", ["tenant_id"], unique=False)


def downgrade() -> None:
    op.drop_index("ix_uploads_tenant", table_name="uploads")
    op.drop_column("tiers", "max_upload_bytes")
    op.drop_column("tiers", "max_uploads")
