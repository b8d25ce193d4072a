"""One batch: its events as they were signed, its receipt, and a check of both in front of a person."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.custody.batch_search import found_by
from central.actions.custody.batches import BatchLine, lines_of
from central.actions.custody.event_shown import BatchName, batch_name, receipt_map
from central.actions.custody.evidence import Piece
from central.actions.custody.in_scope import Hex8, Hex32, Word, gates_within, is_within
from central.actions.custody.proof import CheckLine, check_lines, device_row, proof_out_of
from central.details import told
from central.store.schema import batches, evidence
from protocol.envelope import unwrap
from protocol.errors import Refused
from protocol.journal import heads
from protocol.messages import Batch, Clock, Event, decode
from protocol.proof import Finding, Step
from protocol.proof_check import check_proof


class BatchShowParams(Params, frozen=True):
    """`first`: its first sequence; `digest`: SHA-256 of its envelope, where there are several; empty: the one that came
    first. `raw`: with its signed bytes."""

    device: Word
    epoch: Hex8
    first: Annotated[int, Meta(ge=0, le=2**53)]
    digest: Hex32 = ""
    raw: bool = False


class Held(msgspec.Struct, frozen=True):
    """One event of the batch as it was signed. `custody`: `accepted`, `held`, `refused`, `untrusted` or `forked`, and
    `why`. `head`: of the chain after it. `kind` is `unreadable` where the bytes are no event."""

    sequence: int
    at_ms: int
    gate: str
    kind: str
    direction: str
    decision: str
    reason: str
    rule: str
    clock: str
    custody: str
    why: str
    detail: dict[str, Any]
    bytes: int
    head: str


class BatchShown(Result, frozen=True):
    """`lost`: how many sequences before `first` it declares lost. `checks`: all steps but those of a single event.
    `evidence`: what was kept because of it. `raw`: the envelope in hex, where it was asked for. `before`, `after`: its
    neighbours in its epoch."""

    batch: BatchLine
    key: str
    previous_head: str
    head: str
    lost: int
    events: list[Held]
    checks: list[CheckLine]
    holds: bool
    receipt: dict[str, Any] | None
    evidence: list[Piece]
    before: BatchName | None
    after: BatchName | None
    raw: str


@action("batch.show", BatchShowParams, writes=False)
async def batch_show(context: Context, params: BatchShowParams) -> BatchShown:
    """Nothing is taken from columns that the signed bytes say."""
    missing = ActionFailed(f"no batch {params.device}/{params.epoch}/{params.first} is held here")
    async with context.database.read() as connection:
        row = await _row(connection, params)
        device = await device_row(connection, row.device) if row is not None else None
        if row is None or device is None:
            raise missing
        batch = _decoded(row.envelope)
        receipt = receipt_map(row.receipt)
        held = _events(batch, row.outcome, receipt) if batch else []
        within = await gates_within(connection, context.scope)
        if not all(is_within(within, gate) for gate in {event.gate or device.gate for event in held} or {device.gate}):
            raise missing
        (line,) = await lines_of(connection, [await found_by(connection, row)])
        pieces = await _pieces(connection, row)
        before, after = await _neighbours(connection, row)
    first = batch.events[0] if batch else b""
    found = check_proof(proof_out_of(context.keys, row, device, params.first, first), context.keys.root_public)
    of_events = (Step.EVENT, Step.PERSONAL, Step.CUSTODY)
    checks = [check for check in check_lines(found) if check.step not in of_events]
    return BatchShown(
        batch=line,
        key=_key(row.envelope),
        previous_head=batch.previous_head.hex() if batch else "",
        head=batch.head.hex() if batch else "",
        lost=batch.lost if batch else 0,
        events=held,
        checks=checks,
        holds=all(check.finding == Finding.HOLDS for check in checks),
        receipt=receipt,
        evidence=pieces,
        before=before,
        after=after,
        raw=row.envelope.hex() if params.raw else "",
    )


async def _row(connection: AsyncConnection, params: BatchShowParams) -> Any:
    b = batches.c
    query = select(batches).where(b.device == params.device, b.epoch == bytes.fromhex(params.epoch))
    query = query.where(b.first == params.first)
    if params.digest:
        query = query.where(b.digest == bytes.fromhex(params.digest))
    return (await connection.execute(query.order_by(b.received_ms).limit(1))).first()


def _decoded(envelope: bytes) -> Batch | None:
    try:
        return decode(Batch, unwrap(envelope).payload)
    except Refused:
        return None  # the checks say why


def _key(envelope: bytes) -> str:
    try:
        return unwrap(envelope).key_id.hex()
    except Refused:
        return ""


def _events(batch: Batch, outcome: str, receipt: dict[str, Any] | None) -> list[Held]:
    said = {each["sequence"]: each for each in receipt["exceptions"]} if receipt else {}
    lines = []
    chain = heads(batch.previous_head, batch.events)
    for sequence, (public, head) in enumerate(zip(batch.events, chain, strict=True), batch.first):
        exempt = said.get(sequence, {})
        custody, why = exempt.get("custody", outcome), exempt.get("reason", "")
        try:
            e = decode(Event, public)
        except Refused as refused:
            e, why = Event(sequence, 0, bytes(8), 0, Clock.TRUSTED, "", "unreadable"), why or str(refused)
        facts = (e.gate, e.kind, e.direction, e.decision, e.reason, e.rule, e.clock.name.lower())
        said_more = told(e.kind, e.detail)
        lines.append(Held(sequence, e.at_ms, *facts, custody, why, said_more, len(public), head.hex()))
    return lines


async def _pieces(connection: AsyncConnection, row: Any) -> list[Piece]:
    query = select(evidence).where(evidence.c.device == row.device, evidence.c.digest == row.digest)
    found = (await connection.execute(query.order_by(evidence.c.at_ms))).all()
    return [
        Piece(each.at_ms, each.kind, each.device, each.detail, each.seen, len(each.body), each.digest.hex())
        for each in found
    ]


async def _neighbours(connection: AsyncConnection, row: Any) -> tuple[BatchName | None, BatchName | None]:
    b = batches.c
    query = select(batches).where(b.device == row.device, b.epoch == row.epoch).limit(1)
    before = (await connection.execute(query.where(b.first < row.first).order_by(b.first.desc()))).first()
    after = (await connection.execute(query.where(b.first > row.first).order_by(b.first))).first()
    return (batch_name(before) if before else None), (batch_name(after) if after else None)
