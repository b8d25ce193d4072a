"""Erasing a person, and what is known afterwards of who was erased."""

import base64
import secrets
from typing import Annotated, Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.named import members_by_reference
from central.privacy.erasure import ledger
from central.privacy.erasure.erasing import Ordered, erase, rows_held
from central.privacy.erasure.files import copies, scrub
from central.privacy.erasure.late import HEARD_MS, destroy_late, let_go
from central.privacy.found import Person, events_of, number_with_parts, person_of
from central.privacy.holds import holds_on
from central.services.turns import one_at_a_time
from central.store.schema import erasures
from protocol.erasure import Erasure, Remains, Went, person_digest

GATES, BACKUPS, COPIES = "gates", "backups", "copies"
PAGE = 50


class EraseParams(Params, frozen=True, kw_only=True):
    """`person`: the city's reference; it stands in no audit log, since it is what goes. Without `apply` nothing is
    changed."""

    person: Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
    apply: bool = False
    who: str = ""


class Place(msgspec.Struct, frozen=True):
    """Where something may still be; `until_ms` 0 = until somebody removes it."""

    where: str
    until_ms: int


class Erased(Result, frozen=True, kw_only=True):
    """What went, or would go, by table. `receipt_base64`: the signed receipt (SPEC §5.17) for the person; it is kept
    nowhere. `remains`: where something may still be. `files_clean`: no
    file of the data directory holds any of it; else `erasure compact` does that."""

    applied: bool
    erasure: str
    rows: dict[str, int]
    remains: list[Place]
    copies: list[str]
    files_clean: bool
    receipt_base64: str


class ErasuresParams(Params, frozen=True):
    """`reference`: whether somebody was erased under it, asked by who brings it."""

    sought: Annotated[str, msgspec.Meta(max_length=128)] = ""
    before_ms: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=500)] = PAGE


class ErasureRow(msgspec.Struct, frozen=True, kw_only=True):
    """One erasure. `consents`: what had been said, by purpose, state, version of the notice and time; it names nobody.
    `heard_ms` 0: some gate has still to hear of it."""

    erasure: str
    at_ms: int
    who: str
    rows: dict[str, int]
    consents: list[tuple[str, str, int, int]]
    heard_ms: int


class ErasuresListed(Result, frozen=True):
    """The newest first."""

    erasures: list[ErasureRow]
    more: bool


class CompactParams(Params, frozen=True):
    """Nothing to say."""


class Compacted(Result, frozen=True):
    """Whether no file of the data directory holds anything that was deleted."""

    files_clean: bool


@action("member.erase", EraseParams, writes=True)
async def member_erase(context: Context, params: EraseParams) -> Erased:
    """Everything that is held of a person goes, for good: it cannot be undone, and is done again after a restore."""
    async with context.database.read() as connection:
        person = await _person(context, connection, params.person)
        names = await events_of(connection, person)
        rows = await rows_held(connection, person)
        if parts := await number_with_parts(connection, names):
            rows["events"] = parts
    set_aside = [file.name for file in copies(context.config.data_dir)]
    remains = _remains(context.now_ms, person, set_aside)
    said: dict[str, Any] = {"remains": remains, "copies": set_aside}
    if not params.apply:
        return Erased(applied=False, erasure="", rows=rows, files_clean=False, receipt_base64="", **said)
    ordered = Ordered(secrets.token_bytes(16), params.who, context.now_ms)
    ledger.append(context.keys.directory, _line(context, person, ordered))
    async with context.database.write() as connection:
        await one_at_a_time(connection)  # nobody puts a hold meanwhile
        await _must_not_be_held(connection, person)
        went = await erase(connection, context.keys, person, names, ordered)
        receipt = _receipt(context, person.reference, ordered, went, remains)
    is_clean = await scrub(context.config, context.database)
    said |= {"rows": went, "files_clean": is_clean, "receipt_base64": base64.b64encode(receipt).decode()}
    return Erased(applied=True, erasure=ordered.id.hex(), **said)


async def _person(context: Context, connection: AsyncConnection, reference: str) -> Person:
    member = (await members_by_reference(connection, [reference])).get(reference)
    person = await person_of(connection, context.keys, member) if member is not None else None
    if person is None:
        raise ActionFailed("there is no such member: see `member find`")
    await _must_not_be_held(connection, person)
    return person


async def _must_not_be_held(connection: AsyncConnection, person: Person) -> None:
    for hold in await holds_on(connection, person.id):
        raise ActionFailed(f"a legal hold keeps this member: {hold.why} ({hold.id}, stated by {hold.who})")


def _remains(now_ms: int, person: Person, set_aside: list[str]) -> list[Place]:
    """What central cannot destroy from here."""
    found = [Place(BACKUPS, 0)]
    if person.subjects:
        found.insert(0, Place(GATES, now_ms + HEARD_MS))
    return [*found, Place(COPIES, 0)] if set_aside else found


def _line(context: Context, person: Person, ordered: Ordered) -> ledger.Line:
    keys = context.keys
    return ledger.Line(
        ordered.id.hex(),
        ordered.at_ms,
        keys.erased_hash("member", person.id).hex(),
        keys.erased_hash("reference", person.reference.encode()).hex(),
        [keys.erased_hash("subject", subject).hex() for subject in person.subjects.values()],
    )


def _receipt(context: Context, reference: str, ordered: Ordered, went: dict[str, int], remains: list[Place]) -> bytes:
    salt = secrets.token_bytes(16)
    told = tuple(Went(what, number) for what, number in went.items())
    left = tuple(Remains(place.where, place.until_ms) for place in remains)
    said = Erasure(ordered.id, ordered.at_ms, salt, person_digest(salt, reference), told, left)
    return context.keys.receipt.seal(said)


@action("erasure.list", ErasuresParams, writes=False)
async def erasure_list(context: Context, params: ErasuresParams) -> ErasuresListed:
    """Who was erased when and by whom, without saying who; or the erasures of the reference that is asked for."""
    e = erasures.c
    query = select(erasures).order_by(e.at_ms.desc(), e.id)
    if params.sought:
        query = query.where(e.reference == context.keys.erased_hash("reference", params.sought.encode()))
    if params.before_ms:
        query = query.where(e.at_ms < params.before_ms)
    async with context.database.read() as connection:
        rows = (await connection.execute(query.limit(params.limit + 1))).all()
    shown = [
        ErasureRow(
            erasure=row.id.hex(),
            at_ms=row.at_ms,
            who=row.who,
            rows=msgspec.json.decode(row.counts),
            consents=msgspec.json.decode(row.consents, type=list[tuple[str, str, int, int]]),
            heard_ms=row.heard_ms,
        )
        for row in rows[: params.limit]
    ]
    return ErasuresListed(erasures=shown, more=len(rows) > params.limit)


@action("erasure.compact", CompactParams, writes=True)
async def erasure_compact(context: Context, _params: CompactParams) -> Compacted:
    """Let go of what every gate has heard of, destroy what came late of who was erased, and write the database file
    anew, whatever its size: nothing that was deleted is in any file then."""
    await let_go(context.database, context.now_ms)
    while await destroy_late(context.database, context.keys, context.now_ms):
        pass
    return Compacted(files_clean=await scrub(context.config, context.database, whatever_size=True))


async def number_waiting(connection: AsyncConnection) -> int:
    """Erasures of which some gate has still to hear."""
    query = select(func.count()).select_from(erasures).where(erasures.c.heard_ms == 0)
    return int((await connection.execute(query)).scalar_one())
