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
