"""In which month each session is booked, and what becomes of what is known too late: a locked month never changes,
the difference is booked where it became known. Pure.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from central.facts import Fact
from central.services.attendance.hours import BOOKED, COUNTED, Session, sessions
from central.services.attendance.local import month_after, month_of
from central.services.attendance.pairing import Signing
from central.services.attendance.stated import AMOUNTS, MemberMonthLocked, Row
from central.services.attendance.teams import Teams

UTC = ZoneInfo("UTC")
Amounts = tuple[int, ...]
NOTHING: Amounts = (0,) * len(AMOUNTS)
WITHDRAWN = ("other-team", "no-longer-known")
"""Why an adjustment takes back what was booked, where no row in review or void says so."""


class Lock(NamedTuple):
    """A month of a team was closed at that moment."""

    locked_ms: int
    unit_minutes: int


Locks = Mapping[tuple[str, str], Lock]
"""By team and month."""


def rows(signings: Iterable[Signing], facts: Sequence[Fact], teams: Teams, locks: Locks) -> list[Row]:
    """Everything of one member: what locked months hold, and what follows from taps and facts beside it."""
    locked: dict[tuple[str, str], tuple[Row, ...]] = {}
    for fact in facts:
        if isinstance(fact.body, MemberMonthLocked):  # should two have locked it at once, the first one did
            locked.setdefault((fact.body.team, fact.body.month), fact.body.rows)
    held = [row for some in locked.values() for row in some]
    of_key: dict[bytes, list[Row]] = {}
    for row in held:
        of_key.setdefault(row.key, []).append(row)
    found = {each.row.key: each for each in sessions(signings, facts, teams, of_key)}
    booked = list(held)
    for key in sorted(found.keys() | of_key.keys()):
        booked += _booked(found.get(key), of_key.get(key, []), teams, locks)
    return sorted(booked, key=lambda row: (row.at_ms, row.key, row.team, row.month))


def _booked(session: Session | None, held: list[Row], teams: Teams, locks: Locks) -> list[Row]:
    """The rows of one session beside those that are held for ever."""
    done: list[Row] = []
    is_booked = session is not None and session.row.state in BOOKED
    if session is not None and not is_booked:
        done.append(session.row)
    sums = {row.team: NOTHING for row in held}
    for row in held:
        sums[row.team] = _plus(sums[row.team], _amounts(row))
    known_ms = max(
        session.known_ms if session is not None else 0,
        *(locks[row.team, row.month].locked_ms for row in held if (row.team, row.month) in locks),
        0,
    )
    if session is not None and is_booked and session.row.team not in sums:
        done.append(_first_booking(session.row, known_ms, teams, locks))
    for team, sum_ in sums.items():
        is_its = session is not None and is_booked and session.row.team == team
        now = _amounts(session.row) if session is not None and is_its else NOTHING
        difference = _plus(now, tuple(-each for each in sum_))
        if any(difference):
            month = _open_month(team, known_ms, teams, locks)
            if session is not None and is_its:
                done.append(_adjustment(session.row, difference, month))
            else:
                why = WITHDRAWN[1] if session is None else WITHDRAWN[0] if is_booked else session.row.state
                withdrawn = msgspec.structs.replace(_newest(held, team), why=why)
                done.append(_adjustment(withdrawn, difference, month))
    return done


def _first_booking(row: Row, known_ms: int, teams: Teams, locks: Locks) -> Row:
    home = month_of(row.at_ms, _zone(row.team, teams))
    if (row.team, home) not in locks:
        return msgspec.structs.replace(row, month=home)
    month = _open_month(row.team, known_ms, teams, locks)
    return msgspec.structs.replace(row, month=month, adjustment_of=row.key)


def _adjustment(about: Row, difference: Amounts, month: str) -> Row:
    changes: dict[str, Any] = dict(zip(AMOUNTS, difference, strict=True))
    changes |= {"month": month, "state": COUNTED, "adjustment_of": about.key, "ends_by_ms": 0}
    return msgspec.structs.replace(about, **changes)


def _newest(held: Sequence[Row], team: str) -> Row:
    return [row for row in held if row.team == team][-1]


def _open_month(team: str, known_ms: int, teams: Teams, locks: Locks) -> str:
    """The month in which something became known; where that is locked by now, the first one after it that is not."""
    month = month_of(known_ms, _zone(team, teams))
    while (team, month) in locks:
        month = month_after(month)
    return month


def _zone(team: str, teams: Teams) -> ZoneInfo:
    version = teams.newest(team)
    return version.zone if version is not None else UTC


def _amounts(row: Row) -> Amounts:
    """Minutes that do not count are no amount."""
    minutes = row.minutes if row.state == COUNTED else 0
    return (minutes, *(getattr(row, name) for name in AMOUNTS[1:]))


def _plus(one: Amounts, other: Amounts) -> Amounts:
    return tuple(a + b for a, b in zip(one, other, strict=True))


# --- a team's month as a whole --------------------------------------------------------------------------------------


def digest(of_members: Mapping[bytes, Collection[Row]]) -> bytes:
    """SHA-256 of the rows of a team's month, by subject: whether it is still the one that was looked at."""
    listed = [
        [subject, sorted((msgspec.to_builtins(row, builtin_types=(bytes,)) for row in held), key=_name_of)]
        for subject, held in sorted(of_members.items())
        if held
    ]
    return hashlib.sha256(msgspec.msgpack.encode(listed, order="deterministic")).digest()


def _name_of(row: dict[str, object]) -> tuple[object, object]:
    return row["key"], row["month"]
