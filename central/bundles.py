"""Support bundles (SPEC §7.11): what devices are asked for, what they answered, and for how long that is kept."""

import asyncio
import time

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.failures import Declined
from central.store import faults
from central.store.database import Database
from central.store.schema import bundles
from protocol.errors import Failure, Refused
from protocol.fleet import BUNDLE, Ask, Bundle

ASKED, ARRIVED, FAILED, GIVEN_UP, FORGOTTEN = "asked", "arrived", "failed", "given-up", "forgotten"
OPEN_MS = 24 * 3_600_000
"""A device that is off when it is asked may answer so much later."""
KEPT_MS = 7 * 24 * 3_600_000
KEPT_OF_A_DEVICE = 3
"""Contents; beyond it the oldest is forgotten."""
SWEEP_EVERY_S = 3_600.0

_b = bundles.c


async def open_asks(connection: AsyncConnection, now_ms: int) -> dict[str, Ask]:
    """By device, what it is asked for now."""
    query = select(_b.device, _b.version, _b.id, _b.until_ms).where(_b.state == ASKED, _b.until_ms > now_ms)
    rows = await connection.execute(query.order_by(_b.device, _b.version))
    return {row.device: Ask(row.device, row.version, row.id, BUNDLE, row.until_ms) for row in rows}


async def take(connection: AsyncConnection, bundle: Bundle, content: bytes, now_ms: int) -> None:
    """Keep the answer to an ask. Its signature and digest were checked. Raises Refused where nobody waits for it."""
    query = select(_b.version, _b.state, _b.until_ms, _b.digest).where(_b.device == bundle.device, _b.id == bundle.ask)
    row = (await connection.execute(query.with_for_update())).one_or_none()
    if row is None:
        raise Declined(409, Failure.UNKNOWN_KEY, "nobody asked this device for that")
    if row.state != ASKED:
        if row.digest == bundle.digest:
            return  # the answer to the first one was lost
        raise Declined(409, Failure.NOT_NEWER, "this ask was answered, or taken back")
    if row.until_ms <= now_ms:
        raise Declined(410, Failure.EXPIRED, "nobody waits for this bundle any more")
    values = {
        "state": FAILED if bundle.why else ARRIVED,
        "arrived_ms": now_ms,
        "why": bundle.why,
        "size": len(content),
        "digest": bundle.digest,
        "content": None if bundle.why else content,
    }
    mine = (_b.device == bundle.device, _b.version == row.version)
    await connection.execute(update(bundles).where(*mine).values(values))
    kept = select(_b.version).where(_b.device == bundle.device, _b.state == ARRIVED).order_by(_b.version.desc())
    older = (await connection.execute(kept.offset(KEPT_OF_A_DEVICE))).scalars().all()
    forgotten = update(bundles).where(_b.device == bundle.device, _b.version.in_(older))
    await connection.execute(forgotten.values(state=FORGOTTEN, content=None))


async def sweep(connection: AsyncConnection, now_ms: int) -> None:
    """Asks that nobody answered are given up, contents that are old are forgotten. That they were asked for stays."""
    late = update(bundles).where(_b.state == ASKED, _b.until_ms <= now_ms)
    await connection.execute(late.values(state=GIVEN_UP))
    old = update(bundles).where(_b.state == ARRIVED, _b.arrived_ms <= now_ms - KEPT_MS)
    await connection.execute(old.values(state=FORGOTTEN, content=None))


async def sweep_for_ever(database: Database) -> None:
    """Until cancelled."""
    while True:
        try:
            await _sweep_if_due(database, time.time_ns() // 1_000_000)
        except Exception as error:
            faults.say("bundles-not-swept", error)
        await asyncio.sleep(SWEEP_EVERY_S)


async def _sweep_if_due(database: Database, now_ms: int) -> None:
    due = (_b.state == ASKED) & (_b.until_ms <= now_ms) | (_b.state == ARRIVED) & (_b.arrived_ms <= now_ms - KEPT_MS)
    async with database.read() as connection:
        if (await connection.execute(select(_b.version).where(due).limit(1))).first() is None:
            return
    async with database.write() as connection:
        await sweep(connection, now_ms)


def check_content(bundle: Bundle, content: bytes, digest: bytes) -> None:
    """Raises Refused unless the content is what was signed. Pure."""
    if len(content) != bundle.size or digest != bundle.digest:
        raise Refused(Failure.WRONG_DIGEST, "the bundle is not what its device signed")
