"""What named people stated: corrections, approvals, grants, closures. Appended, never changed."""

from sqlalchemy import BigInteger, Column, Index, LargeBinary, String, Table

from central.store.schema.metadata import metadata

facts = Table(
    "facts",
    metadata,
    Column("domain", String(64), primary_key=True),  # empty: of the whole city
    Column("id", LargeBinary(16), primary_key=True),  # begins with the time: rows lie in order
    Column("recorded_ms", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),  # of what it is about
    Column("who", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("subject", LargeBinary(16), nullable=False),  # empty: about nobody in particular
    Column("venue", String(64), nullable=False),  # empty: about no venue
    Column("body", LargeBinary, nullable=False),  # MessagePack of the kind's struct
    Index("facts_kind", "kind", "domain", "recorded_ms"),
    Index("facts_subject", "domain", "subject"),
)
