"""Whom a library is asked about, and what it said, in the database: the queue of who is due, and answers written
through to the lists where they change anything.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, and_, bindparam, delete, exists, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.member_index import LIBRARY_BARCODE
from central.alerts.backoff import wait_ms
from central.keys import Keys
from central.lists import refresh_members
from central.neighbours.landslide import Landslide
from central.neighbours.library_word import flags_of
from central.neighbours.settings import Library
from central.neighbours.sip2.meaning import Patron, Standing
from central.store.schema import libraries, library_patrons, member_numbers, subjects

ADOPTED_AT_ONCE = 1_000
HOUR_MS = 3_600_000
PUT_OFF = 4
"""Somebody with whom a line broke waits so many times longer than the library is left alone."""
_p, _n, _s = library_patrons.c, member_numbers.c, subjects.c


class Due(NamedTuple):
    """Somebody to ask about. `key`: of the number, to notice when it is another one by the time of the answer."""

    member: bytes
    key: bytes
    sealed: bytes


class Answered(NamedTuple):
    """What a library said of somebody, and when."""

    member: bytes
    key: bytes
    patron: Patron
    at_ms: int


def _is_patron(library: Library, member: Any, key: Any = None) -> Any:
    """A condition: the member is in the library's domain and has a number (this one)."""
    found = exists().where(_n.member == member, _n.kind == LIBRARY_BARCODE)
    found = found.where(_s.member == member, _s.domain == library.domain)
    return found if key is None else found.where(_n.key == key)


def strays(library: Library) -> Select[Any]:
    """Rows of who has no number any more, or another one, or left the domain."""
    query = select(_p.member).where(_p.library == library.id, ~_is_patron(library, _p.member, _p.key))
    return query.limit(ADOPTED_AT_ONCE)


def newcomers(library: Library) -> Select[Any]:
    """Members of the domain with a number whom the library was never to be asked about."""
    there = exists().where(_p.library == library.id, _p.member == _n.member)
    query = select(_n.member, _n.key).join(subjects, _s.member == _n.member)
    return query.where(_n.kind == LIBRARY_BARCODE, _s.domain == library.domain, ~there).limit(ADOPTED_AT_ONCE)


async def adopt(connection: AsyncConnection, keys: Keys, library: Library, now_ms: int) -> int:
    """Forget who left, and take in who came. What was said of a number that is gone is off the lists.
    Returns how many; as many as `ADOPTED_AT_ONCE` means that there may be more."""
    gone = list((await connection.execute(strays(library))).scalars())
    await forget(connection, keys, library.id, gone, now_ms)
    new = (await connection.execute(newcomers(library))).all()
    if new:
        fresh = _fresh(library)
        await connection.execute(insert(library_patrons), [fresh | {"member": m, "key": key} for m, key in new])
    return max(len(gone), len(new))


async def is_patron(connection: AsyncConnection, library: Library, member: bytes) -> bool:
    """Whether the member is in the library's domain and has a number."""
    mine = select(_n.member).join(subjects, _s.member == _n.member).where(_s.domain == library.domain)
    mine = mine.where(_n.kind == LIBRARY_BARCODE, _n.member == member)
    return (await connection.execute(mine)).first() is not None


async def take_in(connection: AsyncConnection, keys: Keys, library: Library, member: bytes, now_ms: int) -> bytes:
    """A row for one patron, whatever was known. Returns the key of the number that is asked about."""
    query = select(_n.key).where(_n.kind == LIBRARY_BARCODE, _n.member == member)
    key = bytes((await connection.execute(query)).scalar_one())
    held = select(_p.key).where(_p.library == library.id, _p.member == member)
    row = (await connection.execute(held)).one_or_none()
    if row is not None and row.key != key:
        await forget(connection, keys, library.id, [member], now_ms)
    if row is None or row.key != key:
        await connection.execute(insert(library_patrons), [_fresh(library) | {"member": member, "key": key}])
    return key


def _fresh(library: Library) -> dict[str, Any]:
    """What is known of somebody who was not asked about yet."""
    nothing = {"standing": Standing.UNKNOWN.value, "hold_ready": False, "overdue": False, "why": "not asked yet"}
    return {"library": library.id, **nothing, "checked_ms": 0, "due_ms": 0, "failures": 0}


async def forget(connection: AsyncConnection, keys: Keys, library: str, members: Sequence[bytes], now_ms: int) -> None:
    """What the library said of them counts no more."""
    if members:
        await connection.execute(delete(library_patrons).where(_p.library == library, _p.member.in_(members)))
        await refresh_members(connection, keys, members, now_ms)


