"""What lists said before, and what contradicts what at taps."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import PROJECTION, metadata

entry_history = Table(  # every entry that a list ever had of a card; in force from its version until the next one's
    "entry_history",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("card", Integer, primary_key=True),
    Column("version", BigInteger, primary_key=True),  # of the list that it came with: also when it was known
    Column("token", LargeBinary(16), nullable=False),  # under the domain's key of then
    Column("entry", LargeBinary, nullable=False),  # empty where dropped
    Column("dropped", Boolean, nullable=False),
    sqlite_with_rowid=False,
)

denials = Table(  # denied taps of members, but for repeats: judged again beside the marks
    "denials",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),  # as the gate said
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("device", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("venue", String(64), nullable=False),
    Column("gate", String(64), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("card", Integer, nullable=False),
    Index("denials_at", "domain", "subject", "at_ms"),
    info=PROJECTION,
)

conflicts = Table(  # what the re-check of every tap found, until it is not found any more
    "conflicts",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("id", LargeBinary(16), primary_key=True),  # of kind and event: the same whenever it is found
    Column("kind", String(32), nullable=False),
    Column("device", String(64), nullable=False),
    Column("epoch", LargeBinary(8), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("subject", LargeBinary(16), nullable=False),
    Column("at_ms", BigInteger, nullable=False),  # of the event, as its gate said
    Column("state", String(16), nullable=False),  # open, note, settled; gone: found no more, and somebody spoke of it
    Column("detail", Text, nullable=False),  # JSON: what the kind says
    Column("assigned", String(64), nullable=False, server_default=""),  # the account that it was given to
    Index("conflicts_subject", "domain", "subject", "at_ms"),
    Index("conflicts_state", "state", "at_ms"),
    Index("conflicts_at", "at_ms", "id"),
    Index("conflicts_kind", "kind", "state", "assigned"),
    info=PROJECTION,
)
