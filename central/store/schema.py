"""The tables. Those that grow with taps have the device first in their key, so they can be partitioned.

Times are UTC milliseconds (BIGINT). What was signed is kept as the bytes received; columns beside it are
read out of those bytes for searching, never the other way round.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

metadata = MetaData()

meta = Table(  # custody generation, versions' floor, …
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# --- places -----------------------------------------------------------------------------------------------

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

# --- people and cards -------------------------------------------------------------------------------------

members = Table(
    "members",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("reference", String(128), nullable=False, unique=True),  # the city's own number of the person
    Column("name_sealed", LargeBinary),
    Column("created_ms", BigInteger, nullable=False),
)

member_classes = Table(
    "member_classes",
    metadata,
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),  # 0 = open
    Column("until_ms", BigInteger, nullable=False),  # 0 = open
)

subjects = Table(  # who a member is within a domain; being in it puts the member's cards on its list
    "subjects",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False, unique=True),
    Index("subjects_member", "member"),
)

names = Table(  # what screens may call a member who agreed: masked, the name itself is not here
    "names",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("member", LargeBinary(16), primary_key=True),
    Column("name", String(64), nullable=False),
    ForeignKeyConstraint(["domain", "member"], ["subjects.domain", "subjects.member"], ondelete="CASCADE"),
)

cards = Table(
    "cards",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("member", ForeignKey("members.id"), nullable=False),
    Column("number", Integer, nullable=False),  # which of the member's cards, from 1
    Column("uid_index", LargeBinary(32), nullable=False, unique=True),  # HMAC of length and UID
    Column("uid_sealed", LargeBinary, nullable=False),  # AES-256-GCM, bound to the card's id
    Column("state", Integer, nullable=False),  # protocol.allowlist.CardState
    Column("from_ms", BigInteger, nullable=False),
    Column("until_ms", BigInteger, nullable=False),
    Column("bound_ms", BigInteger, nullable=False),
    Column("why", Text, nullable=False, server_default=""),
    Index("cards_member", "member"),
)

# --- what is published ------------------------------------------------------------------------------------

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

# --- devices ----------------------------------------------------------------------------------------------

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

# --- custody ----------------------------------------------------------------------------------------------

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
)

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
)

RARE_KINDS = ("admit", "config", "input", "reader", "release-failed", "store", "undo")
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
)
