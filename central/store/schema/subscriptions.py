"""Who is told of events outside, how far each of them has been told, and what could not be told."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import metadata

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("url_sealed", LargeBinary),  # AES-256-GCM, bound to the subscription; null: it is pulled
    Column("url_host", Text, nullable=False),  # what is shown of the URL
    Column("reader", String(64), nullable=False),  # the account that may pull; empty: it is called
    Column("types", Text, nullable=False),  # JSON list of CloudEvents types
    Column("domains", Text, nullable=False),  # JSON list; empty: all
    Column("venues", Text, nullable=False),  # JSON list; empty: all
    Column("secret_sealed", LargeBinary),
    Column("previous_sealed", LargeBinary),  # the secret before, while both sign
    Column("previous_until_ms", BigInteger, nullable=False),  # 0: there is none
    Column("subjects_sealed", LargeBinary),  # the key of its pseudonyms; null: it is told of nobody
    Column("quiet_from", Integer, nullable=False),  # minutes of the local day: no notice is sent from …
    Column("quiet_until", Integer, nullable=False),  # … until; equal: never quiet
    Column("time_zone", String(64), nullable=False),
    Column("state", String(16), nullable=False),  # active, paused, dead
    Column("why", Text, nullable=False, server_default=""),
    Column("who", String(64), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("from_ms", BigInteger, nullable=False),  # what came into custody before is not told, but by a replay
    Column("floor_ms", BigInteger, nullable=False),  # epochs that were last added to before are told of
    Column("taken_until_ms", BigInteger, nullable=False),  # some process delivers until then
    Column("taken_by", LargeBinary(16), nullable=False),
    Column("tries", Integer, nullable=False),  # rounds in a row that nothing was taken in
    Column("next_ms", BigInteger, nullable=False),
    Column("failing_ms", BigInteger, nullable=False),  # since when; 0: it takes what it is sent
    Column("taken_ms", BigInteger, nullable=False),  # when something was last taken; 0: never
    Column("problem", Text, nullable=False, server_default=""),  # of the newest failure
    Column("problem_ms", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),  # how many events were taken; of one that is pulled: the newest number
)

subscription_progress = Table(  # through which event of each epoch a subscription was told; made when first looked at
    "subscription_progress",
    metadata,
    Column("device", String(64), primary_key=True),  # empty: notices
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("subscription", ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("through", BigInteger, nullable=False),
    Column("late", BigInteger, nullable=False),  # grows when lost events came after all: what was read before is old
    Column("again", Boolean, nullable=False),  # it was set back
    Column("tries", Integer, nullable=False),  # of the event after `through`
    Column("failing_ms", BigInteger, nullable=False),  # since when that one is refused; 0: it is not
    Column("next_ms", BigInteger, nullable=False),
    Column("problem", Text, nullable=False, server_default=""),
    Index("subscription_progress_again", "subscription", "again"),
)

subscription_dead = Table(  # events that a receiver refused for too long
    "subscription_dead",
    metadata,
    Column("subscription", ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),  # when it was given up
    Column("tries", Integer, nullable=False),
    Column("problem", Text, nullable=False),
    Column("again", Boolean, nullable=False),  # a person wants it sent once more
    Index("subscription_dead_again", "subscription", "again"),
)

subscription_feed = Table(  # what a subscription that is pulled may fetch, numbered by the one who follows for it
    "subscription_feed",
    metadata,
    Column("subscription", ForeignKey("subscriptions.id", ondelete="CASCADE"), primary_key=True),
    Column("number", BigInteger, primary_key=True),
    Column("device", String(64), nullable=False),
    Column("epoch", LargeBinary(8), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("fed_ms", BigInteger, nullable=False),
    Index("subscription_feed_fed", "subscription", "fed_ms"),
)

notices = Table(  # what members are told by the city's messaging platform, numbered in the order of telling
    "notices",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("about", String(200), nullable=False, unique=True),  # what it is about: each is told once
    Column("member", LargeBinary(16), nullable=False),
    Column("domain", String(64), nullable=False),
    Column("venue", String(64), nullable=False),  # empty: of no venue
    Column("type", String(64), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("body", Text, nullable=False),  # JSON: what is said beside the member
    Index("notices_member", "member"),
    Index("notices_made", "made_ms"),
)
