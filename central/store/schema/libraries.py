"""Library systems that are asked about their patrons, and what they said of them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import metadata

libraries = Table(  # how each is doing; what it is asked with stands in the settings
    "libraries",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("domain", ForeignKey("domains.id"), nullable=False),
    Column("class_name", String(64), nullable=False),  # which patrons in good standing have in this domain
    Column("answered_ms", BigInteger, nullable=False),  # when it last answered; 0 = never
    Column("failed_ms", BigInteger, nullable=False),  # when it last did not; 0 = never
    Column("failing_ms", BigInteger, nullable=False),  # since when it does not; 0 = it does
    Column("failure", String(32), nullable=False),  # why, in one word; empty = it answered since
    Column("said", Text, nullable=False),  # why, in a sentence
    Column("tries", Integer, nullable=False),  # how often it failed since it last answered
    Column("next_ms", BigInteger, nullable=False),  # it is left alone until then
    Column("holder", String(128), nullable=False),  # the server that asks it now
    Column("held_until_ms", BigInteger, nullable=False),
    Column("believed_until_ms", BigInteger, nullable=False, server_default="0"),  # a person said that it is right
)

library_patrons = Table(  # what a library last said of a member, and when to ask again
    "library_patrons",
    metadata,
    Column("library", ForeignKey("libraries.id"), primary_key=True),
    Column("member", ForeignKey("members.id", ondelete="CASCADE"), primary_key=True),
    Column("key", LargeBinary(32), nullable=False),  # of the number that was asked about, as in `member_numbers`
    Column("standing", String(16), nullable=False),  # good, blocked, expired, no-patron, unknown
    Column("hold_ready", Boolean, nullable=False),
    Column("overdue", Boolean, nullable=False),
    Column("why", String(64), nullable=False),  # what was missing or odd, where the standing is unknown
    Column("checked_ms", BigInteger, nullable=False),  # 0 = it was not asked yet
    Column("due_ms", BigInteger, nullable=False),
    Column("failures", Integer, nullable=False),  # how often no answer came since the last one
    Index("library_patrons_due", "library", "due_ms"),
    Index("library_patrons_member", "member"),
)
