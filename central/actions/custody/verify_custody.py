"""Custody: signatures, chains and receipts of every batch, and that rows say what the signed bytes say."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.custody.findings import Findings
from central.actions.custody.log import COLUMNS
from central.claim import Claim, Sealed, verify
from central.store.schema import batches, devices, epochs, events, evidence
from protocol.envelope import Keyring, digest, open_as, unwrap
from protocol.errors import Refused
from protocol.journal import genesis, personal_digest
from protocol.messages import Batch, Custody, Event, Receipt, Role, Upload, decode

BATCHES_AT_ONCE = 16
OUTCOMES = ("accepted", "untrusted", "forked")


class _Run(NamedTuple):
    """How far the batches of one epoch lead, in the order in which they were taken."""

    next: int
    head: bytes
    previous_epoch: bytes = b""
    previous_sequence: int = -1
    seen_ms: int = 0
    rows: int = 0


async def check(findings: Findings, connection: AsyncConnection) -> None:
    """Every epoch of every device, then the evidence."""
    rings = {
        row.id: Keyring.of(row.signing_public)
        for row in await connection.execute(select(devices.c.id, devices.c.signing_public))
    }
    total = (await connection.execute(select(func.count()).select_from(batches))).scalar_one()
    runs: dict[tuple[str, bytes], _Run] = {}
    order = (batches.c.device, batches.c.epoch, batches.c.taken_first, batches.c.first, batches.c.digest)
    query = select(batches).order_by(*order).execution_options(yield_per=BATCHES_AT_ONCE)
    done = 0
    async for row in await connection.stream(query):
        where = f"batch {row.device} {row.epoch.hex()} {row.first}"
        run = runs.get((row.device, row.epoch), _Run(0, genesis(row.device, row.epoch)))
        try:
            runs[row.device, row.epoch] = await _batch(findings, connection, rings, row, run)
        except Refused as refused:
            await findings.problem(where, str(refused))
        findings.count("batches")
        done += 1
        await findings.context.progress("batches", done, total)
    await _epochs(findings, connection, runs)
    await _evidence(findings, connection)


async def _batch(
    findings: Findings, connection: AsyncConnection, rings: dict[str, Keyring], row: Any, run: _Run
) -> _Run:
    """Raises Refused for a batch whose own bytes do not hold; the run then shows a gap at its place as well."""
    where = f"batch {row.device} {row.epoch.hex()} {row.first}"
    claim = _claim(rings, row)
    batch, last = claim.batch, claim.last
    if (batch.device, batch.epoch, batch.first, last) != (row.device, row.epoch, row.first, row.through):
        await findings.problem(where, "its columns are not what its envelope says")
    if digest(row.envelope) != row.digest:
        await findings.problem(where, "its digest is not that of its envelope")
    receipt = await _receipt(findings, where, row, batch)
    if row.outcome not in OUTCOMES:
        await findings.problem(where, f"there is no outcome {row.outcome!r}")
    if row.taken_first > last:
        if row.taken_first != last + 1:
            await findings.problem(where, f"is said to have brought events from {row.taken_first}, past its end")
        return run
    at = row.taken_first - batch.first
    before = batch.previous_head if at == 0 else claim.heads[at - 1] if at > 0 else b""
    lost = max(0, row.taken_first - run.next)
    if at < 0 or row.taken_first < run.next or (lost and (at or lost > batch.lost)):
        await findings.problem(where, f"brings events from {row.taken_first}, where {run.next} is next")
    elif not lost and before != run.head:
        await findings.problem(where, f"does not go on from the head that is held at {run.next - 1}")
    number = await _events(findings, connection, row, claim, receipt) if at >= 0 else 0
    start = (claim.start.previous_epoch, max(-1, claim.start.previous_sequence)) if claim.start else run[2:4]
    return _Run(last + 1, batch.head, *start, seen_ms=row.received_ms, rows=run.rows + number)


def _claim(rings: dict[str, Keyring], row: Any) -> Claim:
    envelope = unwrap(row.envelope)
    batch = decode(Batch, envelope.payload)
    sealed = Sealed(b"", row.envelope, envelope, batch, (), row.digest)
    return verify(sealed, rings.get(row.device, Keyring()))


async def _receipt(findings: Findings, where: str, row: Any, batch: Batch) -> Receipt | None:
    if not row.receipt:
        if row.outcome == "accepted":
            await findings.problem(where, "is accepted without a receipt")
        return None
    try:
        receipt = open_as(Receipt, row.receipt, _ours(findings), Role.RECEIPT)
    except Refused as refused:
        await findings.problem(where, f"receipt: {refused}")
        return None
    last = batch.first + len(batch.events) - 1
    said = (receipt.device, receipt.epoch, receipt.first, receipt.through, receipt.head)
    if said != (batch.device, batch.epoch, batch.first, last, batch.head):
        await findings.problem(where, "its receipt is of other events")
    if receipt.at_ms != row.received_ms:
        await findings.problem(where, f"received_ms is {row.received_ms}, its receipt says {receipt.at_ms}")
    if receipt.fork != (row.outcome == "forked") or row.outcome == "untrusted":
        await findings.problem(where, f"its receipt does not say what its outcome says ({row.outcome})")
    findings.count("receipts")
    return receipt


def _ours(findings: Findings) -> Keyring:
    return Keyring.stated(findings.context.keys.statement, findings.context.now_ms)


# --- events -----------------------------------------------------------------------------------------------


async def _events(
    findings: Findings, connection: AsyncConnection, row: Any, claim: Claim, receipt: Receipt | None
) -> int:
    """The rows of the events that this batch brought anew. Returns how many there are."""
    query = select(*COLUMNS, events.c.personal).where(
        events.c.device == row.device,
        events.c.epoch == row.epoch,
        events.c.sequence.between(row.taken_first, claim.last),
    )
    held = {found.sequence: found for found in await connection.execute(query)}
    exempt = {each.sequence: each.custody for each in receipt.exceptions} if receipt else {}
    for sequence in range(row.taken_first, claim.last + 1):
        where = f"event {row.device} {row.epoch.hex()} {sequence}"
        found = held.get(sequence)
        if found is None:
            await findings.problem(where, "is in a batch and not among the events")
            continue
        allowed = _outcomes(row.outcome, exempt.get(sequence))
        if found.outcome not in allowed:
            await findings.problem(where, f"outcome is {found.outcome!r}, {' or '.join(allowed)} was given")
        fault = differs(found, claim.batch.events[sequence - claim.batch.first])
        if fault:
            await findings.problem(where, fault)
    findings.count("events", len(held))
    return len(held)


def _outcomes(batch: str, custody: Custody | None) -> Sequence[str]:
    if batch == "untrusted":
        return ("untrusted", "refused")  # nothing was signed about them
    return (custody.value,) if custody else ("accepted",)


def differs(row: Any, public: bytes) -> str:
    """What of a row is not what the signed public part says; empty when all is."""
    try:
        event = decode(Event, public)
    except Refused:
        event = None
    if event is None:
        blank = not any((row.at_ms, row.gate, row.kind, row.decision, row.reason, row.rule, row.detail))
        return "" if blank and row.outcome == "refused" else "its signed bytes do not decode, its columns say something"
    for name in ("at_ms", "gate", "kind", "direction", "decision", "reason", "rule", "repeat_of"):
        said = getattr(event, name)
        if row.outcome == "refused" and isinstance(said, str):
            said = said.replace("\0", "")
        if getattr(row, name) != said:
            return f"{name} is {getattr(row, name)!r}, {said!r} was signed"
    if (row.detail or b"") != event.detail:
        return "its detail is not the one that was signed"
    if row.personal is not None and row.outcome != "refused" and personal_digest(row.personal) != event.personal_digest:
        return "its personal part is not the one that was signed"
    return ""


# --- epochs and evidence ------------------------------------------------------------------------------------


async def _epochs(findings: Findings, connection: AsyncConnection, runs: dict[tuple[str, bytes], _Run]) -> None:
    counted = select(events.c.device, events.c.epoch, func.count()).group_by(events.c.device, events.c.epoch)
    counts = {(device, epoch): number for device, epoch, number in await connection.execute(counted)}
    held = {(row.device, row.epoch): row for row in await connection.execute(select(epochs))}
    for key in sorted({*counts, *held, *(key for key, run in runs.items() if run.next)}):
        where, run, row = f"epoch {key[0]} {key[1].hex()}", runs.get(key), held.get(key)
        findings.count("epochs")
        if row is None or run is None:
            await findings.problem(where, "has events, batches or a state that the others lack")
            continue
        if (row.through, row.head) != (run.next - 1, run.head):
            await findings.problem(where, f"is held through {row.through}, its batches lead to {run.next - 1}")
        if (row.previous_epoch, row.previous_sequence) != (run.previous_epoch, run.previous_sequence):
            await findings.problem(where, "does not name the predecessor that its first event names")
        if row.seen_ms != run.seen_ms:
            await findings.problem(where, f"seen_ms is {row.seen_ms}, its last batch came at {run.seen_ms}")
        if counts.get(key, 0) != run.rows:
            await findings.problem(where, f"has {counts.get(key, 0)} events, its batches brought {run.rows}")


async def _evidence(findings: Findings, connection: AsyncConnection) -> None:
    query = select(evidence.c.device, evidence.c.kind, evidence.c.digest, evidence.c.body)
    async for row in await connection.stream(query.execution_options(yield_per=BATCHES_AT_ONCE)):
        findings.count("evidence")
        if row.body and row.digest not in _digests(row.body):
            await findings.problem(f"evidence {row.kind} {row.device} {row.digest.hex()}", "was altered")


def _digests(body: bytes) -> list[bytes]:
    """Of the body itself, and of the batch inside when it is a whole upload."""
    try:
        return [digest(body), digest(decode(Upload, body).batch)]
    except Refused:
        return [digest(body)]
