"""Cards and members: seals open, indexes match, and the lists say of them what the tables say."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.cards.member_index import name_rows
from central.actions.cards.named import cards_by_index
from central.actions.cards.statements import read_statements
from central.actions.custody.findings import Findings
from central.people.bindings import NOBODY, timeline
from central.people.search_keys import number_form
from central.store.schema import (
    card_bindings,
    cards,
    member_class_history,
    member_classes,
    member_name_keys,
    member_numbers,
    members,
)
from protocol.allowlist import CardState
from protocol.errors import Refused

ROWS_AT_ONCE = 1_000
_STATES = frozenset(int(state) for state in CardState)


async def check(findings: Findings, connection: AsyncConnection) -> None:
    """Every card, every sealed name, and that what was stated of cards and classes leads to what is held."""
    await _cards(findings, connection)
    await _names(findings, connection)
    await _numbers(findings, connection)
    await _statements(findings, connection)
    await _classes(findings, connection)


async def _cards(findings: Findings, connection: AsyncConnection) -> None:
    keys = findings.context.keys
    total, done = (await connection.execute(select(func.count()).select_from(cards))).scalar_one(), 0
    query = select(cards.c.id, cards.c.uid_index, cards.c.uid_sealed, cards.c.state)
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for rows in result.partitions(ROWS_AT_ONCE):
        for row in rows:
            where = f"card {row.id.hex()}"
            try:
                if keys.uid_index(keys.open_uid(row.uid_sealed, row.id)) != row.uid_index:
                    await findings.problem(where, "its index is not that of its UID")
            except Refused as refused:
                await findings.problem(where, str(refused))
            if row.state not in _STATES:
                await findings.problem(where, f"there is no state {row.state}")
        done += len(rows)
        findings.count("cards", len(rows))
        await findings.context.progress("cards", done, total)


async def _statements(findings: Findings, connection: AsyncConnection) -> None:
    """Of a card of which something was stated, the last word says whose it is."""
    c = card_bindings.c
    query = select(c.uid_index).distinct().order_by(c.uid_index)
    result = await connection.stream_scalars(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for indexes in result.partitions(ROWS_AT_ONCE):
        stated = await read_statements(connection, indexes)
        held = await cards_by_index(connection, indexes)
        for index, statements in stated.items():
            said, card = timeline(statements)[-1].bound, held.get(index)
            owner = (card.member, card.number) if card is not None else (NOBODY, said.number)
            if owner != (said.member, said.number):
                where = f"card {card.id.hex()}" if card is not None else f"member {said.member.hex()}"
                await findings.problem(where, "the card is another's than was stated last")
        findings.count("cards with a history", len(stated))


async def _classes(findings: Findings, connection: AsyncConnection) -> None:
    """What the history says is known now, is held."""
    h, m = member_class_history.c, member_classes.c
    same = (m.member == h.member) & (m.name == h.name) & (m.from_ms == h.from_ms) & (m.until_ms == h.until_ms)
    query = select(h.member, h.name).outerjoin(member_classes, same).where(h.until_known_ms == 0, m.member.is_(None))
    for member, name in await connection.execute(query):
        await findings.problem(f"member {member.hex()}", f"class {name}: held otherwise than the history knows it")


async def _names(findings: Findings, connection: AsyncConnection) -> None:
    """Every sealed name opens, and its member is found by it and by no other."""
    keys, k = findings.context.keys, member_name_keys.c
    query = select(members.c.id, members.c.name_sealed).where(members.c.name_sealed.is_not(None))
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for rows in result.partitions(ROWS_AT_ONCE):
        findings.count("names", len(rows))
        ids = [row.id for row in rows]
        indexed: dict[bytes, set[bytes]] = {}
        for key, member in await connection.execute(select(k.key, k.member).where(k.member.in_(ids))):
            indexed.setdefault(member, set()).add(key)
        for row in rows:
            where = f"member {row.id.hex()}"
            try:
                wanted = {key for key, _ in name_rows(keys, row.id, keys.open_name(row.name_sealed, row.id))}
            except (Refused, UnicodeDecodeError):
                await findings.problem(where, "the sealed name was altered")
                continue
            if indexed.get(row.id, set()) != wanted:
                await findings.problem(where, "the name is not what the member is found by: run `member reindex`")


async def _numbers(findings: Findings, connection: AsyncConnection) -> None:
    """Every sealed number opens, and is what its member is found by."""
    keys = findings.context.keys
    result = await connection.stream(select(member_numbers).execution_options(yield_per=ROWS_AT_ONCE))
    async for row in result:
        findings.count("member numbers")
        where = f"member {row.member.hex()}"
        try:
            number = keys.open_number(row.sealed, row.kind, row.member)
        except (Refused, UnicodeDecodeError):
            await findings.problem(where, f"the sealed {row.kind} was altered")
            continue
        if keys.number_key(row.kind, number_form(number)) != row.key:
            await findings.problem(where, f"its {row.kind} is not what it is found by")
