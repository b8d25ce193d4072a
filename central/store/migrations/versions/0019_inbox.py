"""Conflicts are given to somebody and listed by time; classes that end are found by their end."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

ENDING = sa.text("until_ms > 0")


def upgrade() -> None:
    """A column, and three indexes."""
    with op.batch_alter_table("conflicts") as table:
        table.add_column(sa.Column("assigned", sa.String(length=64), server_default="", nullable=False))
    op.create_index("conflicts_at", "conflicts", ["at_ms", "id"])
    op.create_index("conflicts_kind", "conflicts", ["kind", "state", "assigned"])
    op.create_index(
        *("member_classes_until", "member_classes", ["until_ms", "member", "name", "from_ms"]),
        sqlite_where=ENDING,
        postgresql_where=ENDING,
    )


def downgrade() -> None:
    """Without them."""
    op.drop_index("member_classes_until", "member_classes")
    op.drop_index("conflicts_kind", "conflicts")
    op.drop_index("conflicts_at", "conflicts")
    with op.batch_alter_table("conflicts") as table:
        table.drop_column("assigned")
