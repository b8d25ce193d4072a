"""Notices for members at gates, set by hand or by the nightly table of the system that knows (a library's)."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.import_store import zone_of
from central.actions.cards.named import cards_by_index, known_card, members_by_reference, readings_of, subjects_within
from central.actions.dates import end_ms
from central.actions.places.places import must_exist
from central.actions.table_file import Cells, TableFile
from central.actions.table_rows import BLOCK_ROWS, REFUSED, RowSaid, TableDone, TableParams, TableRun
from central.flags import FLAGS, Held, held_flags, lapse_flags, set_flags
from central.store.schema import domains, member_flags
from protocol.uid import CardUID

CHANGED, UNCHANGED = "changed", "unchanged"


class FlagsParams(TableParams, frozen=True):
    """A table of members and their flags. With `full`, members whom it does not name have none."""

    notation: Literal["detect", "hex", "hex-reversed", "decimal", "decimal-reversed"] = "detect"
    time_zone: str = ""
    full: bool = False


class FlagParams(Params, frozen=True):
    """Flags of one member to set and to clear; `until` is a local date, the last day."""

    member: str
    domain: str
    set: list[str] = []
    clear: list[str] = []
    until: str = ""


class FlagsDone(TableDone, frozen=True):
    """And how many members who are not named lost flags, or would lose them."""

    cleared: int


class MemberFlag(msgspec.Struct, frozen=True):
    """One flag. `until_ms` 0 = until it is cleared."""

    flag: str
    until_ms: int


class MemberFlags(Result, frozen=True):
    """All flags of a member in a domain."""

    member: str
    domain: str
    flags: list[MemberFlag]


class _Wish(NamedTuple):
    row: int
    readings: list[CardUID]
    """Empty: the row names the member."""
    member: str
    flags: Held


@action("card.flag", FlagParams, writes=True)
async def card_flag(context: Context, params: FlagParams) -> MemberFlags:
    """Connected gates hear of it at once. With nothing to set and to clear: what is set."""
    async with context.database.write() as connection:
        zone = await zone_of(connection, params.domain, "")
        try:
            _require_known([*params.set, *params.clear])
            until_ms = _until_ms(params.until, zone, context.now_ms)
        except ValueError as error:
            raise ActionFailed(str(error)) from None
        member = (await members_by_reference(connection, [params.member])).get(params.member, b"")
        if not await subjects_within(connection, params.domain, [member]):
            raise ActionFailed(f"{params.member} is not in {params.domain}: import the member's card first")
        before = (await held_flags(connection, params.domain, [member])).get(member, {})
        after = dict(before)
        after |= dict.fromkeys(params.set, until_ms)
        for flag in params.clear:
            after.pop(flag, None)
        if after != before:
            await set_flags(connection, context.keys, params.domain, {member: after}, context.now_ms)
    said = [MemberFlag(flag, until_ms) for flag, until_ms in sorted(after.items())]
    return MemberFlags(member=params.member, domain=params.domain, flags=said)


@action("card.flags", FlagsParams, writes=True)
async def card_flags(context: Context, params: FlagsParams) -> FlagsDone:
    """Plan, and with `apply` write, what a table says; each block of rows is at the gates as soon as it is written."""
    async with context.database.read() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        zone = await zone_of(connection, params.domain, params.time_zone)
    file = TableFile(context.attached(), ("flags",), ("uid", "member", "until"), params.encoding, params.delimiter)
    if file.has("uid") == file.has("member"):
        raise ActionFailed("row 1: the header must name uid or member, one of the two")
    run = TableRun(context, params, file, (CHANGED, UNCHANGED))
    seen: dict[bytes, tuple[int, Held]] = {}
    async for block in run.blocks():
        await _block(run, params, zone, block, seen)
    refused = run.verdicts[REFUSED]
    if params.full and refused and params.apply:
        raise ActionFailed(
            f"{refused} rows could not be applied, so who is not named is not known: the others are written, nobody"
            " who is not named lost a flag; mend the rows, or leave out --full"
        )
    cleared = await _clear_others(context, params, set(seen)) if params.full else 0
    await _lapse(context, params)
    done = run.done()
    return FlagsDone(
        rows=done.rows, verdicts=done.verdicts, applied=done.applied, encoding=done.encoding, cleared=cleared
    )


async def _block(
    run: TableRun, params: FlagsParams, zone: ZoneInfo, block: Sequence[Cells], seen: dict[bytes, tuple[int, Held]]
) -> None:
    context, said, wishes = run.context, list[RowSaid](), list[_Wish]()
    for number, cells, _ in block:
        try:
            wishes.append(_wish(number, cells, params.notation, zone, context.now_ms))
        except ValueError as error:
            said.append(RowSaid(number, REFUSED, str(error)))
    async with run.transaction() as connection:
        meant = await _members(context, connection, wishes)
        within = await subjects_within(
            connection, params.domain, [one for one in meant.values() if isinstance(one, bytes)]
        )
        held = await held_flags(connection, params.domain, within)
        wanted: dict[bytes, Held] = {}
        for wish in wishes:
            member = meant[wish.row]
            if isinstance(member, str):
                said.append(RowSaid(wish.row, REFUSED, member))
            elif member not in within:
                said.append(
                    RowSaid(wish.row, REFUSED, f"member: not in {params.domain}; import the member's card first")
                )
            elif member in seen:
                first, flags = seen[member]
                verdict = UNCHANGED if flags == wish.flags else REFUSED
                said.append(RowSaid(wish.row, verdict, f"speaks of the same member as row {first}"))
            else:
                seen[member] = wish.row, wish.flags
                changed = held.get(member, {}) != wish.flags
                said.append(RowSaid(wish.row, CHANGED if changed else UNCHANGED))
                if changed:
                    wanted[member] = wish.flags
        if wanted and params.apply:
            await set_flags(connection, context.keys, params.domain, wanted, context.now_ms)
    await run.say(sorted(said, key=lambda one: one.row))


async def _members(context: Context, connection: AsyncConnection, wishes: Sequence[_Wish]) -> Mapping[int, bytes | str]:
    """By row: the member's id, or what is wrong."""
    indexes = {context.keys.uid_index(uid) for wish in wishes for uid in wish.readings}
    cards = await cards_by_index(connection, indexes)
    references = await members_by_reference(connection, [wish.member for wish in wishes if wish.member])
    found: dict[int, bytes | str] = {}
    for wish in wishes:
        if wish.member:
            found[wish.row] = references.get(wish.member) or "member: not known here; import the member's card first"
            continue
        try:
            found[wish.row] = known_card(context.keys, wish.readings, cards).member
        except ValueError as error:
            found[wish.row] = str(error)
    return found


