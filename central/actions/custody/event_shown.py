"""One event: its signed bytes, checked in front of a person, and all that stands beside it."""

from typing import Any

import msgspec
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Params, Result, action
from central.actions.custody.event_search import COLUMNS
from central.actions.custody.events import EventLine, line_of
from central.actions.custody.in_scope import Hex32, Line, venues_of
from central.actions.custody.proof import CheckLine, bundle_of, check_lines, named
from central.actions.custody.verify_custody import differs
from central.details import told
from central.keys import Keys
from central.services.marks import EventName
from central.store.schema import batches, events, manifests
from protocol.envelope import Keyring, open_as, unwrap
from protocol.errors import Refused
from protocol.messages import MAX_BATCH_EVENTS, Clock, Event, Manifest, Receipt, Role, decode
from protocol.proof import Finding
from protocol.proof_check import check_proof


class EventShowParams(Params, frozen=True):
    """`event`: DEVICE/EPOCH/SEQUENCE. `batch`: the digest of one of the batches that hold it; empty: of the one that
    brought it."""

    event: Line
    batch: Hex32 = ""


class BatchName(msgspec.Struct, frozen=True):
    """A batch, and what became of it."""

    device: str
    epoch: str
    first: int
    through: int
    digest: str
    outcome: str
    received_ms: int
    bytes: int


class EventShown(Result, frozen=True):
    """`public`: the signed bytes, in hex. `signed`: what they say; null where they cannot be read. `personal`: `none`,
    `held`, `destroyed`, or `evidence` where it rests with a forked batch. `contradicting`: forked batches with other
    bytes of this name. `before`, `after`: the names of its neighbours."""

    event: EventLine
    public: str
    signed: dict[str, Any] | None
    personal: str
    batch: BatchName
    checks: list[CheckLine]
    holds: bool
    receipt: dict[str, Any] | None
    manifest: dict[str, Any] | None
    contradicting: list[BatchName]
    before: str
    after: str


@action("event.show", EventShowParams, writes=False)
async def event_show(context: Context, params: EventShowParams) -> EventShown:
    """Every step of the check is told, also those that hold."""
    name = named(params.event)
    async with context.database.read() as connection:
        bundle = await bundle_of(connection, context, name, bytes.fromhex(params.batch))
        row = None if bundle.batch.outcome == "forked" else await _row(connection, name)
        venue = (await venues_of(connection, [bundle.gate])).get(bundle.gate, "")
        event = _decoded(bundle.proof.public)
        manifest = await _manifest(connection, context.keys, name[0], event)
        contradicting = await _forked(connection, name, bundle.batch.digest)
        before, after = await _neighbours(connection, name)
    found = check_proof(bundle.proof, context.keys.root_public)
    checks = check_lines(found)
    if row is not None:
        checks.append(_stored(row, bundle.proof.public))
    return EventShown(
        event=line_of(row, venue) if row is not None else _line(name, event, venue),
        public=bundle.proof.public.hex(),
        signed=signed_map(event) if event else None,
        personal=_personal(row, event),
        batch=batch_name(bundle.batch),
        checks=checks,
        holds=all(check.finding == Finding.HOLDS for check in checks),
        receipt=receipt_map(bundle.batch.receipt),
        manifest=manifest,
        contradicting=contradicting,
        before=before,
        after=after,
    )


def signed_map(event: Event) -> dict[str, Any]:
    """What the public part says, bytes as hex."""
    said = msgspec.structs.asdict(event)
    said |= {"boot_id": event.boot_id.hex(), "clock": event.clock.name.lower()}
    said |= {"held": msgspec.structs.asdict(event.held), "personal_digest": event.personal_digest.hex()}
    return said | {"detail": told(event.kind, event.detail), "detail_bytes": event.detail.hex()}


def receipt_map(envelope: bytes) -> dict[str, Any] | None:
    """What a receipt says, read without judging it: the checks do. None where there is none."""
    try:
        receipt = decode(Receipt, unwrap(envelope).payload)
    except Refused:
        return None
    said = msgspec.structs.asdict(receipt)
    exceptions = [
        {"sequence": each.sequence, "custody": each.custody.value, "reason": each.reason} for each in receipt.exceptions
    ]
    said |= {"epoch": receipt.epoch.hex(), "head": receipt.head.hex(), "exceptions": exceptions}
    return said | {"key": unwrap(envelope).key_id.hex()}