async def due(connection: AsyncConnection, library: Library, now_ms: int, limit: int) -> list[Due]:
    """Who is to be asked about, the longest overdue first."""
    query = select(_p.member, _p.key, _n.sealed)
    query = query.join(member_numbers, and_(_n.member == _p.member, _n.kind == LIBRARY_BARCODE, _n.key == _p.key))
    query = query.where(_p.library == library.id, _p.due_ms <= now_ms).order_by(_p.due_ms, _p.member).limit(limit)
    return [Due(*row) for row in await connection.execute(query)]


_THIS = and_(_p.library == bindparam("of"), _p.member == bindparam("whom"), _p.key == bindparam("by"))


async def put_answers(
    connection: AsyncConnection,
    keys: Keys,
    library: Library,
    answers: Sequence[Answered],
    now_ms: int,
    slide: Landslide | None = None,
) -> int:
    """Each is kept with its time; only members of whom it says something else are on a newer list. Returns how many
    they are. An answer about a number that is not the member's any more is left out, and with a `slide` one that is not
    to be believed: what was known before stays, and it is asked for again."""
    if not answers:
        return 0
    query = select(_p.member, _p.key, _p.standing, _p.hold_ready, _p.overdue).where(_p.library == library.id)
    rows = await connection.execute(query.where(_p.member.in_([each.member for each in answers])))
    held = {(row.member, row.key): (row.standing, bool(row.hold_ready), bool(row.overdue)) for row in rows}
    kept = [each for each in answers if (each.member, each.key) in held]
    if slide is not None:
        kept = await _believed(connection, library, kept, held, slide)
    if not kept:
        return 0
    values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in _ANSWERED}
    await connection.execute(
        update(library_patrons).where(_THIS).values(values | {"failures": 0}),
        [_row(library, each) for each in kept],
    )
    changed = [each.member for each in kept if _told(*held[each.member, each.key]) != _told(*_said(each.patron))]
    if changed:
        await refresh_members(connection, keys, changed, now_ms)
    return len(changed)


async def _believed(
    connection: AsyncConnection, library: Library, kept: Sequence[Answered], held: Mapping[Any, Any], slide: Landslide
) -> list[Answered]:
    """Without those who are said to be in good standing no more while that is said of many."""
    doubted = []
    for each in kept:
        if held[each.member, each.key][0] == Standing.GOOD:
            fell = each.patron.standing is not Standing.GOOD
            slide.note(fell)
            if fell and slide.is_on:
                doubted.append({"of": library.id, "whom": each.member, "by": each.key, "next": each.at_ms + HOUR_MS})
    if doubted:
        await connection.execute(update(library_patrons).where(_THIS).values(due_ms=bindparam("next")), doubted)
    whom = {each["whom"] for each in doubted}
    return [each for each in kept if each.member not in whom]


_ANSWERED = ("standing", "hold_ready", "overdue", "why", "checked_ms", "due_ms")


def _row(library: Library, each: Answered) -> dict[str, Any]:
    standing, hold_ready, overdue = _said(each.patron)
    next_ms = each.at_ms + library.every_hours * HOUR_MS
    said = (standing, hold_ready, overdue, each.patron.why[:64], each.at_ms, next_ms)
    new = {f"new_{name}": value for name, value in zip(_ANSWERED, said, strict=True)}
    return new | {"of": library.id, "whom": each.member, "by": each.key}


def _said(patron: Patron) -> tuple[str, bool, bool]:
    return patron.standing.value, patron.hold_ready, patron.overdue


def _told(standing: str, hold_ready: bool, overdue: bool) -> tuple[bool, tuple[str, ...]]:
    """What gates are told of it."""
    return standing == Standing.GOOD, flags_of(standing, hold_ready, overdue)


async def put_off(connection: AsyncConnection, library: str, member: bytes, now_ms: int) -> None:
    """No answer about somebody: others come first, so that nobody's number stops the queue."""
    mine = (_p.library == library) & (_p.member == member)
    failures = ((await connection.execute(select(_p.failures).where(mine))).scalar() or 0) + 1
    values = {"failures": failures, "due_ms": now_ms + PUT_OFF * wait_ms(failures)}
    await connection.execute(update(library_patrons).where(mine).values(values))


async def ask_again(connection: AsyncConnection, library: str) -> int:
    """Everybody is due now. Returns how many."""
    await connection.execute(update(libraries).where(libraries.c.id == library).values(next_ms=0))
    done = await connection.execute(update(library_patrons).where(_p.library == library).values(due_ms=0))
    return done.rowcount
