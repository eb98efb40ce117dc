"""room for sums: a day's price of any size, and the audit log by who did it and what was changed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

PRICED = ("usage", "usage_days")
FOUND_BY = ("object", "actor")


def upgrade() -> None:
    for table in PRICED:
        # A number that does not fit would keep all that is written with it from being written.
        op.alter_column(table, "price", type_=sa.Numeric())
    for column in FOUND_BY:
        op.create_index(f"ix_audit_{column}", "audit", [column, sa.text("id DESC")])


def downgrade() -> None:
    for column in FOUND_BY:
        op.drop_index(f"ix_audit_{column}", "audit")
    for table in PRICED:
        op.alter_column(table, "price", type_=sa.Numeric(24, 9))