def _wish(number: int, cells: Sequence[str], notation: str, zone: ZoneInfo, now_ms: int) -> _Wish:
    """Raises ValueError, which names the column and quotes no UID."""
    flags, uid, member, until = cells
    names = sorted({name.strip() for name in flags.split("|")} - {""})
    _require_known(names)
    until_ms = _until_ms(until, zone, now_ms) if names else 0
    if not uid and not member:
        raise ValueError("names neither a card nor a member")
    readings = readings_of(uid, notation) if uid else []
    return _Wish(number, readings, member, dict.fromkeys(names, until_ms))


def _require_known(names: Sequence[str]) -> None:
    for name in names:
        if name not in FLAGS:
            raise ValueError(f"flags: there is no {name[:20]!r}; known are {', '.join(FLAGS)}")


def _until_ms(text: str, zone: ZoneInfo, now_ms: int) -> int:
    until_ms = end_ms(text, zone)
    if until_ms and until_ms <= now_ms:
        raise ValueError(f"until: {text} is over already")
    return until_ms


async def _clear_others(context: Context, params: FlagsParams, named: set[bytes]) -> int:
    """Members of the domain who have flags and are not named."""
    query = select(member_flags.c.member).where(member_flags.c.domain == params.domain).distinct()
    async with context.database.read() as connection:
        held = (await connection.execute(query)).scalars().all()
    others = sorted(set(held) - named)
    for at in range(0, len(others) if params.apply else 0, BLOCK_ROWS):
        async with context.database.write() as connection:
            wanted: dict[bytes, Held] = {member: {} for member in others[at : at + BLOCK_ROWS]}
            await set_flags(connection, context.keys, params.domain, wanted, context.now_ms)
        await asyncio.sleep(0)
    return len(others)


async def _lapse(context: Context, params: FlagsParams) -> None:
    if params.apply:
        async with context.database.write() as connection:
            await lapse_flags(connection, context.keys, context.now_ms)
