"""What coordinators state about volunteers' hours, as facts, and the rows that a locked month holds. Pure."""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from central.facts import FactBody

Key = Annotated[bytes, Meta(min_length=16, max_length=16)]
Amount = Annotated[int, Meta(ge=0, le=1_000_000)]


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A session, or what a locked month has to be corrected by, as it is booked.

    `state`: counted; not-counting (training and the like); void (a person said so); open (until `ends_by_ms`, then it
    was forgotten); review. Only the first two are booked in a month.
    """

    key: Key
    """The signing that names the session."""
    team: str
    month: str = ""
    """That it is booked in; empty: in none."""
    at_ms: int
    """When it began; where that is not known, when it ended."""
    in_ms: int | None = None
    out_ms: int | None = None
    minutes: int = 0
    """Whole minutes that passed; of an adjustment the difference."""
    state: str
    why: str = ""
    adjustment_of: bytes = b""
    """The session of a month that is locked."""
    shift: str = ""
    activity: str = ""
    venue: str = ""
    ends_by_ms: int = 0
    shift_end_ms: int | None = None
    """Shown to who settles a forgotten sign-out; never booked."""
    stated: bytes = b""
    """The fact by which a person made it what it is; empty: none."""
    taps: bytes = b""
    """The names of its signings, 16 bytes each."""
    people: int = 0
    transport: int = 0
    meal: int = 0
    people_abroad: int = 0
    people_home: int = 0
    remark: str = ""


AMOUNTS = ("minutes", "people", "transport", "meal", "people_abroad", "people_home")
"""What is summed; an adjustment holds the difference of each."""


class SignedByHand(FactBody, frozen=True):
    """Somebody is signed in or out by a coordinator, at the fact's `at_ms`."""

    KIND: ClassVar[str] = "attendance.signed"
    way: Literal["in", "out"]
    team: str
    why: str
    activity: str = ""


class SessionSettled(FactBody, frozen=True):
    """What a session was. It stands for these taps, and no other session can be made of them."""

    KIND: ClassVar[str] = "attendance.settled"
    key: Key
    outcome: Literal["hours", "void"]
    why: str
    taps: tuple[Key, ...] = ()
    team: str = ""
    activity: str = ""
    from_ms: int = 0
    until_ms: int = 0


class Reassigned(FactBody, frozen=True):
    """The session was for another team, or of another activity."""

    KIND: ClassVar[str] = "attendance.reassigned"
    key: Key
    team: str
    why: str
    activity: str = ""


class Served(FactBody, frozen=True):
    """What the ministry's sheet asks of a session. What is None stays as it was stated before."""

    KIND: ClassVar[str] = "attendance.served"
    key: Key
    people: Amount | None = None
    transport: Amount | None = None
    meal: Amount | None = None
    people_abroad: Amount | None = None
    people_home: Amount | None = None
    remark: Annotated[str, Meta(max_length=200)] | None = None


class MonthApproved(FactBody, frozen=True):
    """A coordinator looked at a team's month and found it right as it was: `digest` is of its rows."""

    KIND: ClassVar[str] = "attendance.approved"
    team: str
    month: str
    digest: bytes


class MonthLocked(FactBody, frozen=True):
    """From now on this month of the team never changes. Its rows are in the facts `MemberMonthLocked`."""

    KIND: ClassVar[str] = "attendance.locked"
    team: str
    month: str
    digest: bytes
    unit_minutes: int
    """By which its totals are rounded, for ever."""


class MemberMonthLocked(FactBody, frozen=True):
    """One member's rows of a locked month, as they are for ever."""

    KIND: ClassVar[str] = "attendance.locked-rows"
    team: str
    month: str
    rows: tuple[Row, ...]


class CertificateIssued(FactBody, frozen=True):
    """An honour card (榮譽卡) was made out for the hours through the fact's `at_ms`."""

    KIND: ClassVar[str] = "attendance.certificate"
    valid_from: str
    valid_until: str
    """Local dates, the last one excluded."""
    minutes: int
    number: str = ""


OF_MEMBER = (SignedByHand, SessionSettled, Reassigned, Served, MemberMonthLocked)
"""What a member's rows follow from, besides taps."""
