"""Take uploads into custody: the database half of `ingest`. One transaction an upload; durable before it is answered.

The device's row is locked first, so one device's uploads, its revocation and a new epoch's first batch come
one after the other; devices do not wait for each other.
"""

from typing import NamedTuple

from sqlalchemy import select
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_random

from central.claim import Claim, Evidence, Evident, Sealed, evident, read_upload, verify
from central.details import notable
from central.device_keys import DeviceKeys, DeviceState, require_confirmed, state_of
from central.generation import generation_of
from central.ingest import EpochState, EventRow, Holding, Verdict, judge, overlaps
from central.keys import Keys
from central.store.database import Database
from central.store.schema import epochs, events, kiosk_statements
from central.store.steps import Rows, Statement, Steps
from protocol.envelope import digest, unwrap
from protocol.errors import Failure, Refused
from protocol.messages import MAX_BATCH_EVENTS, Batch, EpochHeld, Holdings, Inventory, Kind, Outcome, Resume, decode

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
    notable: tuple[tuple[str, str], ...] = ()
    """Kind and what of those among them that monitoring may want to hear of (`details.notable`)."""


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
                taken = await self._database.write_steps(self._take(claim, now_ms))
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
        await self._database.write_steps(_keep_unless_banned(device, evidence, now_ms))

    def _take(self, claim: Claim, now_ms: int) -> Steps[Taken]:
        device = yield from _lock_device(claim.batch.device)
        require_confirmed(device)
        if device.banned_ms:
            return Taken(self._revoked(device), "revoked", 0)
        resent = yield from _resent(claim)
        if resent is not None:
            return Taken(self._revoked(device) if device.revoked else resent, "resent", 0)
        holding = yield from _holding(claim, device.revoked)
        verdict = judge(claim, holding, now_ms)
        answer = self._keys.receipt.seal(verdict.answer) if verdict.answer else self._revoked(device)
        if verdict.outcome:
            yield from _store(claim, verdict, b"" if device.revoked else answer, now_ms)
            if verdict.rows and verdict.taken_first <= holding.of(device.id, claim.batch.epoch).through:
                yield from _settle_again(claim, verdict.taken_first)
        yield from keep_evidence(device.id, verdict.evidence, now_ms)
        outcome = verdict.outcome or ("gap" if isinstance(verdict.answer, Resume) else "revoked")
        return Taken(answer, outcome, len(verdict.rows), tuple(filter(None, map(_notable, verdict.rows))))

    def _revoked(self, device: DeviceState) -> bytes:
        return self._keys.publish.seal(device.answer())


def keep_evidence(device: str, found: list[Evidence], now_ms: int) -> Steps[None]:
    """The same evidence again is only counted."""
    for each in found:
        yield Statement(
            "INSERT INTO evidence (device, digest, kind, at_ms, detail, body) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (device, digest, kind) DO UPDATE SET seen = evidence.seen + 1",
            (device, each.digest, each.kind, now_ms, each.detail, each.body),
        )


def _keep_unless_banned(device: str, evidence: Evidence, now_ms: int) -> Steps[None]:
    """Somebody who holds a banned device's key fills no disk."""
    banned = yield Statement("SELECT 1 FROM devices WHERE id = ? AND banned_ms IS NOT NULL", (device,))
    if not banned:
        yield from keep_evidence(device, [evidence], now_ms)


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


def _notable(row: EventRow) -> tuple[str, str] | None:
    kind, detail = row[5], row[-1]
    return notable(kind, detail) if detail else None


# --- what is held ---------------------------------------------------------------------------------------------


def _lock_device(device: str) -> Steps[DeviceState]:
    what = "id, state, coalesce(revoked_ms, 0), revoked_why, coalesce(banned_ms, 0)"
    sql = f"SELECT {what} FROM devices WHERE id = ?"
    rows = yield Statement(sql, (device,), lock=True)
    if not rows:
        raise Refused(Failure.UNKNOWN_KEY, f"no device {device!r} is enrolled")
    return DeviceState(*rows[0])


def _resent(claim: Claim) -> Steps[bytes | None]:
    """The receipt that these very bytes got before; the repetition is counted."""
    same = (claim.batch.device, claim.batch.epoch, claim.batch.first, claim.sealed.digest)
    where = "WHERE device = ? AND epoch = ? AND first = ? AND digest = ?"
    rows = yield Statement(f"SELECT receipt FROM batches {where}", same)
    if not rows:
        return None
    yield Statement(f"UPDATE batches SET resent = resent + 1 {where}", same)
    return bytes(rows[0][0])


