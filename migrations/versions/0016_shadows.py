"""shadows: what they are asked, what came of it; and the truth that arrives later"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "shadow_copies",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        *_compared(),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("inputs", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_copies")),
    )
    op.create_index("ix_shadow_copies_pool", "shadow_copies", ["pool", "id"])
    op.create_table(
        "shadow_pairs",
        sa.Column("id", sa.BigInteger(), sa.Identity(), nullable=False),
        *_compared(),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("digest", sa.Text(), nullable=False),
        *_answer("shadow"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_shadow_pairs")),
    )
    op.create_index("ix_shadow_pairs_name", "shadow_pairs", ["model", "name", "id"])
    op.create_index("ix_shadow_pairs_at", "shadow_pairs", ["at"])
    op.create_table(
        "feedback",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("number", sa.Float(), nullable=True),
        sa.Column("true_label", sa.Text(), nullable=True),
        sa.Column("true_number", sa.Float(), nullable=True),
        sa.CheckConstraint(
            "(label IS NULL) = (true_label IS NULL) AND (number IS NULL) = (true_number IS NULL)"
            " AND (label IS NULL) <> (number IS NULL)",
            name=op.f("ck_feedback_one"),
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_feedback_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_feedback")),
    )
    op.create_index("ix_feedback_model", "feedback", ["model", "version"])


def _compared() -> list[sa.Column[object]]:
    """What is asked, of whom, and what the version that answered said."""
    words = ("model", "name", "version", "stable_version", "request_id")
    named: list[sa.Column[object]] = [sa.Column(word, sa.Text(), nullable=False) for word in words]
    return [*named, sa.Column("place", sa.Integer(), nullable=False), *_answer("stable")]


def _answer(whose: str) -> list[sa.Column[object]]:
    """A label with its confidence, or a number, or the code of an error; and how long it took, where that is known."""
    kinds = {"label": sa.Text(), "confidence": sa.Float(), "number": sa.Float(), "error": sa.Text(), "ms": sa.Float()}
    return [sa.Column(f"{whose}_{name}", kind, nullable=True) for name, kind in kinds.items()]


def downgrade() -> None:
    for table in ("feedback", "shadow_pairs", "shadow_copies"):
        op.drop_table(table)
