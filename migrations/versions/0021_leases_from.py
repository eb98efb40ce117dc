"""workers: before when none of a process's leases ends, so that a claim counts what runs without what once ran"""

from __future__ import annotations

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Who does not tell it, being of the release before, may hold leases that end at any time.
    op.execute("ALTER TABLE workers ADD leases_from timestamptz NOT NULL DEFAULT 'epoch'")


def downgrade() -> None:
    op.execute("ALTER TABLE workers DROP leases_from")
