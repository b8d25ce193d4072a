"""What members agree to and take back, at a counter, a kiosk, or by a list of signed forms."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.named import members_by_reference, subjects_within
from central.actions.dates import start_ms
from central.actions.places.places import must_exist
from central.actions.privacy.purposes import PurposeId, known
from central.actions.table_file import Cells, TableFile
from central.actions.table_rows import REFUSED, RowSaid, TableDone, TableParams, TableRun
from central.privacy.consent import GIVEN, WITHDRAWN, Said, newest_ms, standing, state_consents
from central.privacy.notices import newest_versions
from central.privacy.publishing import publish_consents
from central.store.schema import consents, domains
from protocol.time_zones import CITY

Reference = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Why = Annotated[str, msgspec.Meta(max_length=500)]
CHANGED, UNCHANGED = "changed", "unchanged"
SAYS = {"yes": GIVEN, "given": GIVEN, "同意": GIVEN, "no": WITHDRAWN, "withdrawn": WITHDRAWN, "不同意": WITHDRAWN}


class ConsentParams(Params, frozen=True, kw_only=True):
    """`notice`: the version that the member was told; 0 = the newest one."""

    member: Reference
    purpose: PurposeId
    notice: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    how: Literal["counter", "kiosk"] = "counter"
    why: Why = ""
    who: str = ""


class ConsentSaid(Result, frozen=True):
    """What holds from now on, and whether that is new."""

    member: str
    purpose: str
    state: str
    changed: bool


class MemberConsentsParams(Params, frozen=True):
    """Whose."""

    member: Reference


class ConsentStatement(msgspec.Struct, frozen=True, kw_only=True):
    """One statement; `holds`: it is the last one of its purpose."""

    purpose: str
    state: str
    notice: int
    at_ms: int
    known_ms: int
    how: str
    who: str
    why: str
    holds: bool


class ConsentsListed(Result, frozen=True):
    """Of a member, the newest first."""

    member: str
    consents: list[ConsentStatement]


class ImportParams(TableParams, frozen=True, kw_only=True):
    """A table of member, answer (yes or no) and date (local, when it was signed; empty = now), of one purpose."""

    purpose: PurposeId
    notice: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    why: Why = ""


@action("consent.give", ConsentParams, writes=True)
async def consent_give(context: Context, params: ConsentParams) -> ConsentSaid:
    """The member was told and agreed. What hangs on it is at connected gates at once."""
    return await _say(context, params, GIVEN)


@action("consent.withdraw", ConsentParams, writes=True)
async def consent_withdraw(context: Context, params: ConsentParams) -> ConsentSaid:
    """The member takes it back, or refuses: connected gates hear of it as of a block."""
    return await _say(context, params, WITHDRAWN)


async def _say(context: Context, params: ConsentParams, state: str) -> ConsentSaid:
    async with context.database.write() as connection:
        member = (await members_by_reference(connection, [params.member])).get(params.member)
        if member is None:
            raise ActionFailed(f"there is no member {params.member!r}: see `member find`")
        notice = await _notice(connection, params.purpose, params.notice, state)
        said = Said(member, params.purpose, state, notice, context.now_ms, params.how, params.who, params.why)
        changed = await state_consents(connection, [said], context.now_ms)
        await publish_consents(connection, context.keys, changed, context.now_ms)
    return ConsentSaid(member=params.member, purpose=params.purpose, state=state, changed=bool(changed))


async def _notice(connection: AsyncConnection, purpose: str, version: int, state: str) -> int:
    """Which notice was told. Nobody agrees to what they were not told; anybody may refuse."""
    if known(purpose).consent == "never":
        raise ActionFailed(f"{purpose} rests on another basis than consent: see `purpose list`")
    newest = (await newest_versions(connection)).get(purpose, 0)
    if version > newest:
        raise ActionFailed(f"notice: {purpose} has versions up to {newest}")
    if state == GIVEN and not newest:
        raise ActionFailed(f"nobody can agree to {purpose} before there is a notice: `notice put {purpose}`")
    return version or newest


@action("consent.list", MemberConsentsParams, writes=False)
async def consent_list(context: Context, params: MemberConsentsParams) -> ConsentsListed:
    """Everything that the member said of any purpose."""
    async with context.database.read() as connection:
        member = (await members_by_reference(connection, [params.member])).get(params.member)
        if member is None:
            raise ActionFailed(f"there is no member {params.member!r}: see `member find`")
        c = consents.c
        query = select(consents).where(c.member == member).order_by(c.known_ms.desc(), c.place.desc())
        rows = (await connection.execute(query)).all()
    last: set[str] = set()
    found = []
    for row in rows:
        told = {name: getattr(row, name) for name in ConsentStatement.__struct_fields__ if name != "holds"}
        found.append(ConsentStatement(**told, holds=row.purpose not in last))
        last.add(row.purpose)
    return ConsentsListed(member=params.member, consents=found)


@action("consent.import", ImportParams, writes=True)
async def consent_import(context: Context, params: ImportParams) -> TableDone:
    """Plan, and with `apply` write, a list of signed forms; each block of rows is at the gates once it is written."""
    async with context.database.read() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        notice = await _notice(connection, params.purpose, params.notice, GIVEN)
    file = TableFile(context.attached(), ("member", "answer"), ("date",), params.encoding, params.delimiter)
    run = TableRun(context, params, file, (CHANGED, UNCHANGED))
    seen: set[str] = set()
    async for block in run.blocks():
        await _block(run, params, notice, block, seen)
    return run.done()


async def _block(run: TableRun, params: ImportParams, notice: int, block: Sequence[Cells], seen: set[str]) -> None:
    context, verdicts, said = run.context, list[RowSaid](), list[Said]()
    async with run.transaction() as connection:
        known_members = await members_by_reference(connection, [cells[0] for _, cells, _ in block])
        within = await subjects_within(connection, params.domain, known_members.values())
        held = await standing(connection, within, [params.purpose])
        newest = await newest_ms(connection, within, params.purpose)
        for number, cells, _ in block:
            try:
                one = _said(cells, known_members, within, params, notice, context.now_ms, seen)
                _must_not_be_older(one, newest)
            except ValueError as error:
                verdicts.append(RowSaid(number, REFUSED, str(error)))
                continue
            is_new = held.get((one.member, one.purpose)) != one.state
            verdicts.append(RowSaid(number, CHANGED if is_new else UNCHANGED))
            said.append(one)
        if params.apply and said:
            changed = await state_consents(connection, said, context.now_ms)
            await publish_consents(connection, context.keys, changed, context.now_ms)
    await run.say(verdicts)


def _must_not_be_older(one: Said, newest: Mapping[bytes, int]) -> None:
    """A form that was signed before the member said something else, and lay about since. Raises ValueError."""
    if one.at_ms < newest.get(one.member, -1):
        raise ValueError("date: the member said something newer since, which holds")


def _said(
    cells: Sequence[str],
    known_members: dict[str, bytes],
    within: dict[bytes, bytes],
    params: ImportParams,
    notice: int,
    now_ms: int,
    seen: set[str],
) -> Said:
    """Raises ValueError, which names the column."""
    reference, answer, date = cells
    member = known_members.get(reference)
    if member is None or member not in within:
        raise ValueError(f"member: not in {params.domain}" if member else "member: not known here")
    if reference in seen:
        raise ValueError("member: stands in the list twice; which of the two holds?")
    state = SAYS.get(answer.lower())
    if state is None:
        raise ValueError(f"answer: {answer[:20]!r} is neither yes nor no")
    try:
        at_ms = start_ms(date, CITY) or now_ms
    except ValueError as error:
        raise ValueError(f"date: {error}") from None
    if at_ms > now_ms:
        raise ValueError(f"date: {date} is still to come")
    seen.add(reference)
    return Said(member, params.purpose, state, notice, at_ms, "list", params.who, params.why)
