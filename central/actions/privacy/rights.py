"""What a member may ask for by law: a copy of everything, correction, and who looked."""

from typing import Annotated, Any

import msgspec
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.audit import ASKED, LOOKED, REFUSED
from central.access.looks import came_to_nothing, rows_about
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.class_store import Stated, held_classes, put_classes
from central.actions.cards.day_members import is_day_member
from central.actions.cards.member_index import put_name_keys
from central.actions.cards.named import members_by_reference
from central.actions.places.publishing import publish_members
from central.people.class_feed import Change, Deed, changed
from central.people.search_keys import is_readable
from central.privacy.copying import copy_of
from central.privacy.found import Person, person_of
from central.references import ReferenceCorrected, correct_reference
from central.store.schema import members

WHAT = {LOOKED: "looked", ASKED: "changed", REFUSED: "refused"}

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
ClassName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class MemberParams(Params, frozen=True):
    """Whose."""

    member: Reference


class CopySection(msgspec.Struct, frozen=True, kw_only=True):
    """Every row of one kind, by the names of its columns; times are UTC ms. `purpose`: what it is held for."""

    table: str
    title_zh: str
    title_en: str
    purpose: str
    rows: list[dict[str, Any]]


class MemberCopy(Result, frozen=True):
    """All that is held of a member as of `at_ms`, but for who looked (`member looks`)."""

    member: str
    at_ms: int
    sections: list[CopySection]


class LooksParams(Params, frozen=True, kw_only=True):
    """`before`: the last number of the page before; 0 = from the newest."""

    member: Reference
    before: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = 50


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody looked at, changed or was refused something of the member's. `what`: looked, changed, refused, failed
    (tried, and nothing changed)."""

    number: int
    at_ms: int
    who: str
    origin: str
    action: str
    what: str


class Looks(Result, frozen=True):
    """The newest first. `more`: ask on with `before`, the last number."""

    member: str
    looks: list[Look]
    more: bool


class CorrectParams(Params, frozen=True, kw_only=True):
    """What is wrong and how it is right. `name`: in place of what is held; `without_name`: none is held any more.
    `without_classes`: those that the member is not in any more, from now on. `reference`: the city's own, in place of
    `member`; who looked is told under both."""

    member: Reference
    name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    without_name: bool = False
    without_classes: Annotated[list[ClassName], msgspec.Meta(max_length=16)] = []
    reference: Annotated[str, msgspec.Meta(max_length=128)] = ""
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class Corrected(Result, frozen=True):
    """Whether anything changed."""

    id: str
    member: str
    changed: bool


@action("member.copy", MemberParams, writes=False)
async def member_copy(context: Context, params: MemberParams) -> MemberCopy:
    """Everything that is held, complete and readable, for the member to take away."""
    async with context.database.read() as connection:
        person = await _person(context, connection, params.member)
        sections = [CopySection(**each._asdict()) for each in await copy_of(connection, context.keys, person)]
    return MemberCopy(member=params.member, at_ms=context.now_ms, sections=sections)


@action("member.looks", LooksParams, writes=False)
async def member_looks(context: Context, params: LooksParams) -> Looks:
    """Who looked at the member's data, changed it or was refused it, as far as it was asked for by the member."""
    async with context.database.read() as connection:
        person = await _person(context, connection, params.member)
        ids = [person.id, *person.cards]
        rows, more = await rows_about(connection, person.references, ids, WHAT, params.before or None, params.limit)
        failed = await came_to_nothing(connection, rows)
    looks = [
        Look(
            number=row.number,
            at_ms=row.at_ms,
            who=row.who,
            origin=row.origin,
            action=row.action,
            what="failed" if row.number in failed else WHAT[row.phase],
        )
        for row in rows
    ]
    return Looks(member=params.member, looks=looks, more=more)


@action("member.correct", CorrectParams, writes=True)
async def member_correct(context: Context, params: CorrectParams) -> Corrected:
    """Put right what is held of a member: what was known before stays known as what was known then."""
    if params.name and (params.without_name or not is_readable(params.name)):
        raise ActionFailed("name: another one or none, of letters and signs")
    if not (params.name or params.without_name or params.without_classes or params.reference):
        raise ActionFailed("state what is to be put right: a name, classes that ended, or the reference")
    async with context.database.write() as connection:
        member = (await members_by_reference(connection, [params.member])).get(params.member)
        if member is None:
            raise ActionFailed(f"there is no member {params.member!r}: see `member find`")
        done = [
            await _rename(context, connection, member, params),
            await _end_classes(context, connection, member, params),
            await _refer(context, connection, member, params),
        ]
    return Corrected(id=member.hex(), member=params.reference or params.member, changed=any(done))


async def _rename(context: Context, connection: AsyncConnection, member: bytes, params: CorrectParams) -> bool:
    if not params.name and not params.without_name:
        return False
    sealed = context.keys.seal_name(params.name, member) if params.name else None
    await connection.execute(update(members).where(members.c.id == member).values(name_sealed=sealed))
    await put_name_keys(connection, context.keys, {member: params.name})
    return True


async def _end_classes(context: Context, connection: AsyncConnection, member: bytes, params: CorrectParams) -> bool:
    held = (await held_classes(connection, [member])).get(member, {})
    after = held
    try:
        for name in params.without_classes:
            after = changed(after, Change(Deed.END, name, 0, context.now_ms), context.now_ms)
    except ValueError as error:
        raise ActionFailed(str(error)) from None
    if after == held:
        return False
    stated = Stated(params.who, params.why or "a correction", context.now_ms)
    await publish_members(context, connection, await put_classes(connection, {member: after}, stated))
    return True


async def _refer(context: Context, connection: AsyncConnection, member: bytes, params: CorrectParams) -> bool:
    if params.reference in ("", params.member):
        return False
    if not is_readable(params.reference):
        raise ActionFailed("member or name: it has characters that are no letters or signs")
    is_of_day = is_day_member(params.reference) or is_day_member(params.member)
    if is_of_day or params.reference != params.reference.strip():
        raise ActionFailed("member: it begins as those of day cards do, or has spaces at an end: choose another")
    if await members_by_reference(connection, [params.reference]):
        raise ActionFailed(f"there is a member {params.reference!r} already: put that one's reference right first")
    corrected = ReferenceCorrected(before=params.member, after=params.reference, why=params.why)
    await correct_reference(connection, member, corrected, params.who, context.now_ms)
    return True


async def _person(context: Context, connection: AsyncConnection, reference: str) -> Person:
    member = (await members_by_reference(connection, [reference])).get(reference)
    person = await person_of(connection, context.keys, member) if member is not None else None
    if person is None:
        raise ActionFailed(f"there is no member {reference!r}: see `member find`")
    return person
