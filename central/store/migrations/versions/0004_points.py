"""Plans of points, what they gave, the ledger, its closed months, and what is reserved to gates."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""
    op.create_table(
        "ledger",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("booked_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "line"),
    )
    op.create_index("ledger_booked", "ledger", ["domain", "booked_ms"], unique=False)
    op.create_index("ledger_source", "ledger", ["domain", "source"], unique=False)
    op.create_table(
        "point_books",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("line", sa.Integer(), nullable=False),
        sa.Column("booked_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("cause", sa.String(length=128), nullable=False),
        sa.Column("source", sa.String(length=80), nullable=False),
        sa.Column("target", sa.String(length=80), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "month", "line"),
    )
    op.create_index("point_books_booked", "point_books", ["domain", "booked_ms"], unique=False)
    op.create_index("point_books_source", "point_books", ["domain", "source"], unique=False)
    op.create_table(
        "point_closings",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("cursor", sa.LargeBinary(length=16), nullable=False),
        sa.Column("begun_ms", sa.BigInteger(), nullable=False),
        sa.Column("closed_ms", sa.BigInteger(), nullable=True),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("domain", "month"),
    )
    op.create_table(
        "point_months",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("plan", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("expires_ms", sa.BigInteger(), nullable=False),
        sa.Column("given_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "month", "plan"),
    )
    op.create_table(
        "point_rounds",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("cursor", sa.LargeBinary(length=16), nullable=False),
        sa.Column("is_done", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )
    op.create_table(
        "reservations",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("lapse_ms", sa.BigInteger(), nullable=False),
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("made_ms", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.BigInteger(), nullable=False),
        sa.Column("untold", sa.BigInteger(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.Column("base", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("done_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "device", "lapse_ms"),
    )
    op.create_index("reservations_device", "reservations", ["device", "state", "lapse_ms"], unique=False)
    op.create_table(
        "point_plans",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["domain"],
            ["domains.id"],
        ),
        sa.PrimaryKeyConstraint("id", "version"),
    )


def downgrade() -> None:
    """Drops them again, with every promise and every closed month in them."""
    for name in (
        "reservations",
        "point_rounds",
        "point_plans",
        "point_months",
        "point_closings",
        "point_books",
        "ledger",
    ):
        op.drop_table(name)
