"""Classes of members as they are held, and what was known of them before: a change is written with its history.

A class that has no row in the history has been known, as it is held, since its member was made.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.people.class_feed import Classes, classes_of, rows_of
from central.store.schema import member_class_history, member_classes, members
from central.store.slices import slices


class Stated(NamedTuple):
    """Who says so, why, and when it became known here."""

    who: str
    why: str
    known_ms: int
    batch: str = ""


Rows = dict[bytes, set[tuple[str, int, int]]]
"""By member: (class, from, until)."""


async def rows_held(connection: AsyncConnection, ids: Collection[bytes]) -> Rows:
    """The classes of these members as they stand in the table."""
    found: Rows = {}
    c = member_classes.c
    for some in slices(sorted(set(ids))):
        query = select(c.member, c.name, c.from_ms, c.until_ms).where(c.member.in_(some))
        for member, *row in await connection.execute(query):
            found.setdefault(member, set()).add(tuple(row))
    return found


async def held_classes(connection: AsyncConnection, ids: Collection[bytes]) -> dict[bytes, Classes]:
    """The classes of these members, each as spans that are apart."""
    return {member: classes_of(sorted(rows)) for member, rows in (await rows_held(connection, ids)).items()}


async def put_classes(connection: AsyncConnection, wanted: Mapping[bytes, Classes], stated: Stated) -> list[bytes]:
    """These are the classes of these members from now on. Returns the members for whom that changes anything."""
    before = await rows_held(connection, wanted)
    after = {member: rows_of(classes) for member, classes in wanted.items()}
    changed = sorted(member for member in wanted if before.get(member, set()) != after[member])
    for some in slices(changed):
        await connection.execute(delete(member_classes).where(member_classes.c.member.in_(some)))
    rows = [_row(member, row) for member in changed for row in sorted(after[member])]
    if rows:
        await connection.execute(insert(member_classes), rows)
    await record(connection, {member: before.get(member, set()) for member in changed}, after, stated)
    return changed


async def record(connection: AsyncConnection, before: Rows, after: Mapping[bytes, Any], stated: Stated) -> None:
    """Write into the history how these members' classes changed: what was known is closed, what is known now begins."""
    gone = [(member, row) for member in sorted(before) for row in sorted(before[member] - after.get(member, set()))]
    new = [(member, row) for member in sorted(before) for row in sorted(after.get(member, set()) - before[member])]
    if not gone and not new:
        return
    opened = await _opened(connection, sorted(before))
    made_ms = await _made_ms(connection, sorted({member for member, _ in gone}))
    values: list[dict[str, Any]] = []
    closed: list[dict[str, Any]] = []
    void: list[dict[str, Any]] = []  # known for no time at all
    for member, row in gone:
        name, from_ms, _ = row
        since = opened.get((member, name, from_ms))
        if since is not None:
            (void if since >= stated.known_ms else closed).append({"of": member, "class": name, "since": from_ms})
        elif made_ms[member] < stated.known_ms:
            was = {"known_ms": made_ms[member], "until_known_ms": stated.known_ms, "who": "", "why": ""}
            values.append(_row(member, row) | was)
    if void:
        await connection.execute(delete(member_class_history).where(_THIS), void)
    if closed:
        known = {"until_known_ms": stated.known_ms}
        await connection.execute(update(member_class_history).where(_THIS).values(known), closed)
    says = {"known_ms": stated.known_ms, "until_known_ms": 0, "who": stated.who, "why": stated.why}
    values += [_row(member, row) | says for member, row in new]
    if values:
        await connection.execute(insert(member_class_history), values)


async def _opened(connection: AsyncConnection, ids: Sequence[bytes]) -> dict[tuple[bytes, str, int], int]:
    """Since when what is known now is known, of what has a row."""
    found = {}
    h = member_class_history.c
    for some in slices(ids):
        query = select(h.member, h.name, h.from_ms, h.known_ms).where(h.member.in_(some), h.until_known_ms == 0)
        for member, name, from_ms, known_ms in await connection.execute(query):
            found[member, name, from_ms] = known_ms
    return found


_THIS = (
    (member_class_history.c.member == bindparam("of"))
    & (member_class_history.c.name == bindparam("class"))
    & (member_class_history.c.from_ms == bindparam("since"))
    & (member_class_history.c.until_known_ms == 0)
)
"""What is known now of a class of a member."""


async def _made_ms(connection: AsyncConnection, ids: Sequence[bytes]) -> dict[bytes, int]:
    found: dict[bytes, int] = {}
    for some in slices(ids):
        query = select(members.c.id, members.c.created_ms).where(members.c.id.in_(some))
        found.update((member, made_ms) for member, made_ms in await connection.execute(query))
    return found


def _row(member: bytes, row: tuple[str, int, int]) -> dict[str, Any]:
    name, from_ms, until_ms = row
    return {"member": member, "name": name, "from_ms": from_ms, "until_ms": until_ms}
