"""All that is held of one member, for the person who serves them."""

from typing import Annotated, Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.bind_sessions import SessionStands, sessions_of
from central.actions.cards.day_members import is_day_member
from central.actions.cards.member_index import numbers_of
from central.actions.cards.named import cards_of_members
from central.actions.cards.within import domains_of
from central.neighbours.library_word import flags_told
from central.store.schema import cards, libraries, library_patrons, member_classes, members, names, subjects

Id = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{32})?$")]
SESSIONS_SHOWN = 10


class ShowParams(Params, frozen=True):
    """By the city's reference, or by the id (hex) that `member find` tells. One of the two."""

    member: Annotated[str, msgspec.Meta(max_length=128)] = ""
    id: Id = ""


class MemberCard(msgspec.Struct, frozen=True):
    """A card, without its UID. Dates are UTC ms, 0 = open."""

    card: str
    number: int
    state: str
    from_ms: int
    until_ms: int
    bound_ms: int
    why: str


class MemberClass(msgspec.Struct, frozen=True):
    """A class and when it holds; 0 = open."""

    class_name: str
    from_ms: int
    until_ms: int


class MemberFlagHeld(msgspec.Struct, frozen=True):
    """A notice that the member's cards carry; 0 = until it is cleared."""

    flag: str
    until_ms: int


class MemberDomain(msgspec.Struct, frozen=True):
    """A domain that the member is in. `shown`: what screens there may call the member."""

    domain: str
    shown: str
    flags: list[MemberFlagHeld]


class MemberLibrary(msgspec.Struct, frozen=True):
    """What a library system said of the member, and when; 0 = it was not asked yet. `class_name`: what its patrons in
    good standing are in its domain."""

    library: str
    domain: str
    standing: str
    class_name: str
    checked_ms: int


class MemberNumber(msgspec.Struct, frozen=True):
    """What another system calls the member."""

    kind: str
    identifier: str


class MemberShown(Result, frozen=True):
    """One member. `is_day`: nobody in particular, made for a day card."""

    id: str
    member: str
    name: str
    created_ms: int
    is_day: bool
    numbers: list[MemberNumber]
    cards: list[MemberCard]
    classes: list[MemberClass]
    domains: list[MemberDomain]
    sessions: list[SessionStands]
    libraries: list[MemberLibrary] = []


@action("member.show", ShowParams, writes=False)
async def member_show(context: Context, params: ShowParams) -> MemberShown:
    """Of the domains of other venues nothing is shown to who does not run them."""
    async with context.database.read() as connection:
        row = await _row(context, connection, params)
        return MemberShown(
            id=row.id.hex(),
            member=row.reference,
            name=context.keys.open_name(row.name_sealed, row.id) if row.name_sealed else "",
            created_ms=row.created_ms,
            is_day=is_day_member(row.reference),
            numbers=[
                MemberNumber(*pair)
                for pair in sorted((await numbers_of(connection, context.keys, [row.id])).get(row.id, {}).items())
            ],
            cards=await _cards(connection, row.id),
            classes=await _classes(connection, row.id),
            domains=await _domains(context, connection, row.id),
            sessions=await sessions_of(connection, row.id, SESSIONS_SHOWN),
            libraries=await _libraries(context, connection, row.id),
        )


async def _row(context: Context, connection: AsyncConnection, params: ShowParams) -> Any:
    if bool(params.member) == bool(params.id):
        raise ActionFailed("name the member by the reference or by the id, one of the two")
    which = members.c.reference == params.member if params.member else members.c.id == bytes.fromhex(params.id)
    row = (await connection.execute(select(members).where(which))).one_or_none()
    theirs = await domains_of(connection, context.scope)
    if row is not None and theirs is not None:
        within = select(subjects.c.domain).where(subjects.c.member == row.id, subjects.c.domain.in_(sorted(theirs)))
        if (await connection.execute(within.limit(1))).first() is None:
            row = None
    if row is None:
        raise ActionFailed(f"there is no member {params.member or params.id!r}: see `member find`")
    return row


async def _cards(connection: AsyncConnection, member: bytes) -> list[MemberCard]:
    held = (await cards_of_members(connection, [member])).get(member, [])
    query = select(cards.c.id, cards.c.why).where(cards.c.member == member)
    why = {row.id: row.why for row in await connection.execute(query)}
    return [
        MemberCard(
            card=card.id.hex(),
            number=card.number,
            state=card.state.name.lower(),
            from_ms=card.from_ms,
            until_ms=card.until_ms,
            bound_ms=card.bound_ms,
            why=why.get(card.id, ""),
        )
        for card in held
    ]


async def _classes(connection: AsyncConnection, member: bytes) -> list[MemberClass]:
    c = member_classes.c
    query = select(c.name, c.from_ms, c.until_ms).where(c.member == member).order_by(c.name, c.from_ms)
    return [MemberClass(*row) for row in await connection.execute(query)]


async def _domains(context: Context, connection: AsyncConnection, member: bytes) -> list[MemberDomain]:
    theirs = await domains_of(connection, context.scope)
    told = flags_told.subquery()
    s, f = subjects.c, told.c
    query = select(s.domain, names.c.name).outerjoin(names, (names.c.domain == s.domain) & (names.c.member == s.member))
    rows = (await connection.execute(query.where(s.member == member).order_by(s.domain))).all()
    flags: dict[str, list[MemberFlagHeld]] = {}
    held = select(f.domain, f.flag, f.until_ms).where(f.member == member).order_by(f.flag)
    for domain, flag, until_ms in await connection.execute(held):
        flags.setdefault(domain, []).append(MemberFlagHeld(flag, until_ms))
    return [
        MemberDomain(domain, shown or "", flags.get(domain, []))
        for domain, shown in rows
        if theirs is None or domain in theirs
    ]


async def _libraries(context: Context, connection: AsyncConnection, member: bytes) -> list[MemberLibrary]:
    theirs = await domains_of(connection, context.scope)
    p, w = library_patrons.c, libraries.c
    query = select(w.id, w.domain, p.standing, w.class_name, p.checked_ms).join(libraries, w.id == p.library)
    rows = await connection.execute(query.where(p.member == member).order_by(w.id))
    return [MemberLibrary(*row) for row in rows if theirs is None or row.domain in theirs]
