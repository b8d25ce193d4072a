"""What devices told of themselves when asked, and where they were before."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its columns and tables."""
    for column in (
        sa.Column("banned_ms", sa.BigInteger(), nullable=True),
        sa.Column("skew_ms", sa.BigInteger(), nullable=True),
        sa.Column("health_ms", sa.BigInteger(), nullable=True),
        sa.Column("health", sa.LargeBinary(), nullable=True),
    ):
        op.add_column("devices", column)
    op.add_column("join_tokens", sa.Column("replaces", sa.String(length=64), nullable=True))
    op.create_table(
        "device_moves",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("from_gate", sa.String(length=64), nullable=False),
        sa.Column("to_gate", sa.String(length=64), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["device"], ["devices.id"]),
        sa.PrimaryKeyConstraint("device", "at_ms"),
    )
    op.create_table(
        "bundles",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("arrived_ms", sa.BigInteger(), nullable=True),
        sa.Column("why", sa.Text(), server_default="", nullable=False),
        sa.Column("size", sa.Integer(), server_default="0", nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.ForeignKeyConstraint(["device"], ["devices.id"]),
        sa.PrimaryKeyConstraint("device", "version"),
        sa.UniqueConstraint("id"),
    )
    op.create_index("bundles_state", "bundles", ["state", "until_ms"])


def downgrade() -> None:
    """Takes them away."""
    op.drop_table("bundles")
    op.drop_table("device_moves")
    op.drop_column("join_tokens", "replaces")
    for column in ("health", "health_ms", "skew_ms", "banned_ms"):
        op.drop_column("devices", column)
