"""Take uploads into custody: the database half of `ingest`. One transaction an upload; durable before it is answered.

The device's row is locked first, so one device's uploads, its revocation and a new epoch's first batch come
one after the other; devices do not wait for each other.
"""

from typing import Any, NamedTuple

from sqlalchemy import insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from central.device_keys import DeviceKeys, DeviceState, require_confirmed, state_of
from central.generation import generation_of
from central.ingest import (
    Claim,
    EpochState,
    EventRow,
    Evidence,
    Evident,
    Holding,
    Sealed,
    Verdict,
    evident,
    judge,
    overlaps,
    read_upload,
    verify,
)
from central.keys import Keys
from central.store.database import Database
from central.store.schema import batches, epochs, events
from central.store.schema import evidence as evidence_table
from protocol.envelope import unwrap
from protocol.errors import Failure, Refused
from protocol.messages import MAX_BATCH_EVENTS, Batch, EpochHeld, Holdings, Inventory, Resume, decode

RACES = frozenset({"40001", "40P01", "23505"})
"""PostgreSQL: serialization failure, deadlock, and a unique row that somebody else inserted first."""
ATTEMPTS = 5


class Taken(NamedTuple):
    """The envelope to answer with, and what became of the batch, for counting."""

    answer: bytes
    outcome: str
    """accepted, untrusted, forked, gap, resent or revoked."""
    events: int
    """How many events it brought anew."""


class Custodian:
    """Takes events into custody and says what is held."""

    def __init__(self, database: Database, keys: Keys, device_keys: DeviceKeys) -> None:
        self._database, self._keys, self._device_keys = database, keys, device_keys

    async def take(self, body: bytes, now_ms: int) -> Taken:
        """Answer an upload. Raises Refused, and Evident once the evidence is durable (SPEC §6.4)."""
        sealed = read_upload(body)
        try:
            claim = verify(sealed, await self._device_keys.ring(sealed.batch.device))
        except Evident as refused:
            await self._keep(sealed.batch.device, refused.evidence, now_ms)
            raise
        except Refused as refused:
            if refused.kind is Failure.UNKNOWN_KEY:
                await self._refuse_other_device(sealed, now_ms)
            raise
        async for attempt in retrying():
            with attempt:
                async with self._database.write() as connection:
                    taken = await self._take(connection, claim, now_ms)
        return taken

    async def holdings(self, body: bytes, now_ms: int) -> bytes:
        """Signed: what is held of each epoch that the device asks about (SPEC §7.5)."""
        asked = await self._device_keys.open(Inventory, body)
        async with self._database.read() as connection:
            device = await state_of(connection, asked.device)
            require_confirmed(device)
            if device.revoked:
                return self._keys.publish.seal(device.answer())
            query = select(epochs.c.epoch, epochs.c.through).where(epochs.c.device == asked.device)
            held = {row.epoch: row.through for row in await connection.execute(query)}
            generation = await generation_of(connection)
        found = tuple(EpochHeld(each.epoch, held.get(each.epoch, -1)) for each in asked.epochs)
        return self._keys.receipt.seal(Holdings(asked.device, generation, found, asked.nonce, now_ms))

    async def _refuse_other_device(self, sealed: Sealed, now_ms: int) -> None:
        """A batch in one device's name under another's key is kept; one under no known key is not."""
        signer = await self._device_keys.signer_of(sealed.envelope)
        if signer is not None:
            refused = evident(sealed, Failure.OTHER_DEVICE, f"{signer} signed it in the name of {sealed.batch.device}")
            await self._keep(signer, refused.evidence, now_ms)
            raise refused

    async def _keep(self, device: str, evidence: Evidence, now_ms: int) -> None:
        async with self._database.write() as connection:
            await keep_evidence(connection, device, [evidence], now_ms)

    async def _take(self, connection: AsyncConnection, claim: Claim, now_ms: int) -> Taken:
        device = await state_of(connection, claim.batch.device, lock=True)
        require_confirmed(device)
        resent = await _resent(connection, claim)
        if resent is not None:
            return Taken(self._revoked(device) if device.revoked else resent, "resent", 0)
        verdict = judge(claim, await _holding(connection, claim, device.revoked), now_ms)
        answer = self._keys.receipt.seal(verdict.answer) if verdict.answer else self._revoked(device)
        if verdict.outcome:
            receipt = b"" if device.revoked else answer
            await _store(connection, claim, verdict, receipt, now_ms)
        await keep_evidence(connection, device.id, verdict.evidence, now_ms)
        outcome = verdict.outcome or ("gap" if isinstance(verdict.answer, Resume) else "revoked")
        return Taken(answer, outcome, len(verdict.rows))

    def _revoked(self, device: DeviceState) -> bytes:
        return self._keys.publish.seal(device.answer())


