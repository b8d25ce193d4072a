"""Support bundles: asking a device for one over its held connection, seeing it arrive, and fetching it."""

import secrets
from typing import Annotated, Any

import msgspec
from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central import bundles as kept
from central.access.caller import Role
from central.actions.action import ActionFailed, Context, Params, Result, action
from central.actions.places.devices import DeviceId
from central.store.schema import bundles, devices, gates
from central.wakeups import device_topic, note
from protocol.messages import Ask, Poll, decode

BundleId = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
MOST_LISTED = 200
_b = bundles.c


class BundleAskParams(Params, frozen=True):
    """Of which device."""

    device: DeviceId
    who: Annotated[str, msgspec.Meta(max_length=64)] = ""


class BundleListParams(Params, frozen=True):
    """Of one device, or of all. `after`: a bundle; those that were asked for before it are wanted."""

    device: DeviceId = ""
    after: Annotated[str, msgspec.Meta(max_length=32)] = ""
    most: Annotated[int, msgspec.Meta(ge=1, le=MOST_LISTED)] = 50


class BundleFetchParams(Params, frozen=True):
    """Which one."""

    bundle: BundleId


class BundleShown(msgspec.Struct, frozen=True):
    """`state`: asked, arrived, failed (`why`: the device could not make it), given-up (it did not answer in time),
    forgotten (its time is over). `kept_ms`: until when its content is kept."""

    bundle: str
    device: str
    who: str
    state: str
    asked_ms: int
    until_ms: int
    arrived_ms: int
    kept_ms: int
    size: int
    why: str


class BundleAsked(Result, frozen=True):
    """The ask. `is_new` False: the device was asked already, and has not answered yet."""

    bundle: BundleShown
    is_new: bool


class BundlesListed(Result, frozen=True):
    """The newest first. `more`: there are older ones."""

    bundles: list[BundleShown]
    more: bool


class BundleFetched(Result, frozen=True):
    """The archive (a compressed tar), as the device sent it."""

    bundle: BundleShown
    name: str
    content: bytes


@action("bundle.ask", BundleAskParams, writes=True)
async def bundle_ask(context: Context, params: BundleAskParams) -> BundleAsked:
    """The device is asked at once where it is connected, else when it comes back within a day."""
    now_ms = context.now_ms
    async with context.database.write() as connection:
        query = select(devices.c.state, devices.c.report).where(devices.c.id == params.device)
        row = (await connection.execute(query.with_for_update(key_share=True))).one_or_none()
        if row is None:
            raise ActionFailed(f"there is no device {params.device!r}: see `device list`")
        if row.state != "active":
            raise ActionFailed(
                f"device {params.device} is {row.state}, and is told nothing: only active ones are asked"
            )
        if row.report is None or Ask.TYPE not in decode(Poll, row.report).understands:
            raise ActionFailed(f"device {params.device} cannot make a bundle: update its agent, or look at the machine")
        await kept.sweep(connection, now_ms)
        waiting = select(bundles).where(_b.device == params.device, _b.state == kept.ASKED)
        open_one = (await connection.execute(waiting.order_by(_b.version.desc()).limit(1))).one_or_none()
        if open_one is not None:
            return BundleAsked(bundle=_shown(open_one, now_ms), is_new=False)
        newest = (await connection.execute(select(func.max(_b.version)).where(_b.device == params.device))).scalar()
        values = {
            "device": params.device,
            "version": max((newest or 0) + 1, now_ms),
            "id": secrets.token_bytes(16),
            "who": params.who,
            "asked_ms": now_ms,
            "until_ms": now_ms + kept.OPEN_MS,
            "state": kept.ASKED,
        }
        await connection.execute(insert(bundles).values(values))
        await note(connection, [device_topic(params.device)])
        mine = select(bundles).where(_b.device == params.device, _b.version == values["version"])
        return BundleAsked(bundle=_shown((await connection.execute(mine)).one(), now_ms), is_new=True)


@action("bundle.list", BundleListParams, writes=False)
async def bundle_list(context: Context, params: BundleListParams) -> BundlesListed:
    """What was asked for, and what became of it."""
    query = _COLUMNS.join(devices, devices.c.id == _b.device).join(gates, gates.c.id == devices.c.gate)
    if params.device:
        query = query.where(_b.device == params.device)
    if context.scope.venues is not None:
        query = query.where(gates.c.venue.in_(sorted(context.scope.venues)))
    async with context.database.read() as connection:
        if params.after:
            last = select(_b.asked_ms, _b.id).where(_b.id == _id(params.after))
            at = (await connection.execute(last)).one_or_none()
            if at is None:
                raise ActionFailed(f"after: there is no bundle {params.after!r}")
            query = query.where((_b.asked_ms < at.asked_ms) | ((_b.asked_ms == at.asked_ms) & (_b.id < at.id)))
        rows = (await connection.execute(query.order_by(_b.asked_ms.desc(), _b.id.desc()).limit(params.most + 1))).all()
    some = rows[: params.most]
    return BundlesListed(bundles=[_shown(row, context.now_ms) for row in some], more=len(rows) > len(some))


@action("bundle.fetch", BundleFetchParams, writes=False)
async def bundle_fetch(context: Context, params: BundleFetchParams) -> BundleFetched:
    """For whoever asked for it, and for admins."""
    async with context.database.read() as connection:
        row = (await connection.execute(select(bundles).where(_b.id == _id(params.bundle)))).one_or_none()
    caller = context.caller
    if row is not None and not (caller.local or Role.ADMIN in caller.roles or row.who == caller.name):
        raise ActionFailed("only who asked for a bundle and admins may look into it: ask for one of your own")
    if row is None:
        raise ActionFailed(f"there is no bundle {params.bundle}: see `bundle list`")
    shown = _shown(row, context.now_ms)
    if row.content is None or shown.state != kept.ARRIVED:
        raise ActionFailed(f"bundle {params.bundle} is {shown.state}: there is nothing to fetch")
    name = f"tapgate-bundle-{_file_name(row.device)}-{row.asked_ms}.tar.gz"
    return BundleFetched(bundle=shown, name=name, content=row.content)


async def newest_bundles(connection: AsyncConnection, context: Context, device: str, most: int) -> list[BundleShown]:
    """Of one device, the newest first."""
    query = _COLUMNS.where(_b.device == device).order_by(_b.version.desc()).limit(most)
    return [_shown(row, context.now_ms) for row in await connection.execute(query)]


_COLUMNS = select(*(column for column in bundles.columns if column.name != "content"))


def _shown(row: Any, now_ms: int) -> BundleShown:
    """What the hourly sweep has not written down yet is told as it is."""
    arrived_ms = row.arrived_ms or 0
    kept_ms = arrived_ms + kept.KEPT_MS if row.state == kept.ARRIVED else 0
    state = row.state
    if state == kept.ASKED and row.until_ms <= now_ms:
        state = kept.GIVEN_UP
    elif state == kept.ARRIVED and kept_ms <= now_ms:
        state = kept.FORGOTTEN
    return BundleShown(
        bundle=row.id.hex(),
        device=row.device,
        who=row.who,
        state=state,
        asked_ms=row.asked_ms,
        until_ms=row.until_ms,
        arrived_ms=arrived_ms,
        kept_ms=kept_ms,
        size=row.size,
        why=row.why,
    )


def _id(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""


def _file_name(device: str) -> str:
    return "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_.") else "_" for letter in device)
