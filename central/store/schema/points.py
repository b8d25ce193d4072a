"""Plans of points, what they gave, the ledger, its closed months, and what is reserved to gates."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from central.store.schema.metadata import PROJECTION, metadata

point_plans = Table(  # every version of each plan; the newest is in force
    "point_plans",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    Column("domain", ForeignKey("domains.id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),  # MessagePack of central.services.points.plans.Plan
)

point_months = Table(  # what a plan gave a member in a month: it stays given, whatever plan and classes say later
    "point_months",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("plan", String(64), primary_key=True),
    Column("version", BigInteger, nullable=False),  # of the plan
    Column("points", BigInteger, nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),  # 0 = never
    Column("given_ms", BigInteger, nullable=False),
)


def _line() -> list[Column[object]]:
    return [
        Column("booked_ms", BigInteger, nullable=False),  # in whose month it stands
        Column("at_ms", BigInteger, nullable=False),  # of the cause
        Column("what", String(16), nullable=False),  # month, earned, granted, adjusted, spent, redeemed, expired
        Column("cause", String(128), nullable=False),  # event DEVICE EPOCH SEQUENCE, fact ID, plan ID MONTH
        Column("source", String(80), nullable=False),  # accounts
        Column("target", String(80), nullable=False),
        Column("points", BigInteger, nullable=False),  # above 0
    ]


ledger = Table(  # postings of the months that are not closed
    "ledger",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("line", Integer, primary_key=True),
    *_line(),
    Index("ledger_booked", "domain", "booked_ms"),
    Index("ledger_source", "domain", "source"),
    info=PROJECTION,
)

point_books = Table(  # postings of closed months: never changed
    "point_books",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("month", String(7), primary_key=True),  # by whose closing it came here
    Column("line", Integer, primary_key=True),
    *_line(),
    Index("point_books_booked", "domain", "booked_ms"),
    Index("point_books_source", "domain", "source"),
)

point_closings = Table(  # months that a person closed
    "point_closings",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("month", String(7), primary_key=True),
    Column("until_ms", BigInteger, nullable=False),  # the month's end
    Column("cursor", LargeBinary(16), nullable=False),  # through this subject it is done; empty once it is closed
    Column("begun_ms", BigInteger, nullable=False),
    Column("closed_ms", BigInteger),  # null = it is still going on
    Column("who", String(64), nullable=False),
)

point_rounds = Table(  # how far the day's round over a domain's members has come
    "point_rounds",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("day", String(10), nullable=False),  # local
    Column("cursor", LargeBinary(16), nullable=False),  # through this subject; empty once it is done
    Column("is_done", Boolean, nullable=False),
)

reservations = Table(  # points of a member that one gate alone may spend: promises
    "reservations",
    metadata,
    Column("domain", String(64), primary_key=True),
    Column("subject", LargeBinary(16), primary_key=True),
    Column("device", String(64), primary_key=True),
    Column("lapse_ms", BigInteger, primary_key=True),
    Column("gate", String(64), nullable=False),
    Column("made_ms", BigInteger, nullable=False),
    Column("amount", BigInteger, nullable=False),  # what the gate was told, when it was last looked at
    Column("untold", BigInteger, nullable=False),  # of undone taps: nobody else's, and the gate is not told of it yet
    Column("since_ms", BigInteger, nullable=False),  # of the device's marks since then …
    Column("base", BigInteger, nullable=False),  # … so many points were counted at that moment
    Column("state", String(16), nullable=False),  # open, returned, written-off
    Column("done_ms", BigInteger, nullable=False),  # 0 = it is open
    Index("reservations_device", "device", "state", "lapse_ms"),
)
