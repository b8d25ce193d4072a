"""Lists, names and manifests as they were published, and lists that are made under a domain's next key."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    select,
)

from central.store.schema.metadata import metadata
from central.store.schema.places import domains

lists = Table(  # one a domain and key: the domain's own key, and the next one while tokens are made with it
    "lists",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("key_number", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("sum", LargeBinary(32), nullable=False),
    Column("base", BigInteger, nullable=False),  # the oldest version that a delta can start from
)

list_entries = Table(
    "list_entries",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("key_number", Integer, primary_key=True, autoincrement=False),
    Column("token", LargeBinary(16), primary_key=True),
    Column("entry", LargeBinary, nullable=False),
    Column("version", BigInteger, nullable=False),  # of the list that last changed this row
    Column("dropped", Boolean, nullable=False),
    Index("list_entries_version", "domain", "key_number", "version"),
)

key_rotations = Table(  # of domains whose tokens are being made with their next key
    "key_rotations",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("key_number", Integer, nullable=False),  # the next one
    Column("cursor", LargeBinary(16), nullable=False),  # the last member whose tokens are made
)

key_changes = Table(  # from which version of its list on a domain has which key
    "key_changes",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("key_number", Integer, nullable=False),
)


def under_own_key(table: Table) -> ColumnElement[bool]:
    """Of `lists` and `list_entries`: what is published, not what is made ahead of it."""
    own = select(domains.c.key_number).where(domains.c.id == table.c.domain).correlate(table)
    return table.c.key_number == own.scalar_subquery()


name_lists = Table(  # the names of a domain as they are published; older ones are not kept
    "name_lists",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the body
    Column("body", LargeBinary, nullable=False),  # the payload that is signed and sent
)

consent_sets = Table(  # every set of notices of consent that was published for screens; the newest is in force
    "consent_sets",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
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
