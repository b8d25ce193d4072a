"""Devices that were invited and enrolled."""

from sqlalchemy import BigInteger, Column, ForeignKey, LargeBinary, String, Table, Text

from central.store.schema.metadata import metadata

devices = Table(
    "devices",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("gate", ForeignKey("gates.id"), nullable=False),
    Column("state", String(16), nullable=False),  # pending, active, revoked
    Column("signing_public", LargeBinary(32), nullable=False, unique=True),
    Column("sealing_public", LargeBinary(32), nullable=False),
    Column("words", String(64), nullable=False),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("confirmed_ms", BigInteger),
    Column("revoked_ms", BigInteger),
    Column("revoked_why", Text, nullable=False, server_default=""),
    Column("seen_ms", BigInteger),
    Column("report", LargeBinary),  # the newest poll's payload: versions held, backlog, troubles
)

join_tokens = Table(
    "join_tokens",
    metadata,
    Column("hash", LargeBinary(32), primary_key=True),  # SHA-256 of the secret
    Column("gate", ForeignKey("gates.id"), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("device", ForeignKey("devices.id")),
    Column("enrolled", LargeBinary),  # the answer given, to give again
)
