"""Lists, names and manifests as they were published."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, Table

from central.store.schema.metadata import metadata

lists = Table(
    "lists",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("key_number", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("sum", LargeBinary(32), nullable=False),
    Column("base", BigInteger, nullable=False),  # the oldest version that a delta can start from
)

list_entries = Table(
    "list_entries",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("token", LargeBinary(16), primary_key=True),
    Column("entry", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),  # of the list that last changed this row
    Column("dropped", Boolean, nullable=False),
    Index("list_entries_version", "domain", "version"),
)

name_lists = Table(  # the names of a domain as they are published; older ones are not kept
    "name_lists",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the body
    Column("body", LargeBinary, nullable=False),  # the payload that is signed and sent
)

manifests = Table(
    "manifests",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("content", LargeBinary(32), nullable=False),  # digest of all but number and time
    Column("envelope", LargeBinary, nullable=False),
)
