"""files: uploads, and jobs that are parts of another"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

#: What ends a bulk job ends its chunks, whoever writes it: at once what waits, at its worker's next heartbeat what runs.
CASCADE = """
CREATE FUNCTION jobs_cascade() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE jobs SET status = 'canceled', cancel_requested_at = now() WHERE parent_id = NEW.id AND status = 'pending';
  UPDATE jobs SET cancel_requested_at = now()
  WHERE parent_id = NEW.id AND status = 'processing' AND cancel_requested_at IS NULL;
  RETURN NULL;
END $$;
CREATE TRIGGER jobs_cascade AFTER UPDATE OF status ON jobs FOR EACH ROW
  WHEN (NEW.kind = 'bulk' AND NEW.status IN ('completed', 'failed', 'canceled', 'expired')) EXECUTE FUNCTION jobs_cascade();
"""
TENANTS = [
    ("ix_jobs_tenant", ["tenant_id", sa.literal_column("id DESC")], "parent_id IS NULL"),
    (
        "ix_jobs_tenant_status",
        ["tenant_id", "status", sa.literal_column("id DESC")],
        "status <> 'completed' AND parent_id IS NULL",
    ),
]


def upgrade() -> None:
    op.create_table(
        "uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("filename", sa.Text(), nullable=True),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
    )
    op.create_index("ix_uploads_created_at", "uploads", ["created_at"], unique=False)
    op.add_column("jobs", sa.Column("parent_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_jobs_parent_id_jobs"), "jobs", "jobs", ["parent_id"], ["id"])
    # Chunks are many, and nobody lists them.
    for name, columns, condition in TENANTS:
        op.drop_index(name, table_name="jobs")
        op.create_index(name, "jobs", columns, unique=False, postgresql_where=sa.text(condition))
    op.create_index(
        "ix_jobs_parent",
        "jobs",
        ["parent_id", "status"],
        unique=False,
        postgresql_where=sa.text("parent_id IS NOT NULL"),
    )
    op.execute(CASCADE)


def downgrade() -> None:
    op.execute("DROP TRIGGER jobs_cascade ON jobs")
    op.execute("DROP FUNCTION jobs_cascade")
    op.drop_index("ix_jobs_parent", table_name="jobs", postgresql_where=sa.text("parent_id IS NOT NULL"))
    op.drop_index("ix_jobs_tenant", table_name="jobs", postgresql_where=sa.text(TENANTS[0][2]))
    op.drop_index("ix_jobs_tenant_status", table_name="jobs", postgresql_where=sa.text(TENANTS[1][2]))
    op.drop_constraint(op.f("fk_jobs_parent_id_jobs"), "jobs", type_="foreignkey")
    op.drop_column("jobs", "parent_id")
    op.create_index(TENANTS[0][0], "jobs", TENANTS[0][1], unique=False)
    op.create_index(
        TENANTS[1][0], "jobs", TENANTS[1][1], unique=False, postgresql_where=sa.text("status <> 'completed'")
    )
    op.drop_index("ix_uploads_created_at", table_name="uploads")
    op.drop_table("uploads")
