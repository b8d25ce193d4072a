"""What the database holds of cards and members, looked up and written a block at a time."""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count, groupby
from operator import itemgetter
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Table, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed
from central.actions.cards.class_store import Stated, rows_held
from central.actions.cards.class_store import record as record_classes
from central.actions.cards.import_plan import HeldCard, HeldMember, Planned
from central.actions.cards.member_index import name_rows, number_row, numbers_of
from central.actions.cards.statements import cards_now, last_numbers, read_statements, set_state
from central.actions.cards.statements import state as state_cards
from central.actions.places.places import require_zone
from central.keys import Keys
from central.leaving import come_back
from central.people.bindings import Bound, Statement
from central.store.schema import (
    cards,
    domains,
    member_classes,
    member_name_keys,
    member_numbers,
    members,
    subjects,
    venues,
)
from central.store.slices import slices
from protocol.allowlist import CardState
from protocol.time_zones import CITY_ZONE

WHY = "a card import"
"""What the histories of cards and classes say of its changes."""


def new_id() -> bytes:
    """16 bytes: milliseconds, then random. Rows that come together lie together, so millions insert quickly."""
    return (time.time_ns() // 1_000_000).to_bytes(6) + secrets.token_bytes(10)


async def zone_of(connection: AsyncConnection, domain: str, stated: str) -> ZoneInfo:
    """The time zone that a domain's dates are in: the stated one, or that of its venues. Raises ActionFailed."""
    if (await connection.execute(select(domains.c.id).where(domains.c.id == domain))).first() is None:
        raise ActionFailed(f"there is no domain {domain!r}: see `domain list`")
    query = select(venues.c.time_zone).where(venues.c.domain == domain).distinct()
    zones = [stated] if stated else list((await connection.execute(query)).scalars())
    if len(zones) > 1:
        raise ActionFailed(f"the venues of {domain} are in {len(zones)} time zones: state --time-zone")
    name = zones[0] if zones else CITY_ZONE
    require_zone(name)
    return ZoneInfo(name)


async def held_cards(connection: AsyncConnection, indexes: Sequence[bytes]) -> dict[bytes, HeldCard]:
    """By the keyed index of the UID."""
    found = {}
    columns = (cards.c.uid_index, cards.c.id, members.c.reference, cards.c.state, cards.c.from_ms, cards.c.until_ms)
    for some in slices(indexes):
        query = select(*columns).join(members, members.c.id == cards.c.member).where(cards.c.uid_index.in_(some))
        for index, card, reference, state, from_ms, until_ms in await connection.execute(query):
            found[index] = HeldCard(card, reference, CardState(state), from_ms, until_ms)
    return found


async def held_members(
    connection: AsyncConnection, keys: Keys, domain: str, references: Sequence[str]
) -> dict[str, HeldMember]:
    """By the city's reference. Raises Refused where a sealed name was altered."""
    rows: list[Any] = []
    for some in slices(references):
        query = select(members.c.id, members.c.reference, members.c.name_sealed).where(members.c.reference.in_(some))
        rows.extend(await connection.execute(query))
    ids = [row.id for row in rows]
    classes = await _classes(connection, ids)
    last_card = await last_numbers(connection, ids)
    numbers = await numbers_of(connection, keys, ids)
    in_domain: set[bytes] = set()
    for some_ids in slices(ids):
        there = select(subjects.c.member).where(subjects.c.domain == domain, subjects.c.member.in_(some_ids))
        in_domain.update((await connection.execute(there)).scalars())
    return {
        row.reference: HeldMember(
            row.id,
            keys.open_name(row.name_sealed, row.id) if row.name_sealed else "",
            classes.get(row.id, frozenset()),
            row.id in in_domain,
            last_card.get(row.id, 0),
            numbers.get(row.id, {}),
        )
        for row in rows
    }


async def _as_before(connection: AsyncConnection, domain: str, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Who comes back to the domain is who they were there."""
    before = await come_back(connection, domain, [member for _, member, _ in rows])
    return [(domain, member, before.get(member, subject)) for _, member, subject in rows]


async def _classes(connection: AsyncConnection, ids: Sequence[bytes]) -> dict[bytes, frozenset[str]]:
    found: dict[bytes, set[str]] = {}
    for some in slices(ids):
        query = select(member_classes.c.member, member_classes.c.name).where(member_classes.c.member.in_(some))
        for member, name in await connection.execute(query):
            found.setdefault(member, set()).add(name)
    return {member: frozenset(names) for member, names in found.items()}


@dataclass
class _Gathered:
    """Rows to insert by table, in the order of its columns, and what to update."""

    changed: list[bytes] = field(default_factory=list)
    new: dict[Table, list[tuple[Any, ...]]] = field(
        default_factory=lambda: {
            table: [] for table in (members, member_classes, subjects, cards, member_name_keys, member_numbers)
        }
    )
    names: list[dict[str, Any]] = field(default_factory=list)
    renumbered: list[tuple[str, bytes]] = field(default_factory=list)
    """Kind and member, where a number takes the place of another."""
    updates: list[dict[str, Any]] = field(default_factory=list)
    lapsed: dict[bytes, frozenset[str]] = field(default_factory=dict)
    reclassed: list[bytes] = field(default_factory=list)
    """Members who were known before and whose classes change."""
    states: dict[bytes, CardState] = field(default_factory=dict)
    """By card, where the state changes."""


class Writer:
    """Gathers what a block of planned rows changes, then writes it with one statement a table and kind."""

    def __init__(self, keys: Keys, domain: str, now_ms: int, add_classes: bool) -> None:
        self._keys, self._domain, self._now_ms, self._add_classes = keys, domain, now_ms, add_classes

    async def write(
        self,
        connection: AsyncConnection,
        planned: Iterable[Planned],
        card_ids: Mapping[bytes, HeldCard],
        held: Mapping[str, HeldMember],
    ) -> list[bytes]:
        """The ids of the members that changed. `card_ids` and `held`: what the plan was made from."""
        gathered = await asyncio.to_thread(self._gather, planned, card_ids, held)
        stated = Stated("", WHY, self._now_ms)
        rows = await rows_held(connection, gathered.reclassed)
        before = {member: rows.get(member, set()) for member in gathered.reclassed}
        await self._drop_classes(connection, gathered.lapsed)
        await _drop_found_by(connection, [one["member"] for one in gathered.names], gathered.renumbered)
        gathered.new[subjects] = await _as_before(connection, self._domain, gathered.new[subjects])
        for table, inserted in gathered.new.items():
            await _insert(connection, table, inserted)
        await record_classes(connection, before, await rows_held(connection, gathered.reclassed), stated)
        await _state_again(connection, gathered.new[cards], stated)
        await _state_states(connection, gathered.states, stated)
        if gathered.names:
            one = update(members).where(members.c.id == bindparam("member"))
            await connection.execute(one.values(name_sealed=bindparam("sealed")), gathered.names)
        if gathered.updates:
            values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in ("state", "from_ms", "until_ms")}
            this = update(cards).where(cards.c.id == bindparam("card"))
            await connection.execute(this.values(values), gathered.updates)
        return gathered.changed

    def _gather(
        self, planned: Iterable[Planned], card_ids: Mapping[bytes, HeldCard], held: Mapping[str, HeldMember]
    ) -> _Gathered:
        found = _Gathered()
        todo = sorted((p for p in planned if p.changes), key=lambda p: p.row.member)
        for reference, group in groupby(todo, key=lambda p: p.row.member):
            rows, known = list(group), held.get(reference)
            member = known.id if known else new_id()
            found.changed.append(member)
            self._member(member, rows, known, found)
            number = count(known.last_card + 1 if known else 1)
            for item in rows:
                if "card" in item.changes:
                    found.new[cards].append(self._card(member, next(number), item))
                elif {"dates", "state"} & set(item.changes):
                    card = card_ids[self._keys.uid_index(item.row.uid)]
                    found.updates.append(self._update(card, item))
                    if "state" in item.changes and item.row.state is not None:
                        found.states[card.id] = item.row.state
        return found

    def _member(self, member: bytes, rows: list[Planned], known: HeldMember | None, found: _Gathered) -> None:
        row = rows[0].row
        changes = {change for item in rows for change in item.changes}
        name = next((item.row.name for item in rows if item.row.name), "")
        if name and (known is None or "name" in changes):
            found.new[member_name_keys].extend(name_rows(self._keys, member, name))
        held_numbers = known.numbers if known is not None else {}
        for kind, number in {pair for item in rows for pair in item.row.numbers}:
            if held_numbers.get(kind) != number:
                found.new[member_numbers].append(number_row(self._keys, kind, number, member, self._now_ms))
                if kind in held_numbers:
                    found.renumbered.append((kind, member))
        sealed = self._keys.seal_name(name, member) if name else None
        if known is None:
            found.new[members].append((member, row.member, sealed, self._now_ms))
        elif "name" in changes:
            found.names.append({"member": member, "sealed": sealed})
        if "classes" in changes:
            held = known.classes if known else frozenset()
            if known is not None:
                found.reclassed.append(member)
            for class_ in sorted(set(row.classes) - held):
                found.new[member_classes].append((member, class_, 0, 0))
            if not self._add_classes and held - set(row.classes):
                found.lapsed[member] = held - set(row.classes)
        if "domain" in changes:
            found.new[subjects].append((self._domain, member, secrets.token_bytes(16)))

    def _card(self, member: bytes, number: int, item: Planned) -> tuple[Any, ...]:
        row, card = item.row, new_id()
        return (
            card,
            member,
            number,
            self._keys.uid_index(row.uid),
            self._keys.seal_uid(row.uid, card),
            int(row.state or CardState.ACTIVE),
            row.from_ms,
            row.until_ms,
            self._now_ms,
            "",
        )

    def _update(self, card: HeldCard, item: Planned) -> dict[str, Any]:
        row = item.row
        state = card.state if row.state is None else row.state
        return {"card": card.id, "new_state": int(state), "new_from_ms": row.from_ms, "new_until_ms": row.until_ms}

    async def _drop_classes(self, connection: AsyncConnection, lapsed: Mapping[bytes, frozenset[str]]) -> None:
        pairs = sorted(((names, member) for member, names in lapsed.items()), key=lambda p: sorted(p[0]))
        for names, group in groupby(pairs, key=itemgetter(0)):
            for some in slices([member for _, member in group]):
                gone = member_classes.c.member.in_(some) & member_classes.c.name.in_(names)
                await connection.execute(delete(member_classes).where(gone))


async def _drop_found_by(
    connection: AsyncConnection, renamed: Sequence[bytes], renumbered: Sequence[tuple[str, bytes]]
) -> None:
    """What these members were found by until now."""
    for some in slices(sorted(renamed)):
        await connection.execute(delete(member_name_keys).where(member_name_keys.c.member.in_(some)))
    for kind, group in groupby(sorted(renumbered), key=itemgetter(0)):
        for some in slices([member for _, member in group]):
            gone = (member_numbers.c.kind == kind) & member_numbers.c.member.in_(some)
            await connection.execute(delete(member_numbers).where(gone))


async def _state_again(connection: AsyncConnection, new: Sequence[tuple[Any, ...]], stated: Stated) -> None:
    """A card that is bound anew, of which something is known from before it was nobody's: its new member is stated."""
    bound = {row[3]: Bound(row[1], row[2], CardState(row[5])) for row in new}
    earlier = await read_statements(connection, bound)
    said = {index: (Statement(bound[index], stated.known_ms, 0, stated.known_ms),) for index in earlier}
    await state_cards(connection, said, (), stated)


async def _state_states(connection: AsyncConnection, states: Mapping[bytes, CardState], stated: Stated) -> None:
    for wanted in sorted(set(states.values())):
        for some in slices(sorted(card for card, state in states.items() if state == wanted)):
            await set_state(connection, await cards_now(connection, cards.c.id.in_(some)), wanted, stated)


async def _insert(connection: AsyncConnection, table: Table, rows: list[tuple[Any, ...]]) -> None:
    """Rows in the order of the table's columns, by the driver itself: millions of them in minutes."""
    columns = [str(column.name) for column in table.columns]
    if not rows:
        return
    if connection.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        await connection.exec_driver_sql(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({marks})", rows)
        return
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table(table.name, records=rows, columns=columns)
