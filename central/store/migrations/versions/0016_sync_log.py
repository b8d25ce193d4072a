"""The sync log is searched by time, device, outcome, kind and reason, however many events there are."""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

ODD = sa.text("outcome <> 'accepted'")
RESENT = sa.text("resent > 0")
DENIED = sa.text("decision = 'denied'")
RARE = sa.text("kind IN ('admit', 'bind', 'closure', 'config', 'input', 'reader', 'release-failed', 'store', 'undo')")
INDEXES = (
    ("batches_received", "batches", ["received_ms"], None),
    ("batches_device_received", "batches", ["device", "received_ms"], None),
    ("batches_odd", "batches", ["outcome", "received_ms"], ODD),
    ("batches_resent", "batches", ["received_ms"], RESENT),
    ("events_at", "events", ["at_ms"], None),
    ("events_device_at", "events", ["device", "at_ms"], None),
    ("events_rare_at", "events", ["kind", "at_ms"], RARE),
    ("events_odd", "events", ["outcome", "at_ms"], ODD),
    ("events_denied", "events", ["at_ms"], DENIED),
    ("events_reason", "events", ["reason", "at_ms"], DENIED),
    ("evidence_at", "evidence", ["at_ms"], None),
)


def upgrade() -> None:
    """Adds the indexes; no table changes."""
    for name, table, columns, where in INDEXES:
        op.create_index(name, table, columns, sqlite_where=where, postgresql_where=where)


def downgrade() -> None:
    """Takes them away."""
    for name, table, _, _ in INDEXES:
        op.drop_index(name, table)
