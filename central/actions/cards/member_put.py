"""Registering a member at a counter, and what is written of one: name, numbers, domain, classes."""

import secrets
from typing import Annotated, Literal

import msgspec
from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.class_store import Stated, held_classes, put_classes
from central.actions.cards.day_members import is_day_member
from central.actions.cards.import_plan import MAX_CLASSES
from central.actions.cards.import_store import new_id
from central.actions.cards.member_index import NumberKind, drop_number, owners_of, put_name_keys, put_number
from central.actions.cards.named import members_by_reference, subjects_within
from central.actions.cards.within import domains_of
from central.actions.places.places import must_exist
from central.actions.places.publishing import publish_members
from central.leaving import come_back
from central.people.class_feed import Change, Classes, Deed, changed
from central.people.search_keys import is_readable, number_form, number_problem
from central.store.schema import domains, members, subjects

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
ClassName = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class PutParams(Params, frozen=True, kw_only=True):
    """A member by the city's reference, and the domain to be in. `name` empty: as it is held. `classes`: given from now
    on, beside those that are held; only admins give any."""

    member: Reference
    domain: str
    name: Annotated[str, msgspec.Meta(max_length=128)] = ""
    classes: Annotated[list[ClassName], msgspec.Meta(max_length=MAX_CLASSES)] = []
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    who: str = ""


class NumberPutParams(Params, frozen=True, kw_only=True):
    """What another system calls the member, in place of what it is held to."""

    member: Reference
    kind: NumberKind
    identifier: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class NumberRemoveParams(Params, frozen=True, kw_only=True):
    """Which of the member's numbers."""

    member: Reference
    kind: NumberKind


class MemberStands(Result, frozen=True):
    """The member, and what became of it."""

    id: str
    member: str
    change: Literal["added", "changed", "unchanged"]


@action("member.put", PutParams, writes=True)
async def member_put(context: Context, params: PutParams) -> MemberStands:
    """A member who was not known is added. Without a class, and without a card, a member opens nothing."""
    _require_writable(context, params)
    async with context.database.write() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        member = (await members_by_reference(connection, [params.member])).get(params.member)
        added = member is None
        if member is None:
            member = new_id()
            values = {"id": member, "reference": params.member, "created_ms": context.now_ms}
            await connection.execute(insert(members).values(values))
        else:
            await _must_be_theirs(context, connection, member, params.member)
        changes = [
            await _name(context, connection, member, params.name),
            await _domain(connection, member, params.domain),
            await _classes(context, connection, member, params),
        ]
        if any(changes):
            await publish_members(context, connection, [member])
    change: Literal["added", "changed", "unchanged"] = "added" if added else "changed" if any(changes) else "unchanged"
    return MemberStands(id=member.hex(), member=params.member, change=change)


@action("member.number.put", NumberPutParams, writes=True)
async def member_number_put(context: Context, params: NumberPutParams) -> MemberStands:
    """The member is found by it from now on. A number that is another member's has to be removed there first."""
    problem = number_problem(params.identifier)
    if problem:
        raise ActionFailed(f"identifier: {problem}")
    form = number_form(params.identifier)
    async with context.database.write() as connection:
        member = await _known(connection, params.member)
        owner = (await owners_of(connection, context.keys, [(params.kind, form)])).get((params.kind, form))
        if owner is not None and owner != params.member:
            raise ActionFailed(f"identifier: this {params.kind} is another member's already: remove it there first")
        await put_number(connection, context.keys, params.kind, params.identifier.strip(), member, context.now_ms)
    return MemberStands(id=member.hex(), member=params.member, change="changed")


@action("member.number.remove", NumberRemoveParams, writes=True)
async def member_number_remove(context: Context, params: NumberRemoveParams) -> MemberStands:
    """The member is not found by it any more; nothing else hangs on it."""
    async with context.database.write() as connection:
        member = await _known(connection, params.member)
        if not await drop_number(connection, params.kind, member):
            raise ActionFailed(f"{params.member} has no {params.kind}: see `member show`")
    return MemberStands(id=member.hex(), member=params.member, change="changed")


def _require_writable(context: Context, params: PutParams) -> None:
    if not is_readable(params.member) or not is_readable(params.name):
        raise ActionFailed("member or name: it has characters that are no letters or signs")
    if is_day_member(params.member) or params.member != params.member.strip():
        raise ActionFailed("member: it begins as those of day cards do, or has spaces at an end: choose another")
    if params.classes and context.scope.venues is not None:
        raise ActionFailed("classes: an admin, or the feed of whoever keeps the register, gives them")


async def _known(connection: AsyncConnection, reference: str) -> bytes:
    member = (await members_by_reference(connection, [reference])).get(reference)
    if member is None:
        raise ActionFailed(f"there is no member {reference!r}: see `member find`")
    return member


async def _must_be_theirs(context: Context, connection: AsyncConnection, member: bytes, reference: str) -> None:
    theirs = await domains_of(connection, context.scope)
    if theirs is None:
        return
    query = select(subjects.c.domain).where(subjects.c.member == member, subjects.c.domain.in_(sorted(theirs)))
    if (await connection.execute(query.limit(1))).first() is None:
        raise ActionFailed(f"member {reference} is of another domain: an admin lets them into yours")


async def _name(context: Context, connection: AsyncConnection, member: bytes, name: str) -> bool:
    if not name:
        return False
    held = (await connection.execute(select(members.c.name_sealed).where(members.c.id == member))).scalar()
    if held and context.keys.open_name(held, member) == name:
        return False
    sealed = context.keys.seal_name(name, member)
    await connection.execute(update(members).where(members.c.id == member).values(name_sealed=sealed))
    await put_name_keys(connection, context.keys, {member: name})
    return True


async def _domain(connection: AsyncConnection, member: bytes, domain: str) -> bool:
    if await subjects_within(connection, domain, [member]):
        return False
    before = await come_back(connection, domain, [member])
    values = {"domain": domain, "member": member, "subject": before.get(member) or secrets.token_bytes(16)}
    await connection.execute(insert(subjects).values(values))
    return True


async def _classes(context: Context, connection: AsyncConnection, member: bytes, params: PutParams) -> bool:
    if not params.classes:
        return False
    held: Classes = (await held_classes(connection, [member])).get(member, {})
    wanted = held
    try:
        for name in params.classes:
            since = context.now_ms if name in held else 0  # what was over goes on from now, not over the gap
            wanted = changed(wanted, Change(Deed.ADD, name, since, 0), context.now_ms)
    except ValueError as error:
        raise ActionFailed(f"classes: {error}") from None
    stated = Stated(params.who, params.why or "registered", context.now_ms)
    return bool(await put_classes(connection, {member: wanted}, stated))
