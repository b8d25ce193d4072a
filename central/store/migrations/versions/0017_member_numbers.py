"""Members are found by name and by the numbers that other systems gave them."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables. Names that are held already are found after `member reindex`: it needs central's keys."""
    op.create_table(
        "member_numbers",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["member"], ["members.id"]),
        sa.PrimaryKeyConstraint("kind", "key"),
    )
    op.create_index("member_numbers_member", "member_numbers", ["member", "kind"], unique=True)
    op.create_table(
        "member_name_keys",
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.ForeignKeyConstraint(["member"], ["members.id"]),
        sa.PrimaryKeyConstraint("key", "member"),
    )
    op.create_index("member_name_keys_member", "member_name_keys", ["member"])
    op.create_index("bind_sessions_member", "bind_sessions", ["member", "opened_ms"])
    op.create_index("bind_sessions_opened", "bind_sessions", ["opened_ms", "id"])


def downgrade() -> None:
    """Takes them away."""
    op.drop_index("bind_sessions_opened", "bind_sessions")
    op.drop_index("bind_sessions_member", "bind_sessions")
    op.drop_table("member_name_keys")
    op.drop_table("member_numbers")
