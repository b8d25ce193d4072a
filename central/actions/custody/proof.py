"""A proof of one event, put together out of what was signed and kept (SPEC §11), and checked in front of a person."""

import base64
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.in_scope import Hex32, Line, gates_within, is_within
from central.actions.judging.explain import event_name
from central.keys import Keys
from central.services.marks import EventName
from central.store.schema import batches, devices, events, gates, join_tokens, venues
from protocol.envelope import Keyring, open_as, unwrap
from protocol.errors import Refused
from protocol.messages import (
    MAX_BATCH_EVENTS,
    Batch,
    Enrolled,
    Event,
    Revoked,
    Role,
    decode,
    encode,
)
from protocol.proof import Check, Checked, Proof
from protocol.proof_check import check_proof


class ProofMakeParams(Params, frozen=True):
    """`event`: DEVICE/EPOCH/SEQUENCE. `batch`: the digest of one of the batches that hold it; empty: of the one that
    brought it. `personal`: with its personal part, which says whose tap it was."""

    event: Line
    batch: Hex32 = ""
    personal: bool = False


class CheckLine(msgspec.Struct, frozen=True):
    """One step of a check. `text` with `values` in its places is `said`, so that it can be said in another language."""

    step: str
    finding: str
    said: str
    text: str
    values: dict[str, str]


class ProofMade(Result, frozen=True):
    """`file`: the bytes of the file, in base64. `holds`: whether it proves the event; what does not hold is told."""

    event: str
    batch: str
    file: str
    personal: bool
    holds: bool
    checks: list[CheckLine]


class Bundle(NamedTuple):
    """A proof, the row of its batch, and the gate of its event."""

    proof: Proof
    batch: Any
    gate: str


@action("proof.make", ProofMakeParams, writes=False)
async def proof_make(context: Context, params: ProofMakeParams) -> ProofMade:
    """For an event of any outcome: what is not proven, the proof says."""
    name = named(params.event)
    if params.personal and not context.caller.sees_all:
        raise ActionFailed("only an admin or an auditor may take a proof that says whose tap it was: leave it out")
    async with context.database.read() as connection:
        bundle = await bundle_of(connection, context, name, bytes.fromhex(params.batch))
        proof = bundle.proof
        if params.personal:
            held = await _personal(connection, name, bundle.batch)
            if proof.public and not held:
                raise ActionFailed(f"{params.event[:120]} has no personal part here, or it was destroyed: leave it out")
            proof = msgspec.structs.replace(proof, personal=held)
    found = check_proof(proof, context.keys.root_public)
    return ProofMade(
        event=f"{name[0]}/{name[1].hex()}/{name[2]}",
        batch=bundle.batch.digest.hex(),
        file=base64.b64encode(encode(proof)).decode(),
        personal=bool(proof.personal),
        holds=found.holds,
        checks=check_lines(found),
    )


def named(text: str) -> EventName:
    """The event that a text names. Raises ActionFailed."""
    name = event_name(text)
    if "\0" in name[0]:
        raise ActionFailed("no device has a name with a zero character")
    return name


def check_lines(found: Checked) -> list[CheckLine]:
    """As they are shown."""
    return [line_of_check(check) for check in found.checks]


def line_of_check(check: Check) -> CheckLine:
    """One of them."""
    return CheckLine(check.step.value, check.finding.value, check.said(), check.text, check.values)


async def bundle_of(connection: AsyncConnection, context: Context, name: EventName, digest: bytes) -> Bundle:
    """Raises ActionFailed where no such event is in custody within the caller's scope."""
    missing = ActionFailed(f"no event {name[0]}/{name[1].hex()}/{name[2]} is in custody here")
    row = await batch_holding(connection, name, digest)
    if row is None:
        raise missing
    public = public_part(row.envelope, name[2])
    gate = await _gate(connection, name, public, row.outcome == "forked")
    within = await gates_within(connection, context.scope)
    if not all(is_within(within, each) for each in {gate, *gates_in(row.envelope)}):  # the proof holds the whole batch
        raise missing
    device = await device_row(connection, row.device)
    if device is None:
        raise missing
    proof = proof_out_of(context.keys, row, device, name[2], public)
    return Bundle(proof, row, gate)


