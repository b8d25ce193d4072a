"""What lists said before, and conflicts."""

import time
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

ROWS_AT_ONCE = 5_000
SINCE = "entry-history-since"


def upgrade() -> None:
    """The history of lists begins with their rows of now: each is as it was at the version that it has."""
    op.create_table(
        "entry_history",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("card", sa.Integer(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("token", sa.LargeBinary(length=16), nullable=False),
        sa.Column("entry", sa.LargeBinary(), nullable=False),
        sa.Column("dropped", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "subject", "card", "version"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "conflicts",
        sa.Column("domain", sa.String(length=64), nullable=False),
        sa.Column("id", sa.LargeBinary(length=16), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("device", sa.String(length=64), nullable=False),
        sa.Column("epoch", sa.LargeBinary(length=8), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("subject", sa.LargeBinary(length=16), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("domain", "id"),
    )
    op.create_index("conflicts_subject", "conflicts", ["domain", "subject", "at_ms"], unique=False)
    op.create_index("conflicts_state", "conflicts", ["state", "at_ms"], unique=False)
    _begin_history()


def _begin_history() -> None:
    """What rows said before their present version is not known; `meta` says since when all of it is."""
    connection, where = op.get_bind(), ("", b"")
    while rows := _rows_after(connection, *where):
        entries = [(row, msgspec.msgpack.decode(row.entry)) for row in rows if not row.dropped]
        if entries:
            connection.execute(
                sa.text(
                    "INSERT INTO entry_history (domain, subject, card, version, token, entry, dropped)"
                    " VALUES (:domain, :subject, :card, :version, :token, :entry, :dropped) ON CONFLICT DO NOTHING"
                ),
                [{**row._mapping, "subject": entry[0], "card": entry[1]} for row, entry in entries],
            )
        where = rows[-1].domain, bytes(rows[-1].token)
    if where[0]:
        now_ms = str(time.time_ns() // 1_000_000)
        connection.execute(
            sa.text("INSERT INTO meta (key, value) VALUES (:key, :value)"), {"key": SINCE, "value": now_ms}
        )


def _rows_after(connection: Any, domain: str, token: bytes) -> Any:
    query = sa.text(
        "SELECT domain, token, entry, version, dropped FROM list_entries"
        " WHERE domain > :domain OR (domain = :domain AND token > :token) ORDER BY domain, token LIMIT :rows"
    ).columns(token=sa.LargeBinary, entry=sa.LargeBinary, dropped=sa.Boolean)
    return connection.execute(query, {"domain": domain, "token": token, "rows": ROWS_AT_ONCE}).all()


def downgrade() -> None:
    """What lists said before goes with its table."""
    for name in ("conflicts", "entry_history"):
        op.drop_table(name)
    op.get_bind().execute(sa.text("DELETE FROM meta WHERE key = :key"), {"key": SINCE})
