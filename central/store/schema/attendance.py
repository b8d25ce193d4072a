"""Volunteers: their teams and rules as they were stated, their sessions as they are booked."""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from central.store.schema.metadata import PROJECTION, metadata

attendance_teams = Table(  # every version of every team; of a moment, the newest that was good then counts
    "attendance_teams",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("id", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("from_ms", BigInteger, nullable=False),
    Column("venue", String(64), nullable=False),
    Column("who", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),  # MessagePack of services.attendance.teams.Team
    Index("attendance_teams_id", "id"),
)

attendance_rules = Table(  # how totals are rounded and certificates are due, in all versions; the newest counts
    "attendance_rules",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("body", LargeBinary, nullable=False),  # MessagePack of services.attendance.rules.Rules
)

attendance_months = Table(  # those that are locked, out of the facts that say so
    "attendance_months",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("team", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("fact", LargeBinary(16), nullable=False),
    Column("locked_ms", BigInteger, nullable=False),
    Column("unit_minutes", Integer, nullable=False),
    Column("who", String(64), nullable=False),
    info=PROJECTION,
)

attendance_sessions = Table(  # services.attendance.stated.Row says what each column means
    "attendance_sessions",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("key", LargeBinary(16), primary_key=True),
    Column("team", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),  # empty: booked in none
    Column("at_ms", BigInteger, nullable=False),
    Column("in_ms", BigInteger),
    Column("out_ms", BigInteger),
    Column("minutes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # counted, not-counting, void, open, review
    Column("why", Text, nullable=False),
    Column("adjustment_of", LargeBinary(16), nullable=False),  # empty: it is none
    Column("shift", String(64), nullable=False),
    Column("activity", String(64), nullable=False),
    Column("venue", String(64), nullable=False),
    Column("ends_by_ms", BigInteger, nullable=False),
    Column("shift_end_ms", BigInteger),
    Column("stated", LargeBinary(16), nullable=False),
    Column("taps", LargeBinary, nullable=False),
    Column("people", BigInteger, nullable=False),
    Column("transport", BigInteger, nullable=False),
    Column("meal", BigInteger, nullable=False),
    Column("people_abroad", BigInteger, nullable=False),
    Column("people_home", BigInteger, nullable=False),
    Column("remark", Text, nullable=False),
    Index("attendance_sessions_team", "domain", "team", "month"),
    Index("attendance_sessions_state", "domain", "state"),
    Index("attendance_sessions_key", "key"),
    info=PROJECTION,
)
