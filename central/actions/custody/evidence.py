"""What contradicts, is missing or was not meant for us: gaps, forks, losses, broken chains, alarms."""

import msgspec
from sqlalchemy import select

from central.actions.action import Context, Params, Result, action
from central.actions.custody.in_scope import devices_within, gates_within, since_here
from central.store.schema import evidence


class EvidenceParams(Params, frozen=True):
    """Filters; empty = any."""

    device: str = ""
    kind: str = ""


class Piece(msgspec.Struct, frozen=True):
    """One piece of evidence. `seen`: how often the same came; `bytes`: how much of it is kept."""

    at_ms: int
    kind: str
    device: str
    detail: str
    seen: int
    bytes: int
    digest: str


class Pieces(Result, frozen=True):
    """Oldest first."""

    evidence: list[Piece]


@action("evidence", EvidenceParams, writes=False)
async def evidence_list(context: Context, params: EvidenceParams) -> Pieces:
    """Everything that is kept as evidence; nothing ever removes it. Of a device that came from another's venue: what
    was found since."""
    query = select(evidence).order_by(evidence.c.at_ms, evidence.c.device)
    if params.device:
        query = query.where(evidence.c.device == params.device)
    if params.kind:
        query = query.where(evidence.c.kind == params.kind)
    async with context.database.read() as connection:
        within = await gates_within(connection, context.scope)
        wanted = await devices_within(connection, within, "")
        if wanted is not None:
            query = query.where(evidence.c.device.in_(wanted))
        since = await since_here(connection, within, wanted or ())
        rows = [row for row in await connection.execute(query) if row.at_ms >= since.get(row.device, 0)]
    return Pieces(
        evidence=[
            Piece(row.at_ms, row.kind, row.device, row.detail, row.seen, len(row.body), row.digest.hex())
            for row in rows
        ]
    )
