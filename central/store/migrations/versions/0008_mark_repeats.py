"""Repeats of a tap are found by what became of them, too."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The index with one column more."""
    _index("device", "epoch", "repeats", "fate")


def downgrade() -> None:
    """Without it."""
    _index("device", "epoch", "repeats")


def _index(*columns: str) -> None:
    repeats = sa.text("repeats >= 0")
    op.drop_index("marks_repeats", "marks")
    op.create_index("marks_repeats", "marks", list(columns), sqlite_where=repeats, postgresql_where=repeats)
