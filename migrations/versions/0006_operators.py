"""operators: who works on which pool, by parent and child; what workers count; the rare events of jobs by their order"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

RARE = "type IN ('pending', 'failed', 'canceled', 'expired')"


def upgrade() -> None:
    # Whoever is alive says so again within seconds.
    op.drop_table("workers")
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("pools", postgresql.ARRAY(sa.Text()), nullable=False),
        sa.Column("receives", sa.Boolean(), nullable=False),
        sa.Column("works", sa.Boolean(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("jobs_per_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
    op.create_table(
        "counts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("labels", sa.Text(), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", "labels", name=op.f("pk_counts")),
    )
    # Room on each page for the next version of a row that changes every few seconds.
    op.execute("ALTER TABLE workers SET (fillfactor = 50)")
    op.execute("ALTER TABLE counts SET (fillfactor = 50)")
    op.create_index("ix_job_events_rare", "job_events", ["at"], unique=False, postgresql_where=sa.text(RARE))


def downgrade() -> None:
    op.drop_index("ix_job_events_rare", table_name="job_events", postgresql_where=sa.text(RARE))
    op.drop_table("counts")
    op.drop_table("workers")
    op.create_table(
        "workers",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("jobs_per_s", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_workers")),
    )
