"""Domains, venues, gates, and what central configures of them."""

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import metadata

domains = Table(
    "domains",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False, server_default=""),
    Column("key_number", Integer, nullable=False),
)

venues = Table(
    "venues",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("domain", ForeignKey("domains.id"), nullable=False),
    Column("title_zh", Text, nullable=False, server_default=""),
    Column("title_en", Text, nullable=False, server_default=""),
    Column("time_zone", String(64), nullable=False),
    Column("closes_at", String(5), nullable=False, server_default="24:00"),  # local HH:MM: who is inside then, is not
)

policies = Table(
    "policies",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the payload that is signed and sent
)

gates = Table(
    "gates",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("venue", ForeignKey("venues.id"), nullable=False),
    Column("kind", String(16), nullable=False),  # door, turnstile, kiosk, counter
    Column("policy", String(64), nullable=False),
)

gate_configs = Table(  # every configuration that a gate ever had; the newest is in force
    "gate_configs",
    metadata,
    Column("gate", ForeignKey("gates.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("warn_ms", BigInteger, nullable=False),
    Column("restrict_ms", BigInteger, nullable=False),
    Column("close_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # the payload that is signed and sent
)

staff = Table(  # who may admit by hand at a venue's gates
    "staff",
    metadata,
    Column("venue", ForeignKey("venues.id"), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("title", Text, nullable=False, server_default=""),
    Column("salt", LargeBinary(16), nullable=False),
    Column("slow_sealed", LargeBinary, nullable=False),  # protocol.pin.slow, sealed: AES-256-GCM, bound to the person
    Column("at_ms", BigInteger, nullable=False),
)

profiles = Table(  # every set of reader profiles that was published; the newest is in force
    "profiles",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the body
    Column("body", LargeBinary, nullable=False),  # the payload that is signed and sent
)
