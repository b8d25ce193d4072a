"""Consent at kiosks: the notices as gates get them, and what was stated there."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

BEFORE = ("admit", "bind", "closure", "config", "input", "reader", "release-failed", "store", "undo")
AFTER = ("admit", "bind", "closure", "config", "consent", *BEFORE[4:])
WAITING = sa.text("state = 'waiting'")


def upgrade() -> None:
    """Adds its tables, and statements to the events that are found among the few."""
    op.create_table(
        "consent_sets",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "kiosk_statements",
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("received_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("settled_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("device", "epoch", "sequence"),
    )
    name, table = "kiosk_statements_waiting", "kiosk_statements"
    op.create_index(name, table, ["received_ms"], sqlite_where=WAITING, postgresql_where=WAITING)
    _indexes(AFTER)


def downgrade() -> None:
    """Without them."""
    _indexes(BEFORE)
    op.drop_index("kiosk_statements_waiting", "kiosk_statements")
    op.drop_table("kiosk_statements")
    op.drop_table("consent_sets")


def _indexes(kinds: tuple[str, ...]) -> None:
    rare = sa.text(f"kind IN ({', '.join(map(repr, kinds))})")
    for name, columns in (("events_rare", ["device", "epoch", "sequence"]), ("events_rare_at", ["kind", "at_ms"])):
        op.drop_index(name, "events")
        op.create_index(name, "events", columns, sqlite_where=rare, postgresql_where=rare)
