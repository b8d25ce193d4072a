"""Consent; what is held in spite of its time; who was erased, and the counts that stay of them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text, text

from central.store.schema.metadata import metadata

consent_notices = Table(  # what a person is told before they agree; appended, in all versions
    "consent_notices",
    metadata,
    Column("purpose", String(64), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("body", Text, nullable=False),  # JSON of central.privacy.notices.Notice
)

consents = Table(  # statements of members, appended: the last one of a purpose is what holds
    "consents",
    metadata,
    Column("member", ForeignKey("members.id"), primary_key=True),
    Column("purpose", String(64), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("state", String(16), nullable=False),  # given, withdrawn
    Column("notice", Integer, nullable=False),  # the version of the notice that they were told
    Column("at_ms", BigInteger, nullable=False),  # when they said it
    Column("known_ms", BigInteger, nullable=False),  # when it was written here
    Column("how", String(16), nullable=False),  # counter, kiosk, list
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Index("consents_purpose", "purpose", "state", "member"),
)

consent_rules = Table(  # purposes whose classes are published with consent alone; one without a row asks for none yet
    "consent_rules",
    metadata,
    Column("purpose", String(64), primary_key=True),
    Column("required", Boolean, nullable=False),  # what lists are compiled by
    Column("from_ms", BigInteger, nullable=False),  # when it becomes required; 0 = it is as `required` says
    Column("cursor", LargeBinary),  # through this member the lists follow a change of it; null = all of them
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
)

UNSETTLED = text("state = 'waiting'")

kiosk_statements = Table(  # what taps at kiosks stated, by the event: whose it was stands there alone
    "kiosk_statements",
    metadata,
    Column("device", String(64), primary_key=True),
    Column("epoch", LargeBinary(8), primary_key=True),
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),  # waiting, taken, late, not-taken
    Column("why", Text, nullable=False),  # it was not taken
    Column("settled_ms", BigInteger, nullable=False),  # 0 = it waits
    Index("kiosk_statements_waiting", "received_ms", sqlite_where=UNSETTLED, postgresql_where=UNSETTLED),
)

legal_holds = Table(  # what must not be destroyed meanwhile, by whose order
    "legal_holds",
    metadata,
    Column("id", String(64), primary_key=True),  # begins with the time: rows lie in order
    Column("member", LargeBinary(16), nullable=False),  # empty: of a venue, or of everything
    Column("venue", String(64), nullable=False),  # empty: of a member, or of everything
    Column("why", Text, nullable=False),
    Column("who", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("ended_ms", BigInteger, nullable=False),  # 0 = it holds
    Column("ended_by", String(64), nullable=False),
    Index("legal_holds_member", "member"),
)

uid_looks = Table(  # raw UIDs that one person asked to see and another one allowed
    "uid_looks",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("member", LargeBinary(16), nullable=False),
    Column("card", LargeBinary(16), nullable=False),
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("allowed_by", String(64), nullable=False),  # empty: nobody did yet
    Column("allowed_ms", BigInteger, nullable=False),
    Column("shown_ms", BigInteger, nullable=False),  # 0 = not shown; it is shown once
    Index("uid_looks_at", "at_ms"),
)

retention_rules = Table(  # after how long what is personal of a purpose is destroyed
    "retention_rules",
    metadata,
    Column("purpose", String(64), primary_key=True),
    Column("venue", String(64), primary_key=True),  # empty: every venue without one of its own, which goes before
    Column("days", Integer, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("why", Text, nullable=False),
)

erasures = Table(  # who was erased, by keyed hashes alone
    "erasures",
    metadata,
    Column("id", LargeBinary(16), primary_key=True),  # as the receipt names it
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("member", LargeBinary(32), nullable=False),  # HMAC of the member's id
    Column("reference", LargeBinary(32), nullable=False),  # HMAC of the city's reference
    Column("counts", Text, nullable=False),  # JSON: how many rows of what were destroyed
    Column("consents", Text, nullable=False),  # JSON: purpose, state, notice and time: what can still be shown
    Column("heard_ms", BigInteger, nullable=False),  # when every gate had let go of it, or the time for that was over
    Index("erasures_reference", "reference"),
)

erased_subjects = Table(  # so that what comes late of them is destroyed, too
    "erased_subjects",
    metadata,
    Column("subject", LargeBinary(32), primary_key=True),  # HMAC of the subject
    Column("erasure", LargeBinary(16), nullable=False),
)

erasures_pending = Table(  # what gates still have to hear of; goes once they have
    "erasures_pending",
    metadata,
    Column("erasure", LargeBinary(16), primary_key=True),
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), nullable=False),
    Column("version", BigInteger, nullable=False),  # of the list that has dropped the cards
)

kept_visits = Table(  # of visits whose people are not known any more: added to what is counted of the others
    "kept_visits",
    metadata,
    Column("venue", String(64), primary_key=True),
    Column("hour", Integer, primary_key=True),  # as in visit_counts
    Column("class_name", String(64), primary_key=True),
    Column("day", String(10), primary_key=True),
    Column("visits", BigInteger, nullable=False),
    Column("members", BigInteger, nullable=False),
    Column("corrected", BigInteger, nullable=False),
    Column("without_exit", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

kept_hours = Table(  # volunteers' minutes of locked months whose people are not known any more
    "kept_hours",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("team", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("people", Integer, nullable=False),
    Column("minutes", BigInteger, nullable=False),
)

kept_attendance = Table(  # how many came to an activity whose people are not known any more
    "kept_attendance",
    metadata,
    Column("activity", ForeignKey("activities.id", ondelete="CASCADE"), primary_key=True),
    Column("came", String(16), primary_key=True),  # of `central.people.attendance_list.Came`; registered: all who were
    Column("people", Integer, nullable=False),
)

incidents = Table(  # what happened to personal data, and who was told of it by when; names no citizen
    "incidents",
    metadata,
    Column("id", String(64), primary_key=True),  # begins with the time: rows lie in order
    Column("what", Text, nullable=False),
    Column("device", String(64), nullable=False),  # empty: no single one
    Column("learned_ms", BigInteger, nullable=False),  # the 72 hours count from here
    Column("opened_ms", BigInteger, nullable=False),
    Column("who", String(64), nullable=False),
    Column("authority_ms", BigInteger, nullable=False),  # when the authority was told; 0 = not yet
    Column("authority_note", Text, nullable=False),
    Column("concerned_ms", BigInteger, nullable=False),  # when those concerned were told; 0 = not yet
    Column("concerned_note", Text, nullable=False),
    Column("closed_ms", BigInteger, nullable=False),  # 0 = it is open
    Column("closed_by", String(64), nullable=False),
    Column("why", Text, nullable=False),  # of the closing: what came of it
    Index("incidents_open", "closed_ms", "learned_ms"),
)
