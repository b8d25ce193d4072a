"""What stands at the gate: configurations with history, staff, reader profiles, masked names, details of events."""

from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

RARE = sa.text("kind IN ('admit', 'config', 'input', 'reader', 'release-failed', 'store', 'undo')")
AGES = ("warn_ms", "restrict_ms", "close_ms")
MOVED: dict[str, Any] = {
    "direction": sa.String(8),
    "title_zh": sa.Text(),
    "title_en": sa.Text(),
    "config_version": sa.BigInteger(),
    **dict.fromkeys(AGES, sa.BigInteger()),
}
"""Columns of `gates` that became its first configuration."""
DETAIL = 14
"""Its place in the public part of an event."""


def upgrade() -> None:
    """Existing gates keep the configuration that they hold, byte for byte, as the first of their history."""
    _create_tables()
    _move_configurations()
    for name in MOVED:
        op.drop_column("gates", name)
    op.add_column("events", sa.Column("detail", sa.LargeBinary(), nullable=True))
    _fill_details()
    index = ["device", "epoch", "sequence"]
    op.create_index("events_rare", "events", index, sqlite_where=RARE, postgresql_where=RARE)


def _create_tables() -> None:
    op.create_table(
        "gate_configs",
        sa.Column("gate", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("warn_ms", sa.BigInteger(), nullable=False),
        sa.Column("restrict_ms", sa.BigInteger(), nullable=False),
        sa.Column("close_ms", sa.BigInteger(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["gate"], ["gates.id"]),
        sa.PrimaryKeyConstraint("gate", "version"),
    )
    op.create_table(
        "staff",
        sa.Column("venue", sa.String(64), nullable=False),
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("title", sa.Text(), server_default="", nullable=False),
        sa.Column("salt", sa.LargeBinary(16), nullable=False),
        sa.Column("slow_sealed", sa.LargeBinary(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["venue"], ["venues.id"]),
        sa.PrimaryKeyConstraint("venue", "id"),
    )
    op.create_table(
        "profiles",
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "names",
        sa.Column("domain", sa.String(64), nullable=False),
        sa.Column("member", sa.LargeBinary(16), nullable=False),
        sa.Column("name", sa.String(64), nullable=False),
        sa.ForeignKeyConstraint(["domain", "member"], ["subjects.domain", "subjects.member"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("domain", "member"),
    )
    op.create_table(
        "name_lists",
        sa.Column("domain", sa.String(64), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["domain"], ["domains.id"]),
        sa.PrimaryKeyConstraint("domain"),
    )


def _move_configurations() -> None:
    """The map that the version before sent, which had no other keys: its digest stays the one that gates know."""
    connection = op.get_bind()
    rows = connection.execute(sa.text("SELECT g.*, v.time_zone FROM gates g JOIN venues v ON v.id = g.venue")).all()
    for row in rows:
        content = {
            "version": row.config_version,
            "gate": row.id,
            "kind": row.kind,
            "direction": row.direction,
            "time_zone": row.time_zone,
            "title_zh": row.title_zh,
            "title_en": row.title_en,
        }
        values = {"gate": row.id, "version": row.config_version, "body": msgspec.msgpack.encode(content)}
        ages = {age: getattr(row, age) for age in AGES}
        connection.execute(
            sa.text(
                "INSERT INTO gate_configs (gate, version, at_ms, warn_ms, restrict_ms, close_ms, body)"
                " VALUES (:gate, :version, :version, :warn_ms, :restrict_ms, :close_ms, :body)"
            ),
            values | ages,
        )


def _fill_details() -> None:
    """Out of the signed batches, for the few events so far that are no taps."""
    connection = op.get_bind()
    found = connection.execute(
        sa.text(
            "SELECT DISTINCT b.device, b.epoch, b.first, b.digest, b.taken_first FROM batches b JOIN events e"
            " ON e.device = b.device AND e.epoch = b.epoch AND e.sequence BETWEEN b.taken_first AND b.through"
            " WHERE e.kind NOT IN ('tap', '')"
        )
    ).all()
    of_batch = "WHERE device = :device AND epoch = :epoch AND first = :first AND digest = :digest"
    envelope_of = sa.text(f"SELECT envelope FROM batches {of_batch}")
    fill = sa.text(
        "UPDATE events SET detail = :detail WHERE device = :device AND epoch = :epoch AND sequence = :sequence"
        " AND kind <> ''"
    )
    for device, epoch, first, digest, taken_first in found:
        name = {"device": device, "epoch": epoch, "first": first, "digest": digest}
        details = _details(connection.execute(envelope_of, name).scalar_one(), first)
        for sequence, detail in details.items():
            if sequence >= taken_first:
                connection.execute(fill, {"device": device, "epoch": epoch, "sequence": sequence, "detail": detail})


def _details(envelope: bytes, first: int) -> dict[int, bytes]:
    """By sequence, of the events in a stored batch that have one; nothing of what cannot be read."""
    found: dict[int, bytes] = {}
    try:
        publics: list[bytes] = msgspec.msgpack.decode(msgspec.msgpack.decode(envelope)[1])[4]
    except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
        return found  # `verify` says so
    for sequence, public in enumerate(publics, first):
        try:
            event: Any = msgspec.msgpack.decode(public)
            detail = event[DETAIL]
        except (msgspec.MsgspecError, UnicodeDecodeError, LookupError, TypeError):
            continue
        if isinstance(detail, bytes) and detail:
            found[sequence] = detail
    return found


def downgrade() -> None:
    """Each gate keeps what the columns before could say of the configuration in force; the rest is lost."""
    op.drop_index("events_rare", "events")
    op.drop_column("events", "detail")
    connection = op.get_bind()
    for name, kind in MOVED.items():
        default = "0" if isinstance(kind, sa.BigInteger) else ""
        op.add_column("gates", sa.Column(name, kind, server_default=default, nullable=False))
    newest = sa.text(
        "SELECT c.* FROM gate_configs c WHERE c.version = (SELECT max(version) FROM gate_configs WHERE gate = c.gate)"
    )
    for row in connection.execute(newest).all():
        content = msgspec.msgpack.decode(row.body)
        values = {name: content[name] for name in ("direction", "title_zh", "title_en")}
        values |= {age: getattr(row, age) for age in AGES} | {"config_version": row.version}
        sets = ", ".join(f"{name} = :{name}" for name in values)
        connection.execute(sa.text(f"UPDATE gates SET {sets} WHERE id = :gate"), values | {"gate": row.gate})
    for table in ("name_lists", "names", "profiles", "staff", "gate_configs"):
        op.drop_table(table)
