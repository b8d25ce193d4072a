"""What was known of cards and classes at any moment, and what screens tell a member."""

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

member_flags = Table(  # notices that the member's cards carry in a domain's list
    "member_flags",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("member", LargeBinary(16), primary_key=True),
    Column("flag", String(64), primary_key=True),  # a code of protocol.notices
    Column("until_ms", BigInteger, nullable=False),  # 0 = open
    ForeignKeyConstraint(["domain", "member"], ["subjects.domain", "subjects.member"], ondelete="CASCADE"),
    Index("member_flags_until", "until_ms"),
)

member_class_history = Table(  # which classes were known when; `member_classes` holds what is known now
    "member_class_history",
    metadata,
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("from_ms", BigInteger, primary_key=True),  # when it is true; 0 = open
    Column("known_ms", BigInteger, primary_key=True),  # since when that is known
    Column("until_ms", BigInteger, nullable=False),  # 0 = open
    Column("until_known_ms", BigInteger, nullable=False),  # 0 = it is what is known now
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
)

card_bindings = Table(  # statements about cards, appended; one without any is as its row in `cards` says
    "card_bindings",
    metadata,
    Column("uid_index", LargeBinary(32), primary_key=True),  # as in `cards`
    Column("place", Integer, primary_key=True),  # from 1; a later statement goes before an earlier one
    Column("member", LargeBinary(16), nullable=False),  # empty = nobody's
    Column("number", Integer, nullable=False),  # which of the member's cards
    Column("state", Integer, nullable=False),  # protocol.allowlist.CardState
    Column("from_ms", BigInteger, nullable=False),  # when it is true; 0 = open
    Column("until_ms", BigInteger, nullable=False),  # 0 = open
    Column("ended_ms", BigInteger, nullable=False),  # what the card's own end was before this set it; −1 = not set
    Column("known_ms", BigInteger, nullable=False),  # since when it is known
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("batch", String(64), nullable=False),  # empty = of no batch
    Index("card_bindings_member", "member", "number"),
    Index("card_bindings_batch", "batch"),
)

card_batches = Table(  # cards that were issued or bound again together, under a name
    "card_batches",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("kind", String(16), nullable=False),  # issue, rebind
    Column("domain", ForeignKey("domains.id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("undone_ms", BigInteger, nullable=False),  # 0 = it stands
    Column("undone_by", String(64), nullable=False),
)
