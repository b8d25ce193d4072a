"""What reports read: taps and visits counted by hour and day, and how devices did."""

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import PROJECTION, metadata

WHOLE_DAY = -1
"""Stands in place of an hour: the row counts the whole day."""

tap_counts = Table(  # taps that repeat none, by local hour and by local day
    "tap_counts",
    metadata,
    Column("venue", String(64), primary_key=True),
    Column("hour", Integer, primary_key=True),  # local, 0 to 23; −1 = the whole day
    Column("day", String(10), primary_key=True),  # local ISO date
    Column("gate", String(64), primary_key=True),
    Column("decision", String(16), primary_key=True),
    Column("reason", String(64), primary_key=True),
    Column("taps", BigInteger, nullable=False),
    sqlite_with_rowid=False,
    info=PROJECTION,
)

tap_counted = Table(  # through which sequence the taps of an epoch were ever counted: never set back
    "tap_counted",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("through", BigInteger, nullable=False),
    info=PROJECTION,
)

visit_counts = Table(  # visits by local hour and day of entry and by class, as classes were known when it was counted
    "visit_counts",
    metadata,
    Column("venue", String(64), primary_key=True),
    Column("hour", Integer, primary_key=True),  # local, 0 to 23; −1 = the whole day
    Column("class_name", String(64), primary_key=True),  # empty = everybody
    Column("day", String(10), primary_key=True),
    Column("visits", BigInteger, nullable=False),
    Column("members", BigInteger, nullable=False),  # different ones
    Column("by_hand", BigInteger, nullable=False),  # let in by staff, nobody knows who
    Column("corrected", BigInteger, nullable=False),  # below 0: a corrected policy would have denied so many
    Column("without_exit", BigInteger, nullable=False),  # no exit is known, or not yet
    Column("peak", BigInteger, nullable=False),  # inside at once; of everybody only
    Column("peak_ms", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

visit_days_due = Table(  # days of which visits changed since they were counted
    "visit_days_due",
    metadata,
    Column("venue", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("number", BigInteger, nullable=False),  # of changes noted: one more while it is counted, and it is due again
)

device_states = Table(  # how a device did from then on, until its next row
    "device_states",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("at_ms", BigInteger, primary_key=True),
    Column("state", String(16), nullable=False),  # central.reporting.gate_state.State
    Column("reasons", Text, nullable=False),  # codes, with spaces between
)
