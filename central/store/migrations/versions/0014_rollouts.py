"""Publications by stages and by date, and the times in which nothing is published."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""
    op.create_table(
        "policy_stages",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("first_gates", sa.Text(), nullable=False),
        sa.Column("all_ms", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", "version"),
    )
    _rollouts()
    op.create_table(
        "freezes",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("days", sa.Text(), nullable=False),
        sa.Column("span", sa.String(length=11), nullable=False),
        sa.Column("time_zone", sa.String(length=64), nullable=False),
        sa.Column("from_ms", sa.BigInteger(), nullable=False),
        sa.Column("until_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )


def _rollouts() -> None:
    whole = {name: sa.BigInteger() for name in ("not_before_ms", "soak_ms", "based_on", "version", "created_ms")}
    whole |= {name: sa.BigInteger() for name in ("first_ms", "held_ms", "all_ms", "ended_ms", "back_ms")}
    op.create_table(
        "rollouts",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("policy", sa.String(length=64), nullable=False),
        sa.Column("gates", sa.Text(), nullable=False),
        sa.Column("first_gates", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("choices", sa.Boolean(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("by_hand", sa.Boolean(), nullable=False),
        sa.Column("halt_points", sa.Integer(), nullable=False),
        sa.Column("halt_taps", sa.Integer(), nullable=False),
        sa.Column("goes_back", sa.Boolean(), nullable=False),
        sa.Column("despite_freeze", sa.Text(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        *(sa.Column(name, type_, nullable=False) for name, type_ in whole.items()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("rollouts_state", "rollouts", ["state"])
    op.create_index("rollouts_policy", "rollouts", ["policy"])
    op.create_table(
        "rollout_gates",
        sa.Column("rollout", sa.String(length=64), nullable=False),
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("before", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"]),
        sa.ForeignKeyConstraint(["gate"], ["gates.id"]),
        sa.PrimaryKeyConstraint("rollout", "gate"),
    )
    op.create_table(
        "rollout_steps",
        sa.Column("rollout", sa.String(length=64), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["rollout"], ["rollouts.id"]),
        sa.PrimaryKeyConstraint("rollout", "place"),
    )


def downgrade() -> None:
    """Takes them away. A policy that is in force at some gates alone comes to be in force everywhere."""
    for table in ("freezes", "rollout_steps", "rollout_gates", "rollouts", "policy_stages"):
        op.drop_table(table)
