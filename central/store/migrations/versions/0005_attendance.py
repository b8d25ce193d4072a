"""Volunteers' teams, rules, sessions and locked months."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""
    op.create_table(
        "attendance_months",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("fact", sa.LargeBinary(length=16), nullable=False),
        sa.Column("locked_ms", sa.BigInteger(), nullable=False),
        sa.Column("unit_minutes", sa.Integer(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("domain", "team", "month"),
    )
    op.create_table(
        "attendance_rules",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "attendance_sessions",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("key", sa.LargeBinary(length=16), nullable=False),
        sa.Column("team", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("in_ms", sa.BigInteger(), nullable=True),
        sa.Column("out_ms", sa.BigInteger(), nullable=True),
        sa.Column("minutes", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("adjustment_of", sa.LargeBinary(length=16), nullable=False),
        sa.Column("shift", sa.String(length=64), nullable=False),
        sa.Column("activity", sa.String(length=64), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("ends_by_ms", sa.BigInteger(), nullable=False),
        sa.Column("shift_end_ms", sa.BigInteger(), nullable=True),
        sa.Column("stated", sa.LargeBinary(length=16), nullable=False),
        sa.Column("taps", sa.LargeBinary(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("transport", sa.BigInteger(), nullable=False),
        sa.Column("meal", sa.BigInteger(), nullable=False),
        sa.Column("people_abroad", sa.BigInteger(), nullable=False),
        sa.Column("people_home", sa.BigInteger(), nullable=False),
        sa.Column("remark", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "key", "team", "month"),
    )
    op.create_index("attendance_sessions_key", "attendance_sessions", ["key"], unique=False)
    op.create_index("attendance_sessions_state", "attendance_sessions", ["domain", "state"], unique=False)
    op.create_index("attendance_sessions_team", "attendance_sessions", ["domain", "team", "month"], unique=False)
    op.create_table(
        "attendance_teams",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "id", "version"),
    )
    op.create_index("attendance_teams_id", "attendance_teams", ["id"], unique=False)


def downgrade() -> None:
    """Sessions are computed again by the version after; teams and rules are lost with what they said."""
    for name in ("attendance_sessions", "attendance_months", "attendance_rules", "attendance_teams"):
        op.drop_table(name)
