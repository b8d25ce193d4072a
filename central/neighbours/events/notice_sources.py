"""What members may be told of, read out of what is held: flags of their cards, sessions without a sign-out, points that
are about to expire. Each is about one thing, and told once.
"""

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.events.kinds import HOLD_READY, NO_SIGN_OUT, OVERDUE, POINTS_EXPIRING
from central.neighbours.library_word import flags_told
from central.services.points.accounts import plans_of, read_members
from central.store.schema import attendance_sessions, notices, point_plans, subjects
from central.store.slices import named

FLAG_TYPES = {"hold-ready": HOLD_READY, "overdue": OVERDUE}
REVIEW, NO_SIGN_OUT_WHY = "review", "no-sign-out"
RECENT_MS = 14 * 86_400_000
"""Sessions of before are old stories."""
EXPIRING_MS = 7 * 86_400_000
AT_ONCE = 500
MEMBERS = 200
FLAG = "flag "
"""What a notice of a flag is about begins so, while the flag stands."""
_flags = flags_told.subquery("flags_told")
_f, _n, _a = _flags.c, notices.c, attendance_sessions.c


Place = tuple[str, bytes]
"""Domain and member."""
BEGIN: Place = ("", b"")


class Wish(NamedTuple):
    """What somebody would be told. `about`: what makes it the same thing again."""

    about: str
    member: bytes
    domain: str
    venue: str
    type: str
    said: dict[str, Any]


def iso(at_ms: int) -> str:
    """As it stands in a CloudEvent."""
    return dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


# --- flags --------------------------------------------------------------------------------------------------------


async def flags_untold(connection: AsyncConnection, flag: str, after: Place) -> tuple[list[Wish], Place | None]:
    """The next of those that stand and were not told of, and where to go on; None: those were all."""
    type_ = FLAG_TYPES[flag]
    told = and_(_n.member == _f.member, _n.domain == _f.domain, _n.type == type_, _n.about.startswith(FLAG))
    query = select(_f.domain, _f.member, _f.until_ms).outerjoin(notices, told)
    later = or_(_f.domain > after[0], and_(_f.domain == after[0], _f.member > after[1]))
    query = query.where(_f.flag == flag, _n.number.is_(None), later).order_by(_f.domain, _f.member)
    rows = (await connection.execute(query.limit(AT_ONCE))).all()
    following = (rows[-1].domain, rows[-1].member) if len(rows) == AT_ONCE else None
    return [_of_flag(row, flag, type_) for row in rows], following


def _of_flag(row: Any, flag: str, type_: str) -> Wish:
    until = {"until": iso(row.until_ms)} if row.until_ms else {}
    return Wish(f"{FLAG}{row.domain} {flag} {row.member.hex()}", row.member, row.domain, "", type_, until)


async def flags_over(connection: AsyncConnection) -> list[int]:
    """Numbers of notices whose flag was taken away: should it be set again, that is told again."""
    found: list[int] = []
    for flag, type_ in FLAG_TYPES.items():
        same = and_(_f.member == _n.member, _f.domain == _n.domain, _f.flag == flag)
        query = select(_n.number).outerjoin(_flags, same)
        query = query.where(_n.type == type_, _n.about.startswith(FLAG), _f.flag.is_(None)).limit(AT_ONCE)
        found += (await connection.execute(query)).scalars()
    return found


# --- sessions -----------------------------------------------------------------------------------------------------


async def unsigned(connection: AsyncConnection, now_ms: int) -> list[Wish]:
    """Sessions that nobody signed out of, which a person must settle."""
    query = select(attendance_sessions, subjects.c.member).join(
        subjects, and_(subjects.c.domain == _a.domain, subjects.c.subject == _a.subject)
    )
    query = query.where(_a.state == REVIEW, _a.why == NO_SIGN_OUT_WHY, _a.at_ms >= now_ms - RECENT_MS)
    return [_of_session(row) for row in await connection.execute(query.order_by(_a.at_ms, _a.key))]


def _of_session(row: Any) -> Wish:
    about = f"session {row.domain} {row.subject.hex()} {row.key.hex()}"
    said = {"signed_in": iso(row.in_ms or row.at_ms), "team": row.team}
    return Wish(about, row.member, row.domain, row.venue, NO_SIGN_OUT, said)


# --- points -------------------------------------------------------------------------------------------------------


async def domains_with_points(connection: AsyncConnection) -> list[str]:
    """By name."""
    query = select(point_plans.c.domain).distinct().order_by(point_plans.c.domain)
    return list((await connection.execute(query)).scalars())


async def members_in(connection: AsyncConnection, domain: str, after: bytes) -> dict[bytes, bytes]:
    """The next members of a domain, and who they are in it."""
    s = subjects.c
    query = select(s.member, s.subject).where(s.domain == domain, s.member > after).order_by(s.member).limit(MEMBERS)
    return {row.member: row.subject for row in await connection.execute(query)}


async def expiring(connection: AsyncConnection, domain: str, members: dict[bytes, bytes], now_ms: int) -> list[Wish]:
    """What these members have that is gone within a week, by the moment that it goes."""
    plans = await plans_of(connection, domain)
    held = await read_members(connection, domain, list(members.values()), plans)
    found: list[Wish] = []
    for member, subject in members.items():
        going: dict[int, int] = {}
        for lot in held[subject].kept(now_ms).lots:
            if lot.expires_ms and lot.expires_ms - now_ms <= EXPIRING_MS:
                going[lot.expires_ms] = going.get(lot.expires_ms, 0) + lot.points
        for expires_ms, points in sorted(going.items()):
            about = f"points {domain} {subject.hex()} {expires_ms}"
            said = {"points": points, "expires": iso(expires_ms)}
            found.append(Wish(about, member, domain, "", POINTS_EXPIRING, said))
    return found


# --- before it is sent --------------------------------------------------------------------------------------------


async def still_true(connection: AsyncConnection, rows: Sequence[Any]) -> list[Any]:
    """Of notices, those that still hold: a hold that was fetched overnight is nothing to wake up to."""
    flags = {(row.domain, row.member, flag) for row in rows for flag, type_ in FLAG_TYPES.items() if row.type == type_}
    standing: set[tuple[str, bytes, str]] = set()
    for these in named((_f.domain, _f.member, _f.flag), flags):
        for row in await connection.execute(select(_f.domain, _f.member, _f.flag).where(these)):
            standing.add((row.domain, row.member, row.flag))
    kept = []
    for row in rows:
        flag = next((flag for flag, type_ in FLAG_TYPES.items() if row.type == type_), "")
        if flag and (row.domain, row.member, flag) not in standing:
            continue
        if row.type == NO_SIGN_OUT and not await _is_unsigned(connection, row.about):
            continue
        kept.append(row)
    return kept


async def _is_unsigned(connection: AsyncConnection, about: str) -> bool:
    _, domain, subject, key = about.split(" ")
    query = select(_a.state).where(
        _a.domain == domain, _a.subject == bytes.fromhex(subject), _a.key == bytes.fromhex(key), _a.state == REVIEW
    )
    return (await connection.execute(query.limit(1))).first() is not None
