"""Members, what they are, and the cards that are bound to them."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    text,
)

from central.store.schema.metadata import metadata

members = Table(
    "members",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),
    Column("reference", String(128), nullable=False, unique=True),  # the city's own number of the person
    Column("name_sealed", LargeBinary),
    Column("created_ms", BigInteger, nullable=False),
)

ENDING = text("until_ms > 0")
"""Most classes never end. A query that holds this very condition is answered by the index of those that do."""

member_classes = Table(
    "member_classes",
    metadata,
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),  # 0 = open
    Column("until_ms", BigInteger, nullable=False),  # 0 = open
    Index(
        *("member_classes_until", "until_ms", "member", "name", "from_ms"),
        sqlite_where=ENDING,
        postgresql_where=ENDING,
    ),
)

subjects = Table(  # who a member is within a domain; being in it puts the member's cards on its list
    "subjects",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False, unique=True),
    Index("subjects_member", "member"),
)

former_subjects = Table(  # who a member was within a domain that they left, and is again once they come back
    "former_subjects",
    metadata,
    Column("domain", ForeignKey("domains.id"), primary_key=True),
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False, unique=True),
    Index("former_subjects_member", "member"),
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

member_numbers = Table(  # what other systems call a member: found by the keyed hash, read by opening the seal
    "member_numbers",
    metadata,
    Column("kind", String(32), primary_key=True),  # library-barcode, volunteer-number
    Column("key", LargeBinary(32), primary_key=True),  # HMAC of kind and number
    Column("member", ForeignKey("members.id"), nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # AES-256-GCM, bound to kind and member
    Column("at_ms", BigInteger, nullable=False),
    Index("member_numbers_member", "member", "kind", unique=True),  # one of a kind
)

member_name_keys = Table(  # keyed hashes of a name and of the beginnings of its words: finding asks for these
    "member_name_keys",
    metadata,
    Column("key", LargeBinary(16), primary_key=True),
    Column("member", ForeignKey("members.id"), primary_key=True),
    Index("member_name_keys_member", "member"),
)
