"""Names for screens, of members who agreed: a table in, masked at once, published to the gates that show them."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import msgspec
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.places import must_exist
from central.actions.table_file import TableFile
from central.configs import read_configs
from central.masking import masked
from central.shared_parts import put_names
from central.store.schema import domains, gates, members, names, subjects, venues
from central.store.slices import slices
from protocol.configuration import MAX_NAMES

COLUMNS = ("member", "name", "agreed")
YES, NO = frozenset({"yes", "y", "true", "1", "是", "同意"}), frozenset({"no", "n", "false", "0", "否", "不同意"})
MAX_ROWS = 3 * MAX_NAMES
"""Held in memory at once; whoever is not named is as who did not agree, so no city needs more."""
ROWS_AT_ONCE = 500
"""Rows between two turns of the event loop."""
SHOWN_PROBLEMS = 50


class NameVerdict(StrEnum):
    """What becomes of a row."""

    ADDED = "added"
    CHANGED = "changed"
    UNCHANGED = "unchanged"
    REMOVED = "removed"
    REFUSED = "refused"


class CardNamesParams(Params, frozen=True):
    """`file` is attached. Without `apply` nothing is written."""

    domain: str
    encoding: str = ""
    delimiter: str = ""
    apply: bool = False
    report: bool = False
    """Hand out the verdict of every row, not only of the first that are refused."""


class NameRow(msgspec.Struct, frozen=True):
    """What is said of a row. `shown`: what screens will show; the name itself stands nowhere."""

    row: int
    verdict: NameVerdict
    why: str = ""
    shown: str = ""


class CardNamesResult(Result, frozen=True):
    """How many rows got which verdict; how many names the domain has then; the gates whose screens show them."""

    rows: int
    verdicts: dict[str, int]
    names: int
    gates: list[str]
    applied: bool
    encoding: str


class Wish(NamedTuple):
    """A row that can be read. `shown` empty = the member did not agree."""

    row: int
    member: str
    shown: str


@action("card.names", CardNamesParams, writes=True)
async def card_names(context: Context, params: CardNamesParams) -> CardNamesResult:
    """Plan, and with `apply` write, what a table says. Who is not in it keeps what is held; `agreed` no removes."""
    wishes, verdicts, encoding = await _read(context, context.attached(), params)
    database = context.database
    async with database.write() if params.apply else database.read() as connection:
        await must_exist(connection, domains, params.domain, "domain")
        found = await _members(connection, params.domain, [wish.member for wish in wishes])
        held = await _held(connection, params.domain, [member for member, _ in found.values()])
        planned = [(wish, *_judge(wish, found, held)) for wish in wishes]
        verdicts += [verdict for _, verdict, _ in planned]
        changed = [(member, wish.shown) for wish, verdict, member in planned if verdict.verdict in WRITTEN]
        total = await _count(connection, params.domain) + _growth(verdicts)
        if total > MAX_NAMES:
            raise ActionFailed(f"{params.domain} would have {total:,} names, {MAX_NAMES:,} are published: list fewer")
        showing = await _showing(connection, params.domain)
        if params.apply and changed:
            await _write(connection, params.domain, changed)
            await put_names(connection, params.domain, context.now_ms)
    await _say(context, verdicts, params.report)
    counts = Counter(verdict.verdict for verdict in verdicts)
    return CardNamesResult(
        rows=len(verdicts),
        verdicts={verdict.value: counts[verdict] for verdict in NameVerdict},
        names=total,
        gates=showing,
        applied=params.apply,
        encoding=encoding,
    )


WRITTEN = (NameVerdict.ADDED, NameVerdict.CHANGED, NameVerdict.REMOVED)


# --- reading ----------------------------------------------------------------------------------------------------


async def _read(context: Context, path: Path, params: CardNamesParams) -> tuple[list[Wish], list[NameRow], str]:
    """The rows that can be read, each member once, and the verdicts on all others."""
    file = TableFile(path, COLUMNS, (), params.encoding, params.delimiter)
    first: dict[str, Wish] = {}
    again: list[Wish] = []
    verdicts: list[NameRow] = []
    for number, cells, problem in file.cells():
        if number > MAX_ROWS + 1:
            raise ActionFailed(f"{path.name} has more than {MAX_ROWS:,} rows: name those alone who agreed or withdrew")
        if number % ROWS_AT_ONCE == 0:
            await asyncio.sleep(0)
            await context.progress("reading names", file.offset, file.size)
        try:
            wish = _wish(file, number, cells, problem)
        except ValueError as error:
            verdicts.append(NameRow(number, NameVerdict.REFUSED, str(error)))
            continue
        if first.setdefault(wish.member, wish) is not wish:
            again.append(wish)
    doubtful = {wish.member: wish.row for wish in again if wish.shown != first[wish.member].shown}
    for wish in again:
        verdict = NameVerdict.REFUSED if wish.member in doubtful else NameVerdict.UNCHANGED
        verdicts.append(NameRow(wish.row, verdict, f"speaks of the same member as row {first[wish.member].row}"))
    for member, row in doubtful.items():
        verdicts.append(NameRow(first.pop(member).row, NameVerdict.REFUSED, f"row {row} contradicts it"))
    return list(first.values()), verdicts, file.encoding_name


def _wish(file: TableFile, number: int, cells: list[str], problem: str) -> Wish:
    """Raises ValueError, which names the column and never quotes a name."""
    if problem:
        raise ValueError(problem)
    for column, text in zip(COLUMNS, cells, strict=True):
        wrong = file.character_problem(text)
        if wrong:
            raise ValueError(f"{column}: {wrong}")
    member, name, agreed = cells
    if not member or len(member) > 128:
        raise ValueError(f"member: {len(member)} characters, 1 to 128 allowed")
    if agreed.lower() not in YES | NO:
        raise ValueError("agreed: neither yes nor no (是, 否)")
    if agreed.lower() in NO:
        return Wish(number, member, "")
    try:
        return Wish(number, member, masked(name))
    except ValueError as error:
        raise ValueError(f"name: {error}") from None


# --- against what is held ---------------------------------------------------------------------------------------


def _judge(wish: Wish, found: Mapping[str, tuple[bytes, bool]], held: Mapping[bytes, str]) -> tuple[NameRow, bytes]:
    member, within = found.get(wish.member, (b"", False))
    if not within:
        return NameRow(wish.row, NameVerdict.REFUSED, "member: not in this domain; import the member's card first"), b""
    before = held.get(member, "")
    if before == wish.shown:
        return NameRow(wish.row, NameVerdict.UNCHANGED, shown=wish.shown), member
    if not wish.shown:
        return NameRow(wish.row, NameVerdict.REMOVED), member
    return NameRow(wish.row, NameVerdict.CHANGED if before else NameVerdict.ADDED, shown=wish.shown), member


def _growth(verdicts: Iterable[NameRow]) -> int:
    counts = Counter(verdict.verdict for verdict in verdicts)
    return counts[NameVerdict.ADDED] - counts[NameVerdict.REMOVED]


async def _members(connection: AsyncConnection, domain: str, references: list[str]) -> dict[str, tuple[bytes, bool]]:
    """By reference: the member's id, and whether the member is in the domain."""
    found: dict[str, tuple[bytes, bool]] = {}
    within = (subjects.c.member == members.c.id) & (subjects.c.domain == domain)
    for some in slices(references):
        query = select(members.c.reference, members.c.id, subjects.c.subject).outerjoin(subjects, within)
        for reference, member, subject in await connection.execute(query.where(members.c.reference.in_(some))):
            found[reference] = member, subject is not None
    return found


