"""canaries: what is seen of each, and what comes of it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

#: However a canary ends, the endpoints that operators made for it are told in the same transaction.
TOLD = """
CREATE FUNCTION canaries_tell() RETURNS trigger LANGUAGE plpgsql SET timezone = 'UTC' AS $$
DECLARE said text := 'routes.canary_' || NEW.state;
BEGIN
  INSERT INTO webhook_deliveries (id, tenant_id, endpoint_id, target, event, body)
  SELECT gen_random_uuid(), tenant_id, id, id::text, said, json_build_object('type', said, 'timestamp', NEW.ended_at,
    'data', json_build_object('model', NEW.model, 'canary', NEW.name, 'version', NEW.version, 'stable', NEW.stable,
      'since', NEW.since, 'ended_at', NEW.ended_at, 'ended_by', NEW.ended_by, 'evidence', NEW.evidence))::text
  FROM webhook_endpoints WHERE enabled AND said = ANY (events);
  RETURN NULL;
END $$;
CREATE TRIGGER canaries_tell AFTER UPDATE ON canaries FOR EACH ROW
  WHEN (OLD.state = 'running' AND NEW.state IN ('rolled_back', 'promoted')) EXECUTE FUNCTION canaries_tell();
"""


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "canaries",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("stable", sa.Text(), nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("share", sa.Float(), nullable=False),
        sa.Column("share_since", moment, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("since", moment, nullable=False, server_default=sa.text("clock_timestamp()")),
        sa.Column("state", sa.Text(), nullable=False, server_default="running"),
        sa.Column("ended_at", moment, nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("seen", sa.JSON(), nullable=False, server_default="{}"),
        sa.Column("evidence", sa.JSON(), nullable=False, server_default="{}"),
        sa.CheckConstraint(
            "state IN ('running', 'rolled_back', 'promoted', 'removed')", name=op.f("ck_canaries_state")
        ),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name=op.f("ck_canaries_ended")),
        sa.ForeignKeyConstraint(["model"], ["models.name"], ondelete="CASCADE", name=op.f("fk_canaries_model_models")),
        sa.PrimaryKeyConstraint("model", "name", name=op.f("pk_canaries")),
    )
    op.create_table(
        "canary_units",
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("metric", sa.Text(), nullable=False),
        sa.Column("unit", sa.LargeBinary(), nullable=False),
        sa.Column("gone_at", moment, nullable=True),
        sa.ForeignKeyConstraint(
            ["model"], ["models.name"], ondelete="CASCADE", name=op.f("fk_canary_units_model_models")
        ),
        sa.PrimaryKeyConstraint("model", "name", "metric", "unit", name=op.f("pk_canary_units")),
    )
    op.create_index(
        "ix_canary_units_gone", "canary_units", ["gone_at"], postgresql_where=sa.text("gone_at IS NOT NULL")
    )
    op.execute(TOLD)


def downgrade() -> None:
    op.drop_table("canary_units")
    op.drop_table("canaries")
    op.execute("DROP FUNCTION canaries_tell()")
