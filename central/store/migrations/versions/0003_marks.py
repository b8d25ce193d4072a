"""Marks, visits, and what named people stated."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Adds its tables."""
    op.create_table(
        "facts",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("recorded_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "id"),
    )
    op.create_index("facts_kind", "facts", ["kind", "domain", "recorded_ms"], unique=False)
    op.create_index("facts_subject", "facts", ["domain", "subject"], unique=False)
    op.create_table(
        "fates",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("what", sa.String(length=16), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "epoch", "sequence", "what"),
    )
    op.create_table(
        "marks",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("gate", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("direction", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.Column("card", sa.Integer(), nullable=False),
        sa.Column("points", sa.BigInteger(), nullable=False),
        sa.Column("due", sa.BigInteger(), nullable=False),
        sa.Column("repeats", sa.BigInteger(), nullable=False),
        sa.Column("fate", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "epoch", "sequence"),
    )
    op.create_index("marks_at", "marks", ["domain", "subject", "at_ms"], unique=False)
    op.create_index("marks_event", "marks", ["device", "epoch", "sequence"], unique=False)
    repeats = sa.text("repeats >= 0")
    columns = ["device", "epoch", "repeats"]
    op.create_index("marks_repeats", "marks", columns, sqlite_where=repeats, postgresql_where=repeats)
    op.create_table(
        "projected",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "epoch"),
    )
    op.create_table(
        "states",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("began", sa.BigInteger(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.PrimaryKeyConstraint("domain"),
    )
    op.create_table(
        "subject_states",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject"),
    )
    op.create_index("subject_states_version", "subject_states", ["domain", "version"], unique=False)
    op.create_table(
        "visits",
        sa.Column("venue", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("in_ms", sa.BigInteger(), nullable=False),
        sa.Column("out_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended", sa.String(length=16), nullable=False),
        sa.Column("ends_by_ms", sa.BigInteger(), nullable=False),
        sa.Column("rule", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("venue", "subject", "epoch", "sequence"),
    )
    op.create_index("visits_in", "visits", ["venue", "in_ms"], unique=False)
    op.create_index("visits_subject", "visits", ["subject", "in_ms"], unique=False)
    op.create_index("epochs_seen", "epochs", ["seen_ms"], unique=False)
    op.add_column("venues", sa.Column("closes_at", sa.String(length=5), server_default="24:00", nullable=False))


def downgrade() -> None:
    """What is computed goes; so do the facts, which the version before cannot read."""
    op.drop_column("venues", "closes_at")
    op.drop_index("epochs_seen", "epochs")
    for name in ("visits", "subject_states", "states", "marks", "fates", "projected", "facts"):
        op.drop_table(name)