def proof_out_of(keys: Keys, row: Any, device: Any, sequence: int, public: bytes) -> Proof:
    """Of an event of the batch that `row` is, without its personal part."""
    return Proof(
        "tapgate.proof.v1",
        sequence,
        public,
        b"",
        row.envelope,
        row.receipt,
        _enrolled(keys, device),
        b"" if row.receipt else _revoked(keys, device),
        keys.statement_envelope,
        keys.root_public,
    )


async def batch_holding(connection: AsyncConnection, name: EventName, digest: bytes) -> Any:
    """The batch that brought the event, a forked one where no other holds it; or the one of that digest."""
    b = batches.c
    spans = (b.first <= name[2], b.first > name[2] - MAX_BATCH_EVENTS, b.through >= name[2])
    query = select(batches).where(b.device == name[0], b.epoch == name[1], *spans)
    if digest:
        query = query.where(b.digest == digest)
    order = ((b.outcome == "forked"), (b.taken_first > name[2]), b.received_ms, b.first)
    return (await connection.execute(query.order_by(*order).limit(1))).first()


def public_part(envelope: bytes, sequence: int) -> bytes:
    """The signed bytes at a place of a batch; empty where they cannot be read."""
    try:
        batch = decode(Batch, unwrap(envelope).payload)
    except Refused:
        return b""
    at = sequence - batch.first
    return batch.events[at] if 0 <= at < len(batch.events) else b""


def gates_in(envelope: bytes) -> set[str]:
    """Where the events of a batch happened, as far as they say; empty where they cannot be read."""
    try:
        batch = decode(Batch, unwrap(envelope).payload)
        return {event.gate for event in (decode(Event, public) for public in batch.events) if event.gate}
    except Refused:
        return set()


async def device_row(connection: AsyncConnection, device: str) -> Any:
    """The device with its place and the answer that it got when it was enrolled."""
    d = devices.c
    query = select(devices, gates.c.venue, venues.c.domain, join_tokens.c.enrolled)
    query = query.join(gates, gates.c.id == d.gate).join(venues, venues.c.id == gates.c.venue)
    query = query.outerjoin(join_tokens, join_tokens.c.device == d.id).where(d.id == device)
    return (await connection.execute(query.limit(1))).first()


async def _gate(connection: AsyncConnection, name: EventName, public: bytes, forked: bool) -> str:
    """Of the event by its own word; where it has none, of its device."""
    try:
        gate = decode(Event, public).gate
    except Refused:
        gate = ""
    if not gate and not forked:
        e = events.c
        query = select(e.gate).where(e.device == name[0], e.epoch == name[1], e.sequence == name[2])
        gate = (await connection.execute(query)).scalar() or ""
    if not gate:
        gate = (await connection.execute(select(devices.c.gate).where(devices.c.id == name[0]))).scalar() or ""
    return str(gate)


async def _personal(connection: AsyncConnection, name: EventName, row: Any) -> bytes:
    if row.outcome == "forked":
        return b""
    e = events.c
    query = select(e.personal).where(e.device == name[0], e.epoch == name[1], e.sequence == name[2])
    return (await connection.execute(query)).scalar() or b""


def _enrolled(keys: Keys, device: Any) -> bytes:
    """As it was signed when the device joined; where that is not held, or by a key that is gone, it is said again."""
    said = bytes(device.enrolled or b"")
    try:
        message = decode(Enrolled, unwrap(said).payload)
        open_as(Enrolled, said, Keyring.stated(keys.statement, message.at_ms), Role.PUBLISH)
        return said
    except Refused:
        place = (device.gate, device.venue, device.domain)
        return keys.publish.seal(Enrolled(device.id, *place, device.signing_public, device.enrolled_ms))


def _revoked(keys: Keys, device: Any) -> bytes:
    """The word that the device itself is told; empty where it is not revoked."""
    if device.state != "revoked":
        return b""
    return keys.publish.seal(Revoked(device.id, device.revoked_ms or 0, device.revoked_why[:500]))
