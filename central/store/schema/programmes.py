"""What the city offers to classes of members, and activities that members register for."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from central.store.schema.metadata import metadata

offers = Table(  # of partner shops; one row an offer and class
    "offers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("class_name", String(64), primary_key=True),
    Column("partner", Text, nullable=False),
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("first_day", String(10), nullable=False),  # local ISO date; empty = open
    Column("last_day", String(10), nullable=False),  # included; empty = open
    Index("offers_class", "class_name", "last_day"),
)

activities = Table(
    "activities",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("venue", ForeignKey("venues.id"), nullable=False),
    Column("rule", String(64), nullable=False),  # of a policy: an entry by it is a check-in
    Column("title_zh", Text, nullable=False),
    Column("title_en", Text, nullable=False),
    Column("from_ms", BigInteger, nullable=False),  # check-ins count from then
    Column("until_ms", BigInteger, nullable=False),
    Column("capacity", Integer, nullable=False),  # 0 = any number
    Column("walk_ins", Boolean, nullable=False),  # who is not registered may come
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
)

registrations = Table(
    "registrations",
    metadata,
    Column("activity", ForeignKey("activities.id", ondelete="CASCADE"), primary_key=True),
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Index("registrations_member", "member"),
)
