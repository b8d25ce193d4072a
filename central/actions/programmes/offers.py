"""Offers of partner shops, by class and date: a counter asks for a class on a day and says nothing of who it is."""

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, delete, insert, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.dates import parse_date
from central.actions.list_keys import After, key_of, parts_of
from central.actions.table_file import Cells, TableFile
from central.actions.table_rows import REFUSED, RowSaid, TableDone, TableParams, TableRun
from central.store.schema import offers, venues
from central.store.slices import slices

COLUMNS = ("id", "partner", "title_zh", "title_en", "class", "from", "until")
ANYBODY = ""
MOST = 10_000
ADDED, CHANGED, UNCHANGED = "added", "changed", "unchanged"


class OfferImportParams(TableParams, frozen=True):
    """A table of offers, of the whole city. With `full`, offers that it does not name are withdrawn."""

    domain: str = ""
    full: bool = False


class OfferListParams(Params, frozen=True):
    """For whom: classes of one card; none named = every offer. `on`: a local date; empty = today. `after`: `next` of
    the page before."""

    on: Annotated[str, msgspec.Meta(max_length=10)] = ""
    classes: Annotated[list[Annotated[str, msgspec.Meta(max_length=64)]], msgspec.Meta(max_length=16)] = []
    after: After = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = MOST


class OfferImported(TableDone, frozen=True):
    """And how many offers that are not named were withdrawn, or would be."""

    withdrawn: int


class OfferShown(msgspec.Struct, frozen=True):
    """One offer. `classes` none = anybody's; `last_day` included; an empty day = open."""

    id: str
    partner: str
    title_zh: str
    title_en: str
    classes: list[str]
    first_day: str
    last_day: str


class OffersListed(Result, frozen=True):
    """By partner and id. `more`: others are behind `next`."""

    offers: list[OfferShown]
    more: bool = False
    next: str = ""


class _Offer(NamedTuple):
    id: str
    partner: str
    title_zh: str
    title_en: str
    first_day: str
    last_day: str
    classes: tuple[str, ...]


@action("offer.import", OfferImportParams, writes=True)
async def offer_import(context: Context, params: OfferImportParams) -> OfferImported:
    """Plan, and with `apply` write, what a table says of each offer that it names."""
    file = TableFile(context.attached(), COLUMNS, (), params.encoding, params.delimiter)
    run = TableRun(context, params, file, (ADDED, CHANGED, UNCHANGED))
    seen: dict[str, int] = {}
    async for block in run.blocks():
        await _block(run, block, seen)
    if params.full and params.apply and run.verdicts[REFUSED]:
        raise ActionFailed(
            f"{run.verdicts[REFUSED]} rows could not be applied, so what is not named is not known: the others are"
            " written, nothing is withdrawn; mend the rows, or leave out --full"
        )
    withdrawn = await _withdraw(run, seen) if params.full else 0
    done = run.done()
    return OfferImported(
        rows=done.rows, verdicts=done.verdicts, applied=done.applied, encoding=done.encoding, withdrawn=withdrawn
    )


async def _block(run: TableRun, block: Sequence[Cells], seen: dict[str, int]) -> None:
    said: list[RowSaid] = []
    async with run.transaction() as connection:
        held = await _held(connection, [cells[0] for _, cells, _ in block])
        changed: list[_Offer] = []
        for number, cells, _ in block:
            try:
                offer = _offer(cells)
                if offer.id in seen:
                    raise ValueError(f"id: the same as in row {seen[offer.id]}")
            except ValueError as error:
                said.append(RowSaid(number, REFUSED, str(error)))
                continue
            seen[offer.id] = number
            before = held.get(offer.id)
            said.append(RowSaid(number, ADDED if before is None else UNCHANGED if before == offer else CHANGED))
            if before != offer:
                changed.append(offer)
        if changed and run.params.apply:
            await _write(connection, changed)
    await run.say(said)