def batch_name(row: Any) -> BatchName:
    """Of a whole row of the table."""
    size = len(row.envelope)
    said = (row.digest.hex(), row.outcome, row.received_ms, size)
    return BatchName(row.device, row.epoch.hex(), row.first, row.through, *said)


# --- what stands beside it --------------------------------------------------------------------------------------


async def _row(connection: AsyncConnection, name: EventName) -> Any:
    e = events.c
    query = select(*COLUMNS, e.personal).where(e.device == name[0], e.epoch == name[1], e.sequence == name[2])
    return (await connection.execute(query)).first()


async def _manifest(connection: AsyncConnection, keys: Keys, device: str, event: Event | None) -> dict[str, Any] | None:
    """The manifest that the gate held then; None where it held none, or it is not in this database."""
    if event is None or not event.held.manifest:
        return None
    m = manifests.c
    query = select(m.envelope).where(m.device == device, m.number == event.held.manifest)
    envelope = (await connection.execute(query)).scalar()
    if envelope is None:
        return None
    try:
        manifest = decode(Manifest, unwrap(envelope).payload)
    except Refused:
        return None
    try:
        open_as(Manifest, envelope, Keyring.stated(keys.statement, manifest.at_ms), Role.PUBLISH)
        why = ""
    except Refused as refused:
        why = str(refused)
    said = msgspec.structs.asdict(manifest)
    parts = [{"name": part.name, "version": part.version, "digest": part.digest.hex()} for part in manifest.parts]
    said |= {"parts": parts, "ages": msgspec.structs.asdict(manifest.ages)}
    return said | {"signed": not why, "why": why, "bytes": len(envelope)}


async def _forked(connection: AsyncConnection, name: EventName, shown: bytes) -> list[BatchName]:
    b = batches.c
    spans = (b.first <= name[2], b.first > name[2] - MAX_BATCH_EVENTS, b.through >= name[2])
    query = select(batches).where(b.device == name[0], b.epoch == name[1], *spans)
    rows = (await connection.execute(query.where(b.digest != shown).order_by(b.received_ms).limit(20))).all()
    return [batch_name(row) for row in rows if row.outcome == "forked"]


async def _neighbours(connection: AsyncConnection, name: EventName) -> tuple[str, str]:
    e = events.c
    around = (name[2] - 1, name[2] + 1)
    query = select(e.sequence).where(e.device == name[0], e.epoch == name[1], e.sequence.in_(around))
    held = set((await connection.execute(query)).scalars())
    before, after = (f"{name[0]}/{name[1].hex()}/{at}" if at in held else "" for at in around)
    return before, after


# --- what it says -----------------------------------------------------------------------------------------------


def _decoded(public: bytes) -> Event | None:
    try:
        return decode(Event, public)
    except Refused:
        return None


def _line(name: EventName, event: Event | None, venue: str) -> EventLine:
    """Of an event that only its batch holds."""
    where = (f"{name[0]}/{name[1].hex()}/{name[2]}", name[0], name[1].hex(), name[2])
    e = event or Event(name[2], 0, bytes(8), 0, Clock.TRUSTED, "", "unreadable")
    said = (e.kind, e.direction, e.decision, e.reason, e.rule)
    return EventLine(*where, e.gate, venue, e.at_ms, *said, e.repeat_of, "forked", told(e.kind, e.detail))


def _personal(row: Any, event: Event | None) -> str:
    if event is None or not event.personal_digest:
        return "none"
    if row is None:
        return "evidence"
    return "destroyed" if row.personal is None else "held"


def _stored(row: Any, public: bytes) -> CheckLine:
    """That the columns which are searched say what was signed. The one step that needs this database."""
    why = differs(row, public)
    finding = Finding.FAILS if why else Finding.HOLDS
    text = "The row that is searched was altered: {why}." if why else "The row that is searched says what was signed."
    return CheckLine("stored", finding.value, text.format(why=why), text, {"why": why} if why else {})