async def _held(connection: AsyncConnection, domain: str, ids: list[bytes]) -> dict[bytes, str]:
    found: dict[bytes, str] = {}
    for some in slices(ids):
        query = select(names.c.member, names.c.name).where(names.c.domain == domain, names.c.member.in_(some))
        found.update((member, name) for member, name in await connection.execute(query))
    return found


async def _count(connection: AsyncConnection, domain: str) -> int:
    query = select(func.count()).select_from(names).where(names.c.domain == domain)
    return int((await connection.execute(query)).scalar_one())


async def _showing(connection: AsyncConnection, domain: str) -> list[str]:
    query = select(gates.c.id).join(venues, venues.c.id == gates.c.venue).where(venues.c.domain == domain)
    configs = await read_configs(connection, (await connection.execute(query)).scalars().all())
    return sorted(gate for gate, held in configs.items() if held.config.screen.names)


async def _write(connection: AsyncConnection, domain: str, changed: list[tuple[bytes, str]]) -> None:
    for some in slices([member for member, _ in changed]):
        await connection.execute(delete(names).where(names.c.domain == domain, names.c.member.in_(some)))
    rows = [{"domain": domain, "member": member, "name": shown} for member, shown in changed if shown]
    if rows:
        await connection.execute(insert(names), rows)


async def _say(context: Context, verdicts: list[NameRow], every: bool) -> None:
    verdicts.sort(key=lambda verdict: verdict.row)
    told = verdicts if every else [v for v in verdicts if v.verdict is NameVerdict.REFUSED][:SHOWN_PROBLEMS]
    for at in range(0, len(told), 10_000):
        await context.emit(told[at : at + 10_000])