def _holding(claim: Claim, revoked: bool) -> Steps[Holding]:
    batch = claim.batch
    about = (batch.epoch, batch.epoch if claim.start is None else claim.start.previous_epoch)
    rows = yield Statement(
        "SELECT epoch, through, head, previous_epoch, previous_sequence FROM epochs"
        " WHERE device = ? AND (epoch IN (?, ?) OR previous_epoch IN (?, ?))",
        (batch.device, *about, *about),
    )
    holding = Holding(tuple(EpochState(*row) for row in rows), revoked=revoked)
    if claim.start is not None:
        told = (batch.device, digest(claim.start_envelope))
        asked = yield Statement("SELECT 1 FROM evidence WHERE device = ? AND digest = ? AND kind = 'gap'", told)
        holding = holding._replace(asked=bool(asked))
    if overlaps(claim, holding.of(batch.device, batch.epoch)):
        touching = yield from _touching(claim)
        holding = holding._replace(batches=touching)
    return holding


def _touching(claim: Claim) -> Steps[tuple[Batch, ...]]:
    """The stored batches of the epoch that hold any sequence of the claim, or the one before it."""
    batch = claim.batch
    rows = yield Statement(
        "SELECT envelope FROM batches WHERE device = ? AND epoch = ? AND first BETWEEN ? AND ?"
        " AND through >= ? AND outcome <> 'forked' ORDER BY first",
        (batch.device, batch.epoch, batch.first - MAX_BATCH_EVENTS, claim.last, batch.first - 1),
    )
    return tuple(decode(Batch, unwrap(row[0]).payload) for row in rows)


def _settle_again(claim: Claim, first: int) -> Steps[None]:
    """Events that had been declared lost came after all: the epoch is settled again from there. Whoever settles it now
    has written that row already, so on PostgreSQL this waits, and sets back what that one wrote."""
    yield Statement(
        "INSERT INTO projected (device, epoch, through) VALUES (?, ?, -1) ON CONFLICT (device, epoch) DO UPDATE"
        " SET through = CASE WHEN projected.through < ? THEN projected.through ELSE ? END",
        (claim.batch.device, claim.batch.epoch, first, first - 1),
    )
    yield Statement(  # and whoever is told of events outside is told of these, too
        "UPDATE subscription_progress SET late = late + 1, again = true,"
        " through = CASE WHEN through < ? THEN through ELSE ? END WHERE device = ? AND epoch = ?",
        (first, first - 1, claim.batch.device, claim.batch.epoch),
    )


# --- what is stored -------------------------------------------------------------------------------------------

EVENT_COLUMNS = tuple(column.name for column in events.columns)
STATEMENT_COLUMNS = tuple(column.name for column in kiosk_statements.columns)


def _store(claim: Claim, verdict: Verdict, receipt: bytes, now_ms: int) -> Steps[None]:
    batch, sealed = claim.batch, claim.sealed
    yield Statement(
        "INSERT INTO batches (device, epoch, first, digest, through, taken_first, received_ms, outcome, envelope,"
        " receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(batch.device, batch.epoch, batch.first, sealed.digest, claim.last, verdict.taken_first, now_ms),
            *(verdict.outcome, sealed.envelope_bytes, receipt),
        ),
    )
    state = verdict.state
    if state is not None:
        yield Statement(
            "INSERT INTO epochs (device, epoch, through, head, seen_ms, previous_epoch, previous_sequence)"
            " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (device, epoch) DO UPDATE"
            " SET through = excluded.through, head = excluded.head, seen_ms = excluded.seen_ms",
            (
                *(batch.device, state.epoch, state.through, state.head, now_ms),
                *(state.previous_epoch, state.previous_sequence),
            ),
        )
    if verdict.rows:
        yield Rows("events", EVENT_COLUMNS, verdict.rows)
        stated = [(*row[:3], now_ms, "waiting", "", 0) for row in verdict.rows if _states(row)]
        if stated:
            yield Rows("kiosk_statements", STATEMENT_COLUMNS, stated)


def _states(row: EventRow) -> bool:
    """Whether a member stated something by it (SPEC §7.14): somebody else takes it from here."""
    kind, decision, repeat_of, outcome = row[5], row[7], row[10], row[11]
    return (kind, decision, repeat_of, outcome) == (Kind.CONSENT, Outcome.GRANTED, 0, "accepted")
