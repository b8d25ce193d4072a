"""Cards bound by tapping them at a gate: the sessions, and what a reader told of each card's chip."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    text,
)

from central.store.schema.metadata import metadata

IS_OPEN = text("state = 'open'")

bind_sessions = Table(
    "bind_sessions",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),  # random, as it travels
    Column("gate", ForeignKey("gates.id"), nullable=False),
    Column("device", String(64), nullable=False),
    Column("member", ForeignKey("members.id"), nullable=False),
    Column("who", String(64), nullable=False),
    Column("version", BigInteger, nullable=False),  # of the published part
    Column("opened_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("seal_public", LargeBinary(32), nullable=False),
    Column("private_sealed", LargeBinary),  # AES-256-GCM, bound to the session; null = destroyed
    Column("state", String(16), nullable=False),  # open, late, bound, refused, cancelled, expired
    Column("ended_ms", BigInteger, nullable=False, server_default="0"),
    Column("why", Text, nullable=False, server_default=""),
    Column("number", Integer, nullable=False, server_default="0"),  # which of the member's cards it became
    Column("epoch", LargeBinary(8)),  # of the event that it took
    Column("sequence", BigInteger),
    Index("bind_sessions_open", "gate", unique=True, sqlite_where=IS_OPEN, postgresql_where=IS_OPEN),
    Index("bind_sessions_state", "state"),
    Index("bind_sessions_device", "device", "version"),
    Index("bind_sessions_member", "member", "opened_ms"),
    Index("bind_sessions_opened", "opened_ms", "id"),
)

card_chips = Table(
    "card_chips",
    metadata,
    Column("card", ForeignKey("cards.id", ondelete="CASCADE"), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("sak", SmallInteger, nullable=False),  # −1 = the reader does not tell it
    Column("atr", LargeBinary, nullable=False),
    Column("uid_length", SmallInteger, nullable=False),
)
