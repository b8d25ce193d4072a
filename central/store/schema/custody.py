"""Events, the batches that they came in, and evidence: kept as received."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from central.store.schema.metadata import metadata

epochs = Table(
    "epochs",
    metadata,
    Column("device", ForeignKey("devices.id"), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("through", BigInteger, nullable=False),
    Column("head", LargeBinary(32), nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Column("previous_epoch", LargeBinary(8), nullable=False),  # empty = none
    Column("previous_sequence", BigInteger, nullable=False),  # −1 = none
    Index("epochs_seen", "seen_ms"),
)

ODD = text("outcome <> 'accepted'")
RESENT = text("resent > 0")
DENIED = text("decision = 'denied'")
"""What is looked for and is rare. A query that holds one of these very conditions can be answered by its index."""

batches = Table(  # every batch as it came; the public parts of its events are in `envelope` and nowhere else
    "batches",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("first", BigInteger, primary_key=True),
    Column("digest", LargeBinary(32), primary_key=True),  # SHA-256 of the envelope
    Column("through", BigInteger, nullable=False),
    Column("taken_first", BigInteger, nullable=False),  # first event that this batch brought anew
    Column("received_ms", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),  # accepted, untrusted, forked
    Column("resent", Integer, nullable=False, server_default="0"),
    Column("envelope", LargeBinary, nullable=False),
    Column("receipt", LargeBinary, nullable=False),  # empty where a revoked device got none
    Index("batches_received", "received_ms"),
    Index("batches_device_received", "device", "received_ms"),
    Index("batches_odd", "outcome", "received_ms", sqlite_where=ODD, postgresql_where=ODD),
    Index("batches_resent", "received_ms", sqlite_where=RESENT, postgresql_where=RESENT),
)

RARE_KINDS = ("admit", "bind", "closure", "config", "consent", "input", "reader", "release-failed", "store", "undo")
RARE = text(f"kind IN ({', '.join(map(repr, RARE_KINDS))})")
"""Kinds that are few among taps and passages. A query that holds this very condition is answered by their index."""

events = Table(
    "events",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("gate", String(64), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("direction", String(8), nullable=False),
    Column("decision", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("rule", String(64), nullable=False),
    Column("repeat_of", BigInteger, nullable=False),
    Column("outcome", String(16), nullable=False),  # accepted, held, refused, untrusted
    Column("personal", LargeBinary),  # null = destroyed, or the event has none
    Column("detail", LargeBinary),  # null = the event has none
    Index("events_gate_at", "gate", "at_ms"),
    Index("events_rare", "device", "epoch", "sequence", sqlite_where=RARE, postgresql_where=RARE),
    Index("events_at", "at_ms"),
    Index("events_device_at", "device", "at_ms"),
    Index("events_rare_at", "kind", "at_ms", sqlite_where=RARE, postgresql_where=RARE),
    Index("events_odd", "outcome", "at_ms", sqlite_where=ODD, postgresql_where=ODD),
    Index("events_denied", "at_ms", sqlite_where=DENIED, postgresql_where=DENIED),
    Index("events_reason", "reason", "at_ms", sqlite_where=DENIED, postgresql_where=DENIED),
)

evidence = Table(  # what contradicts, is missing or was not meant for us: never discarded
    "evidence",
    metadata,
    Column("device", String(64), primary_key=True),  # empty where no device can be blamed
    Column("digest", LargeBinary(32), primary_key=True),
    Column("kind", String(16), primary_key=True),  # gap, fork, loss, broken-chain, other-device, other-epoch, alarm
    Column("at_ms", BigInteger, nullable=False),
    Column("seen", Integer, nullable=False, server_default="1"),
    Column("detail", Text, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index("evidence_at", "at_ms"),
)
