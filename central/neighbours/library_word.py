"""What library systems say of members, as it goes into allowlists: a class for good standing, notices for the rest.

It stands beside the classes and flags that others set, never in place of them: each source keeps rows of its own, and
an entry is what all of them say together. The class has no end. A library that is down takes nothing away; only its
own later word does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from central.store.schema import libraries, library_patrons, member_flags
from central.store.steps import Statement, one, run_steps
from protocol.allowlist import Grant

GOOD, BLOCKED, EXPIRED = "good", "blocked", "expired"
HOLD_READY, OVERDUE = "hold-ready", "overdue"
LIBRARY_BLOCKED, LIBRARY_EXPIRED = "library-blocked", "library-expired"
_BETWEEN = (
    "SELECT p.member, l.class_name, p.standing, p.hold_ready, p.overdue FROM libraries l"
    " JOIN library_patrons p ON p.library = l.id"
    " WHERE l.domain = ? AND p.member > ? AND p.member <= ? ORDER BY p.member, l.id"
)

Grants = Mapping[bytes, tuple[Grant, ...]]
Flags = Mapping[bytes, tuple[str, ...]]


class Word(NamedTuple):
    """Of one domain, by member."""

    grants: dict[bytes, tuple[Grant, ...]]
    flags: dict[bytes, tuple[str, ...]]

    def beside(self, grants: Grants, flags: Flags) -> tuple[Grants, Flags]:
        """What an entry says: of members of whom libraries say nothing, what it said before."""
        if not self.grants and not self.flags:
            return grants, flags
        both = {member: (*grants.get(member, ()), *given) for member, given in self.grants.items()}
        told = {member: tuple(sorted({*flags.get(member, ()), *given})) for member, given in self.flags.items()}
        return {**grants, **both}, {**flags, **told}


def flags_of(standing: str, hold_ready: bool, overdue: bool) -> tuple[str, ...]:
    """The notices that a gate tells a patron."""
    named = ((HOLD_READY, hold_ready), (OVERDUE, overdue))
    said = ((LIBRARY_BLOCKED, standing == BLOCKED), (LIBRARY_EXPIRED, standing == EXPIRED))
    return tuple(sorted(flag for flag, is_so in (*named, *said) if is_so))


async def word_of(connection: AsyncConnection, members: Sequence[bytes]) -> dict[str, Word]:
    """By domain, of these members."""
    p, w = library_patrons.c, libraries.c
    query = select(w.domain, p.member, w.class_name, p.standing, p.hold_ready, p.overdue)
    query = query.join(libraries, w.id == p.library).where(p.member.in_(members)).order_by(p.member, w.id)
    rows: dict[str, list[Sequence[Any]]] = {}
    for domain, *row in await connection.execute(query):
        rows.setdefault(domain, []).append(row)
    return {domain: _word(some) for domain, some in rows.items()}


async def word_between(connection: AsyncConnection, domain: str, after: bytes, through: bytes) -> Word:
    """Of the members of a domain from one id (excluded) to another."""
    return _word(await run_steps(connection, one(Statement(_BETWEEN, (domain, after, through)))))


def _word(rows: Iterable[Sequence[Any]]) -> Word:
    grants: dict[bytes, tuple[Grant, ...]] = {}
    flags: dict[bytes, tuple[str, ...]] = {}
    for held, class_name, standing, hold_ready, overdue in rows:
        member = bytes(held)
        grant = Grant(class_name, 0, 0)
        if standing == GOOD and grant not in grants.get(member, ()):
            grants[member] = (*grants.get(member, ()), grant)
        told = flags_of(standing, bool(hold_ready), bool(overdue))
        if told:
            flags[member] = (*flags.get(member, ()), *told)
    return Word(grants, flags)


NOTHING = Word({}, {})


def _of_libraries(flag: str, condition: Any) -> Select[Any]:
    none = literal(0, BigInteger).label("until_ms")
    query = select(libraries.c.domain, library_patrons.c.member, literal(flag).label("flag"), none)
    return query.join(libraries, libraries.c.id == library_patrons.c.library).where(condition)


_f, _p = member_flags.c, library_patrons.c
_all = union_all(
    select(_f.domain, _f.member, _f.flag, _f.until_ms),
    _of_libraries(HOLD_READY, _p.hold_ready),
    _of_libraries(OVERDUE, _p.overdue),
    _of_libraries(LIBRARY_BLOCKED, _p.standing == BLOCKED),
    _of_libraries(LIBRARY_EXPIRED, _p.standing == EXPIRED),
).subquery("said_by_any")
_end = func.min(_all.c.until_ms).label("until_ms")  # 0, open, goes before a date
flags_told = select(_all.c.domain, _all.c.member, _all.c.flag, _end).group_by(_all.c.domain, _all.c.member, _all.c.flag)
"""Every flag that gates tell of, whoever set it: domain, member, flag, until_ms, each once."""
