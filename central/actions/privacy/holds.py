"""Legal holds: stated, listed and ended by admins. While one is in force nothing of what it names is destroyed."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from sqlalchemy import insert, select, update

from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.cards.named import members_by_reference, references_of
from central.actions.moment_ids import moment_id
from central.actions.places.places import must_exist
from central.services.turns import one_at_a_time
from central.store.schema import legal_holds, venues

HoldId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class HoldPutParams(Params, frozen=True, kw_only=True):
    """A member or a venue; neither: everything is kept."""

    member: Annotated[str, msgspec.Meta(max_length=128)] = ""
    venue: Annotated[str, msgspec.Meta(max_length=64)] = ""
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    who: str = ""


class HoldEndParams(Params, frozen=True, kw_only=True):
    """Which one."""

    id: HoldId
    who: str = ""


class HoldsParams(Params, frozen=True):
    """`ended`: those that are over, too."""

    ended: bool = False


class Hold(Result, frozen=True):
    """`ended_ms` 0 = it is in force. `member` and `venue` empty: of everything."""

    id: str
    member: str
    venue: str
    why: str
    who: str
    at_ms: int
    ended_ms: int
    ended_by: str


class HoldsListed(Result, frozen=True):
    """The newest first."""

    holds: list[Hold]


@action("hold.put", HoldPutParams, writes=True)
async def hold_put(context: Context, params: HoldPutParams) -> Hold:
    """From now on nothing of it is destroyed, neither by an erasure nor by a rule."""
    if params.member and params.venue:
        raise ActionFailed("name a member or a venue, not both: two holds say what one of them could not")
    async with context.database.write() as connection:
        await one_at_a_time(connection)  # what is being destroyed is gone; from here on nothing is
        member = b""
        if params.member:
            member = (await members_by_reference(connection, [params.member])).get(params.member, b"")
            if not member:
                raise ActionFailed(f"there is no member {params.member!r}: see `member find`")
        if params.venue:
            await must_exist(connection, venues, params.venue, "venue")
        id_ = await moment_id(connection, legal_holds.c.id, "h", context.now_ms)
        values: dict[str, Any] = {
            "id": id_,
            "member": member,
            "venue": params.venue,
            "why": params.why,
            "who": params.who,
        }
        values |= {"at_ms": context.now_ms, "ended_ms": 0, "ended_by": ""}
        await connection.execute(insert(legal_holds).values(values))
    return _hold(values, params.member)


@action("hold.end", HoldEndParams, writes=True)
async def hold_end(context: Context, params: HoldEndParams) -> Hold:
    """What it kept may be destroyed again; a rule that is behind goes on by itself."""
    async with context.database.write() as connection:
        query = select(legal_holds).where(legal_holds.c.id == params.id).with_for_update()
        row = (await connection.execute(query)).mappings().one_or_none()
        if row is None:
            raise ActionFailed(f"there is no hold {params.id!r}: see `hold list`")
        if row["ended_ms"]:
            raise ActionFailed(f"{params.id} is over already, ended by {row['ended_by']}")
        over = {"ended_ms": context.now_ms, "ended_by": params.who}
        await connection.execute(update(legal_holds).where(legal_holds.c.id == params.id).values(over))
        reference = (await references_of(connection, [bytes(row["member"])])).get(bytes(row["member"]), "")
    return _hold({**dict(row), **over}, reference)


@action("hold.list", HoldsParams, writes=False)
async def hold_list(context: Context, params: HoldsParams) -> HoldsListed:
    """What is kept, why and by whose order."""
    query = select(legal_holds).order_by(legal_holds.c.at_ms.desc(), legal_holds.c.id.desc())
    if not params.ended:
        query = query.where(legal_holds.c.ended_ms == 0)
    async with context.database.read() as connection:
        rows = (await connection.execute(query)).mappings().all()
        known = await references_of(connection, [bytes(row["member"]) for row in rows if row["member"]])
    return HoldsListed(holds=[_hold(dict(row), known.get(bytes(row["member"]), "")) for row in rows])


def _hold(row: Mapping[str, Any], reference: str) -> Hold:
    told = {name: row[name] for name in ("id", "venue", "why", "who", "at_ms", "ended_ms", "ended_by")}
    return msgspec.convert(told | {"member": reference}, Hold)