def _offer(cells: Sequence[str]) -> _Offer:
    id_, partner, title_zh, title_en, classes, since, until = cells
    for column, text, most in (("id", id_, 64), ("partner", partner, 500), ("title_zh", title_zh, 500)):
        if not 0 < len(text) <= most:
            raise ValueError(f"{column}: {len(text)} characters, 1 to {most} allowed")
    if len(title_en) > 500:
        raise ValueError(f"title_en: {len(title_en)} characters, 500 allowed")
    names = tuple(sorted({name.strip() for name in classes.split("|")} - {""}))
    if any(len(name) > 64 for name in names):
        raise ValueError("class: more than 64 characters")
    first, last = _day("from", since), _day("until", until)
    if first and last and last < first:
        raise ValueError(f"until: {until} is before from {since}")
    return _Offer(id_, partner, title_zh, title_en, first, last, names)


def _day(column: str, text: str) -> str:
    try:
        return parse_date(text).isoformat() if text else ""
    except ValueError as error:
        raise ValueError(f"{column}: {error}") from None


async def _held(connection: AsyncConnection, ids: Sequence[str]) -> dict[str, _Offer]:
    return {each.id: each for each in await _read(connection, offers.c.id.in_(ids))}


async def _read(connection: AsyncConnection, condition: ColumnElement[bool]) -> list[_Offer]:
    query = select(offers).order_by(offers.c.partner, offers.c.id, offers.c.class_name)
    found: dict[str, _Offer] = {}
    for row in await connection.execute(query.where(condition)):
        before = found.get(row.id)
        names = (*(before.classes if before else ()), *((row.class_name,) if row.class_name else ()))
        found[row.id] = _Offer(row.id, row.partner, row.title_zh, row.title_en, row.first_day, row.last_day, names)
    return list(found.values())


async def _write(connection: AsyncConnection, changed: Sequence[_Offer]) -> None:
    await connection.execute(delete(offers).where(offers.c.id.in_([offer.id for offer in changed])))
    rows = [{**offer._asdict(), "class_name": name} for offer in changed for name in (offer.classes or (ANYBODY,))]
    for row in rows:
        del row["classes"]
    await connection.execute(insert(offers), rows)


async def _withdraw(run: TableRun, seen: dict[str, int]) -> int:
    async with run.transaction() as connection:
        every = (await connection.execute(select(offers.c.id).distinct())).scalars().all()
        gone = sorted(set(every) - seen.keys())
        for some in slices(gone) if run.params.apply else ():
            await connection.execute(delete(offers).where(offers.c.id.in_(some)))
    return len(gone)


@action("offer.list", OfferListParams, writes=False)
async def offer_list(context: Context, params: OfferListParams) -> OffersListed:
    """Which offers are good on a day for somebody who is in these classes. Nobody is named, nothing is kept of it."""
    async with context.database.read() as connection:
        day = _stated(params.on) if params.on else await _today(connection, context.now_ms)
        condition = _good_on(day)
        if params.after:
            condition &= tuple_(offers.c.partner, offers.c.id) > parts_of(params.after, tuple[str, str])
        found = await _read(connection, condition)
    meant = set(params.classes)
    good = [each for each in found if not meant or not each.classes or meant & set(each.classes)]
    more, good = len(good) > params.limit, good[: params.limit]
    listed = [OfferShown(*each[:4], list(each.classes), each.first_day, each.last_day) for each in good]
    return OffersListed(offers=listed, more=more, next=key_of(good[-1].partner, good[-1].id) if more else "")


def _stated(on: str) -> dt.date:
    try:
        return parse_date(on)
    except ValueError as error:
        raise ActionFailed(f"on: {error}") from None


async def _today(connection: AsyncConnection, now_ms: int) -> dt.date:
    zones = (await connection.execute(select(venues.c.time_zone).distinct())).scalars().all()
    days = {dt.datetime.fromtimestamp(now_ms / 1_000, ZoneInfo(zone)).date() for zone in zones}
    if len(days) != 1:
        raise ActionFailed("on: it is not the same day at all venues (or there is none): state the day")
    return days.pop()


def _good_on(day: dt.date) -> ColumnElement[bool]:
    c, text = offers.c, day.isoformat()  # ISO dates are in order as texts
    return (c.first_day <= text) & or_(c.last_day == "", c.last_day >= text)
