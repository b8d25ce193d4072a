"""Erasures that a restored backup knows nothing of, done again before anything of it is published."""

from typing import NamedTuple

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.privacy.erasure import ledger
from central.privacy.erasure.erasing import Ordered, erase
from central.privacy.found import events_of, person_of
from central.privacy.holds import holds_on
from central.store.schema import erased_subjects, erasures, members

RESTORED = "restore"
"""Who an erasure is by that is done again."""


class Replayed(NamedTuple):
    """How many people were erased again, and how many were left since a legal hold of the backup keeps them."""

    erased: int
    held: int


async def replay(connection: AsyncConnection, keys: Keys, now_ms: int) -> Replayed:
    """In the transaction that loads the backup. Raises ValueError where the ledger cannot be read."""
    known = {bytes(each).hex() for each in (await connection.execute(select(erasures.c.id))).scalars()}
    missing = [line for line in ledger.read(keys.directory) if line.erasure not in known]
    if not missing:
        return Replayed(0, 0)
    by_hash = {line.member: line for line in missing}
    concerned = {}
    result = await connection.stream(select(members.c.id))
    async for rows in result.partitions(10_000):
        for (id_,) in rows:
            line = by_hash.get(keys.erased_hash("member", id_).hex())
            if line is not None:
                concerned[line.erasure] = bytes(id_)
    done = held = 0
    for line in missing:
        member = concerned.get(line.erasure)
        if member is not None and await holds_on(connection, member):
            held += 1
        elif member is not None:
            await _again(connection, keys, member, line)
            done += 1
        else:
            await _remember(connection, line, now_ms)
    return Replayed(done, held)


async def _again(connection: AsyncConnection, keys: Keys, member: bytes, line: ledger.Line) -> None:
    person = await person_of(connection, keys, member)
    if person is not None:
        names = await events_of(connection, person)
        await erase(connection, keys, person, names, Ordered(bytes.fromhex(line.erasure), RESTORED, line.at_ms))
        known = {keys.erased_hash("subject", subject).hex() for subject in person.subjects.values()}
        await _subjects(connection, line, known)


async def _remember(connection: AsyncConnection, line: ledger.Line, now_ms: int) -> None:
    """Of somebody who came after the backup was made: what gates send again of them is destroyed as late."""
    row = {"id": bytes.fromhex(line.erasure), "at_ms": line.at_ms, "who": RESTORED, "heard_ms": now_ms}
    row |= {"member": bytes.fromhex(line.member), "reference": bytes.fromhex(line.reference)}
    await connection.execute(insert(erasures).values(row | {"counts": "{}", "consents": "[]"}))
    await _subjects(connection, line, set())


async def _subjects(connection: AsyncConnection, line: ledger.Line, known: set[str]) -> None:
    rows = [
        {"subject": bytes.fromhex(subject), "erasure": bytes.fromhex(line.erasure)}
        for subject in line.subjects
        if subject not in known
    ]
    if rows:
        await connection.execute(insert(erased_subjects), rows)
