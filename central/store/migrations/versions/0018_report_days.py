"""What reports count, by hour and day. Taps of before come with `rebuild`, visits with `report recount`."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""
    op.create_table(
        "tap_counts",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("taps", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "hour", "day", "gate", "decision", "reason"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tap_counted",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "epoch"),
    )
    op.create_table(
        "visit_counts",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("hour", sa.Integer(), nullable=False),
        sa.Column("class_name", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        *(
            sa.Column(name, sa.BigInteger(), nullable=False)
            for name in ("visits", "members", "by_hand", "corrected", "without_exit", "peak", "peak_ms")
        ),
        sa.PrimaryKeyConstraint("venue", "hour", "class_name", "day"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "visit_days_due",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("venue", "day"),
    )
    op.create_table(
        "device_states",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reasons", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("device", "at_ms"),
    )


def downgrade() -> None:
    """Takes them away."""
    for table in ("device_states", "visit_days_due", "visit_counts", "tap_counted", "tap_counts"):
        op.drop_table(table)
