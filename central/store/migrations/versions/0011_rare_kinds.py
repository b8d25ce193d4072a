"""Cards taken to be bound and gates closed by staff are found among the few, too."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BEFORE = ("admit", "config", "input", "reader", "release-failed", "store", "undo")
AFTER = ("admit", "bind", "closure", *BEFORE[1:])


def upgrade() -> None:
    """The index of rare kinds with two more."""
    _index(AFTER)


def downgrade() -> None:
    """Without them."""
    _index(BEFORE)


def _index(kinds: tuple[str, ...]) -> None:
    rare = sa.text(f"kind IN ({', '.join(map(repr, kinds))})")
    op.drop_index("events_rare", "events")
    op.create_index("events_rare", "events", ["device", "epoch", "sequence"], sqlite_where=rare, postgresql_where=rare)
