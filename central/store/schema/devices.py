"""Devices that were invited and enrolled, where they were, and the support bundles that they were asked for."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

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
    Column("banned_ms", BigInteger),  # revoked, and nothing of its keys is taken or enrolled ever again
    Column("skew_ms", BigInteger),  # its wall clock less ours, at its newest poll
    Column("health_ms", BigInteger),  # when it came
    Column("health", LargeBinary),  # the newest health message's payload
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
    Column("replaces", String(64)),  # the device of the same gate that is revoked when the new one is confirmed
)

device_moves = Table(  # every change of gate
    "device_moves",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("from_gate", String(64), nullable=False),
    Column("to_gate", String(64), nullable=False),
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
)

bundles = Table(  # support bundles that were asked for; the content rests for some days
    "bundles",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),  # of the ask, rising by device
    Column("id", LargeBinary(16), nullable=False, unique=True),
    Column("who", String(64), nullable=False),
    Column("asked_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # asked, arrived, failed, given-up, forgotten
    Column("arrived_ms", BigInteger),
    Column("why", Text, nullable=False, server_default=""),  # where the device could not make one
    Column("size", Integer, nullable=False, server_default="0"),
    Column("digest", LargeBinary(32)),
    Column("content", LargeBinary),
    Index("bundles_state", "state", "until_ms"),
)
