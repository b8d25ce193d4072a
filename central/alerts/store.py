"""Incidents as rows: opened, acknowledged, resolved; each with the messages that tell of it, in one transaction."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.alerts import outbox
from central.alerts.conditions import Kind, Level, Reading, by_place
from central.alerts.incidents import Move, Phase, Watch, after_pause, step
from central.store.put_rows import put_rows
from central.store.schema import alert_watch, alerts
from central.store.slices import named, slices

OPEN, ACKNOWLEDGED, RESOLVED = "open", "acknowledged", "resolved"
STANDING = (OPEN, ACKNOWLEDGED)
READ_WHILE_BAD = frozenset({Kind.DENIALS, Kind.HALTED, Kind.INCIDENT, Kind.OVERDUE})
"""What is not read any more of these is good."""
NOT_WATCHED = "it is not watched any more"
_KEY = 0x7461_7061  # of PostgreSQL's advisory lock: "tapa"
_a, _w = alerts.c, alert_watch.c

Key = tuple[str, str]
"""Kind and target."""


class Looked(NamedTuple):
    """What a look came to: ids."""

    opened: list[bytes]
    resolved: list[bytes]


async def one_looks(connection: AsyncConnection) -> None:
    """Until the transaction ends no other process changes incidents. SQLite has one writer anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_KEY})"))


async def watches(connection: AsyncConnection) -> dict[Key, Watch]:
    """What is watched closely."""
    rows = await connection.execute(select(alert_watch))
    return {(row.kind, row.target): Watch(Phase(row.phase), row.bad_ms, row.good_ms, row.alert) for row in rows}


def changes(held: Mapping[Key, Watch], found: Sequence[Reading], now_ms: int, paused: bool) -> bool:
    """Whether a look would write anything at all. Most do not."""
    return any(move or after != held.get(key) for key, after, move in _steps(held, found, now_ms, paused))


def _steps(
    held: Mapping[Key, Watch], found: Sequence[Reading], now_ms: int, paused: bool
) -> list[tuple[Key, Watch | None, Move]]:
    """What is not read any more – a device was revoked, nothing is denied – is as if it were good."""
    read = by_place(found)
    levels = {key: each.level for key, each in read.items() if each.level is Level.BAD or key in held}
    levels |= {key: Level.GOOD for key in held if key not in read}
    stepped = []
    for key, level in sorted(levels.items()):
        watch = held.get(key)
        if watch is not None and paused:
            watch = after_pause(watch, now_ms)
        stepped.append((key, *step(watch, Kind(key[0]), level, now_ms)))
    return stepped


async def apply(connection: AsyncConnection, found: Sequence[Reading], now_ms: int, paused: bool = False) -> Looked:
    """One look written down. The caller holds `one_looks`."""
    read, held = by_place(found), await watches(connection)
    opening: list[tuple[bytes, Reading]] = []
    over: dict[str, list[bytes]] = {}
    dropped, kept = [], []
    for key, stepped, move in _steps(held, found, now_ms, paused):
        after = stepped
        if move is Move.OPEN and stepped is not None:
            opening.append((new_id(now_ms), read[key]))
            after = stepped._replace(phase=Phase.OPEN, alert=opening[-1][0])
        elif move is Move.RESOLVE:
            why = "" if key in read or key[0] in READ_WHILE_BAD else NOT_WATCHED
            over.setdefault(why, []).append(held[key].alert)
        if after is None and key in held:
            dropped.append(key)
        elif after is not None and after != held.get(key):
            kept.append({"kind": key[0], "target": key[1], **after._asdict()})
    await begin(connection, opening, now_ms)
    ended = [id_ for why, ids in sorted(over.items()) for id_ in await end(connection, ids, "", why, now_ms)]
    for these in named((_w.kind, _w.target), dropped):
        await connection.execute(delete(alert_watch).where(these))
    await put_rows(connection, alert_watch, kept)
    return Looked([id_ for id_, _ in opening], ended)


def new_id(now_ms: int) -> bytes:
    """It begins with the time, so that rows lie in order."""
    return now_ms.to_bytes(6) + secrets.token_bytes(10)


async def begin(connection: AsyncConnection, opening: Sequence[tuple[bytes, Reading]], now_ms: int) -> None:
    """Incidents, and the messages that tell of them: all together, since a line that fails may silence a thousand
    gates at once, and ingest waits for this transaction."""
    if not opening:
        return
    rows = [
        {"id": id_, "kind": reading.kind.value, **reading.place._asdict(), "state": OPEN, "opened_ms": now_ms}
        | {"facts": msgspec.json.encode(reading.facts).decode()}
        for id_, reading in opening
    ]
    await connection.execute(insert(alerts), rows)
    await outbox.opened(connection, [(id_, reading.kind, reading.place.venue) for id_, reading in opening], now_ms)


async def acknowledge(connection: AsyncConnection, id_: bytes, who: str, comment: str, now_ms: int) -> bool:
    """Somebody looks after it. False where it is not open any more."""
    values = {"state": ACKNOWLEDGED, "acknowledged_ms": now_ms, "acknowledged_by": who, "comment": comment}
    done = await connection.execute(update(alerts).where(_a.id == id_, _a.state.in_(STANDING)).values(values))
    return bool(done.rowcount)


async def dismiss(connection: AsyncConnection, id_: bytes, who: str, why: str, now_ms: int) -> bool:
    """A person says that it is over. While the condition holds on, no new incident is made of it. False where it was
    over already."""
    if not await end(connection, [id_], who, why, now_ms):
        return False
    await connection.execute(
        update(alert_watch).where(_w.alert == id_, _w.phase == Phase.OPEN.value).values(phase=Phase.DISMISSED.value)
    )
    return True


async def end(connection: AsyncConnection, ids: Collection[bytes], who: str, why: str, now_ms: int) -> list[bytes]:
    """Those of them that were not over already. Who was told that they began is told that they are over."""
    values = {"state": RESOLVED, "resolved_ms": now_ms, "resolved_by": who, "why": why}
    ended: list[bytes] = []
    for some in slices(sorted(ids)):
        standing = select(_a.id).where(_a.id.in_(some), _a.state.in_(STANDING)).with_for_update()
        these = list((await connection.execute(standing)).scalars())
        await connection.execute(update(alerts).where(_a.id.in_(these)).values(values))
        await outbox.resolved(connection, these, now_ms)
        ended += these
    return ended


async def rows_of(connection: AsyncConnection, ids: Collection[bytes]) -> dict[bytes, Any]:
    """Incidents by their ids."""
    found = await connection.execute(select(alerts).where(_a.id.in_(sorted(ids))))
    return {row.id: row for row in found}
