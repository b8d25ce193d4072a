"""Granted taps that count, by member: what every service is settled from. Computed from events."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, text

from central.store.schema.metadata import PROJECTION, metadata

projected = Table(  # how far the events of each epoch are settled
    "projected",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("through", BigInteger, nullable=False),
    info=PROJECTION,
)

fates = Table(  # what became of a granted tap or admission, by its name; may be known before the tap is settled
    "fates",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("what", String(16), primary_key=True),  # taken, not-taken, unknown, undone
    Column("at_ms", BigInteger, nullable=False),
    info=PROJECTION,
)

REPEATS = text("repeats >= 0")
"""Few marks repeat another one. A query that holds this very condition is answered by their index."""

marks = Table(
    "marks",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),  # empty: let in by hand, nobody knows who
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("device", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("venue", String(64), nullable=False),
    Column("gate", String(64), nullable=False),
    Column("kind", String(16), nullable=False),  # tap, admit
    Column("direction", String(8), nullable=False),  # in, out, or empty: nobody knows
    Column("reason", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("card", Integer, nullable=False),
    Column("points", BigInteger, nullable=False),
    Column("due", BigInteger, nullable=False),
    Column("repeats", BigInteger, nullable=False),  # sequence of the tap that began its run; −1 = it repeats none
    Column("fate", String(16), nullable=False),  # counts, not-taken, undone, repeat: only the first counts
    Index("marks_at", "domain", "subject", "at_ms"),
    Index("marks_event", "device", "epoch", "sequence"),
    Index("marks_repeats", "device", "epoch", "repeats", "fate", sqlite_where=REPEATS, postgresql_where=REPEATS),
    info=PROJECTION,
)

states = Table(  # the state of each domain, as the state feed counts it
    "states",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),
    Column("began", BigInteger, nullable=False),  # the version that this count began at: a device with one is told on
    Column("stage", String(16), nullable=False),  # filling: marks alone; settling: and services; told: and devices hear
    info=PROJECTION,
)

subject_states = Table(  # whose state changed when
    "subject_states",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("version", BigInteger, nullable=False),  # of the domain's state
    Index("subject_states_version", "domain", "version"),
    info=PROJECTION,
)

visits = Table(  # an entry and the exit that ended it
    "visits",
    metadata,
    Column("venue", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),  # of the entry
    Column("in_ms", BigInteger, nullable=False),
    Column("out_ms", BigInteger),  # of the exit or the next entry; null = neither came by ends_by_ms
    Column("ended", String(16), nullable=False),  # out, next-entry, or open: the last two without a known exit
    Column("ends_by_ms", BigInteger, nullable=False),  # the venue closes: who is inside then, is not
    Column("rule", String(64), nullable=False),
    Index("visits_in", "venue", "in_ms"),
    Index("visits_subject", "subject", "in_ms"),
    info=PROJECTION,
)
