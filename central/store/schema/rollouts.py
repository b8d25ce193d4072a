"""Publications by stages and by date, and the times in which nothing is published."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import metadata

policy_stages = Table(  # versions of policies that were put in force at some gates first
    "policy_stages",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("first_gates", Text, nullable=False),  # JSON list: in force there since the policy's own at_ms
    Column("all_ms", BigInteger),  # since when everywhere; null = not yet, or never
)

rollouts = Table(
    "rollouts",
    metadata,
    Column("id", String(64), primary_key=True),  # begins with the time: rows lie in order
    Column("kind", String(16), nullable=False),  # policy, config
    Column("policy", String(64), nullable=False),  # empty: of a configuration
    Column("gates", Text, nullable=False),  # JSON list; of a policy empty: whichever go by it
    Column("first_gates", Text, nullable=False),  # JSON list; empty = all at once
    Column("body", LargeBinary, nullable=False),  # MessagePack of the policy's map, or of a part of a configuration
    Column("choices", Boolean, nullable=False),  # people choose one of the policy's rules on a screen
    Column("title", Text, nullable=False),
    Column("state", String(16), nullable=False),  # draft, scheduled, first, all, halted, done, withdrawn
    Column("why", Text, nullable=False),  # what brought it into its state, where that was not a plain step
    Column("not_before_ms", BigInteger, nullable=False),  # 0 = at once
    Column("soak_ms", BigInteger, nullable=False),
    Column("by_hand", Boolean, nullable=False),  # a person says when it goes on
    Column("halt_points", Integer, nullable=False),  # of a hundred taps, so many more denied halt it; 0 = never
    Column("halt_taps", Integer, nullable=False),
    Column("goes_back", Boolean, nullable=False),  # where it halts by itself
    Column("despite_freeze", Text, nullable=False),  # an admin's reason; empty = it waits for the end of a freeze
    Column("based_on", BigInteger, nullable=False),  # the policy's version in force then; 0 = of a configuration
    Column("version", BigInteger, nullable=False),  # of the policy that it put in force; 0 = none yet
    Column("who", String(64), nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("first_ms", BigInteger, nullable=False),  # 0 = not yet; so are the next ones
    Column("held_ms", BigInteger, nullable=False),  # every first gate held it
    Column("all_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),
    Column("back_ms", BigInteger, nullable=False),  # the old content was put in force again
    Index("rollouts_state", "state"),
    Index("rollouts_policy", "policy"),
)

rollout_gates = Table(  # what a configuration's rollout put in force where, and what was before
    "rollout_gates",
    metadata,
    Column("rollout", ForeignKey("rollouts.id"), primary_key=True),
    Column("gate", ForeignKey("gates.id"), primary_key=True),
    Column("before", BigInteger, nullable=False),
    Column("version", BigInteger, nullable=False),
)

rollout_steps = Table(  # what became of it: appended
    "rollout_steps",
    metadata,
    Column("rollout", ForeignKey("rollouts.id"), primary_key=True),
    Column("place", Integer, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("what", String(16), nullable=False),  # a state, or held, back
    Column("who", String(64), nullable=False),  # empty: by itself
    Column("why", Text, nullable=False),
)

freezes = Table(  # times in which neither policies nor configurations are published
    "freezes",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("venue", String(64), nullable=False),  # empty: the whole city
    Column("why", Text, nullable=False),
    Column("days", Text, nullable=False),  # JSON list of weekdays; empty: dated
    Column("span", String(11), nullable=False),  # HH:MM-HH:MM on each of the days
    Column("time_zone", String(64), nullable=False),
    Column("from_ms", BigInteger, nullable=False),  # 0 where weekly
    Column("until_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)