async def keep_evidence(connection: AsyncConnection, device: str, found: list[Evidence], now_ms: int) -> None:
    """The same evidence again is only counted."""
    sqlite = connection.dialect.name == "sqlite"
    for each in found:
        values = each._asdict() | {"device": device, "at_ms": now_ms}
        statement: Any = (sqlite_insert if sqlite else postgresql_insert)(evidence_table).values(values)
        statement = statement.on_conflict_do_update(
            index_elements=["device", "digest", "kind"], set_={"seen": evidence_table.c.seen + 1}
        )
        await connection.execute(statement)


def retrying() -> AsyncRetrying:
    """Try a transaction again when it lost a race against another process."""
    return AsyncRetrying(
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_random(0, 0.05),
        retry=retry_if_exception(_lost_a_race),
        reraise=True,
    )


def _lost_a_race(error: BaseException) -> bool:
    return getattr(getattr(error, "orig", error), "sqlstate", None) in RACES


# --- what is held ---------------------------------------------------------------------------------------------


async def _resent(connection: AsyncConnection, claim: Claim) -> bytes | None:
    """The receipt that these very bytes got before; the repetition is counted."""
    same = (
        (batches.c.device == claim.batch.device)
        & (batches.c.epoch == claim.batch.epoch)
        & (batches.c.first == claim.batch.first)
        & (batches.c.digest == claim.sealed.digest)
    )
    receipt = (await connection.execute(select(batches.c.receipt).where(same))).scalar()
    if receipt is not None:
        await connection.execute(update(batches).where(same).values(resent=batches.c.resent + 1))
    return receipt


async def _holding(connection: AsyncConnection, claim: Claim, revoked: bool) -> Holding:
    batch = claim.batch
    about = [batch.epoch] if claim.start is None else [batch.epoch, claim.start.previous_epoch]
    query = select(
        epochs.c.epoch, epochs.c.through, epochs.c.head, epochs.c.previous_epoch, epochs.c.previous_sequence
    ).where(epochs.c.device == batch.device, or_(epochs.c.epoch.in_(about), epochs.c.previous_epoch.in_(about)))
    states = tuple(EpochState(*row) for row in await connection.execute(query))
    holding = Holding(states, revoked=revoked)
    if overlaps(claim, holding.of(batch.device, batch.epoch)):
        holding = holding._replace(batches=await _touching(connection, claim))
    return holding


async def _touching(connection: AsyncConnection, claim: Claim) -> tuple[Batch, ...]:
    """The stored batches of the epoch that hold any sequence of the claim, or the one before it."""
    query = (
        select(batches.c.envelope)
        .where(
            batches.c.device == claim.batch.device,
            batches.c.epoch == claim.batch.epoch,
            batches.c.first.between(claim.batch.first - MAX_BATCH_EVENTS, claim.last),
            batches.c.through >= claim.batch.first - 1,
            batches.c.outcome != "forked",
        )
        .order_by(batches.c.first)
    )
    envelopes = (await connection.execute(query)).scalars()
    return tuple(decode(Batch, unwrap(envelope).payload) for envelope in envelopes)


# --- what is stored -------------------------------------------------------------------------------------------


async def _store(connection: AsyncConnection, claim: Claim, verdict: Verdict, receipt: bytes, now_ms: int) -> None:
    batch = claim.batch
    await connection.execute(
        insert(batches).values(
            device=batch.device,
            epoch=batch.epoch,
            first=batch.first,
            digest=claim.sealed.digest,
            through=claim.last,
            taken_first=verdict.taken_first,
            received_ms=now_ms,
            outcome=verdict.outcome,
            envelope=claim.sealed.envelope_bytes,
            receipt=receipt,
        )
    )
    if verdict.state is not None:
        await _store_state(connection, batch.device, verdict.state, now_ms)
    if verdict.rows:
        await _store_events(connection, verdict.rows)


async def _store_state(connection: AsyncConnection, device: str, state: EpochState, now_ms: int) -> None:
    moved = {"through": state.through, "head": state.head, "seen_ms": now_ms}
    statement: Any = (sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert)(epochs)
    await connection.execute(
        statement.values(device=device, **state._asdict() | moved).on_conflict_do_update(
            index_elements=["device", "epoch"], set_=moved
        )
    )


EVENT_COLUMNS = [column.name for column in events.columns]
_INSERT_EVENTS = f"INSERT INTO events ({', '.join(EVENT_COLUMNS)}) VALUES ({', '.join('?' * len(EVENT_COLUMNS))})"


async def _store_events(connection: AsyncConnection, rows: list[EventRow]) -> None:
    """The hot insert goes to the driver: tuples on SQLite, COPY on PostgreSQL, in the same transaction."""
    if connection.dialect.name == "sqlite":
        await connection.exec_driver_sql(_INSERT_EVENTS, rows)
        return
    raw = await connection.get_raw_connection()
    driver: Any = raw.driver_connection
    await driver.copy_records_to_table("events", records=rows, columns=EVENT_COLUMNS)
