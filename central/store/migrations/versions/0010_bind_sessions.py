"""Sessions in which a tapped card is bound, and what readers told of cards' chips."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""
    op.create_table(
        "bind_sessions",
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("member", sa.LargeBinary(length=16), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("opened_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("seal_public", sa.LargeBinary(length=32), nullable=False),
        sa.Column("private_sealed", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("ended_ms", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("number", sa.Integer(), server_default="0", nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=True),
        sa.Column("sequence", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["gate"], ["gates.id"]),
        sa.ForeignKeyConstraint(["member"], ["members.id"]),
        sa.PrimaryKeyConstraint("id"),
    )
    is_open = sa.text("state = 'open'")
    op.create_index(
        "bind_sessions_open", "bind_sessions", ["gate"], unique=True, sqlite_where=is_open, postgresql_where=is_open
    )
    op.create_index("bind_sessions_state", "bind_sessions", ["state"], unique=False)
    op.create_index("bind_sessions_device", "bind_sessions", ["device", "version"], unique=False)
    op.create_table(
        "card_chips",
        sa.Column("card", sa.LargeBinary(length=16), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("sak", sa.SmallInteger(), nullable=False),
        sa.Column("atr", sa.LargeBinary(), nullable=False),
        sa.Column("uid_length", sa.SmallInteger(), nullable=False),
        sa.ForeignKeyConstraint(["card"], ["cards.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("card", "device", "at_ms"),
    )


def downgrade() -> None:
    """Drops them again: who was bound by which session is not known any more."""
    op.drop_table("card_chips")
    op.drop_table("bind_sessions")
