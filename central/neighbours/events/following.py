"""How far a subscription was told, and what comes next: by device, epoch and sequence, behind custody and never in it.

A device is a lane: its events go out one after the other, epoch after epoch, so what a gate did arrives in order. What
is held decides; an epoch's place is written down before anything of it is read, so that lost events that come after
all (`custody`) set it back whatever happens at the same time.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.events.cloud_events import NOTICES_DEVICE, NOTICES_EPOCH, Happening, Place
from central.neighbours.events.kinds import kinds_of
from central.neighbours.events.quiet import is_quiet
from central.neighbours.events.store import Subscription
from central.services.backlog import LATE_MS
from central.store.put_rows import put_new_row
from central.store.schema import batches, epochs, events, gates, notices, subscription_progress, venues
from central.store.slices import named

PAGE = 1_000
"""Epochs looked at in one query."""
UNTRIED: dict[str, Any] = {"tries": 0, "failing_ms": 0, "next_ms": 0, "problem": ""}
_e, _p, _v = epochs.c, subscription_progress.c, events.c


class Lane(NamedTuple):
    """Events of an epoch after `after` and through `through` are to be told. `after` −2: not looked at before."""

    device: str
    epoch: bytes
    after: int
    through: int
    late: int = 0
    tries: int = 0
    failing_ms: int = 0

    @property
    def is_notices(self) -> bool:
        return self.device == NOTICES_DEVICE


NEW = -2


class Looked(NamedTuple):
    """`floor_ms`: epochs that were last added to before it hold nothing more to tell. `passed_over`: by looking back,
    some were found that do."""

    lanes: list[Lane]
    floor_ms: int
    passed_over: bool


async def look(connection: AsyncConnection, of: Subscription, now_ms: int, back_ms: int = 0) -> Looked:
    """What may be told, a lane for each device that does not wait. `back_ms`: look again at what was passed over."""
    behind = await _behind(connection, of, of.floor_ms - LATE_MS - back_ms)
    rows = [*await _set_back(connection, of), *behind]
    waiting = {row.device for row in rows if (row.next_ms or 0) > now_ms}
    first: dict[str, Any] = {}
    names = {(row.device, row.epoch) for row in rows}
    for row in rows:
        follows = (row.device, row.previous_epoch) in names and row.previous_epoch != row.epoch
        if row.device not in waiting and row.device not in first and not follows:
            first[row.device] = row
    for row in rows:  # a circle of epochs is a copied disk's: any of them will do
        if row.device not in waiting:
            first.setdefault(row.device, row)
    lanes = [_lane(row) for row in first.values()]
    notice = await _notices(connection, of, now_ms)
    floor_ms = min((row.seen_ms for row in behind), default=now_ms)
    passed_over = floor_ms < of.floor_ms - LATE_MS
    return Looked(([notice] if notice else []) + lanes, max(of.floor_ms, floor_ms), passed_over)


def _lane(row: Any) -> Lane:
    if row.held is None:
        return Lane(row.device, row.epoch, NEW, row.through)
    return Lane(row.device, row.epoch, row.held, row.through, row.late, row.tries, row.failing_ms)


def _epochs(of: Subscription) -> Any:
    mine = and_(_p.device == _e.device, _p.epoch == _e.epoch, _p.subscription == of.id)
    query = select(
        *(_e.device, _e.epoch, _e.through, _e.seen_ms, _e.previous_epoch),
        *(_p.through.label("held"), _p.late, _p.tries, _p.failing_ms, _p.next_ms),
    )
    return query.outerjoin(subscription_progress, mine).order_by(_e.seen_ms, _e.device).limit(PAGE)


async def _behind(connection: AsyncConnection, of: Subscription, since_ms: int) -> list[Any]:
    if not kinds_of(of.types):
        return []
    query = _epochs(of).where(_e.seen_ms >= since_ms, or_(_p.through.is_(None), _p.through < _e.through))
    return list(await connection.execute(query))


async def _set_back(connection: AsyncConnection, of: Subscription) -> list[Any]:
    """Rare, and of any age."""
    query = _epochs(of).where(_p.subscription == of.id, _p.again.is_(True), _p.through < _e.through)
    return list(await connection.execute(query))


async def _notices(connection: AsyncConnection, of: Subscription, now_ms: int) -> Lane | None:
    if not of.takes_notices or is_quiet(now_ms, of.quiet_from, of.quiet_until, of.time_zone):
        return None
    mine = (_p.device == NOTICES_DEVICE, _p.epoch == NOTICES_EPOCH, _p.subscription == of.id)
    held = (await connection.execute(select(subscription_progress).where(*mine))).first()
    newest = (await connection.execute(select(func.max(notices.c.number)))).scalar() or 0
    if held is None or held.through >= newest or held.next_ms > now_ms:
        return None
    return Lane(NOTICES_DEVICE, NOTICES_EPOCH, held.through, newest, held.late, held.tries, held.failing_ms)


# --- places -------------------------------------------------------------------------------------------------------


async def begin(connection: AsyncConnection, of: Subscription, lanes: Sequence[Lane]) -> list[Lane]:
    """The lanes with their places written down: a new epoch begins with what came since the subscription is told."""
    begun = []
    for lane in lanes:
        if lane.after != NEW:
            begun.append(lane)
            continue
        after = await _before(connection, of, lane)
        place = {"device": lane.device, "epoch": lane.epoch, "subscription": of.id, "through": after}
        if await put_new_row(connection, subscription_progress, place | UNTRIED | {"late": 0, "again": False}):
            begun.append(lane._replace(after=after))
    return begun


async def _before(connection: AsyncConnection, of: Subscription, lane: Lane) -> int:
    """The last event of an epoch that is not told, since it came before the subscription."""
    b = batches.c
    of_epoch = (b.device == lane.device, b.epoch == lane.epoch, b.outcome == "accepted")
    since = select(func.min(b.taken_first)).where(*of_epoch, b.received_ms >= of.from_ms)
    first = (await connection.execute(since)).scalar()
    return lane.through if first is None else int(first) - 1


async def waiting(connection: AsyncConnection, of: Subscription) -> tuple[int, int]:
    """How many events of gates are yet to be looked at, at most, and when the oldest epoch of theirs was added to."""
    rows = [*await _set_back(connection, of), *await _behind(connection, of, of.floor_ms - LATE_MS)]
    number, oldest_ms = 0, 0
    for row in {(row.device, row.epoch): row for row in rows}.values():
        lane = _lane(row)
        after = await _before(connection, of, lane) if lane.after == NEW else lane.after
        number += lane.through - after
        if lane.through > after:
            oldest_ms = min(oldest_ms or row.seen_ms, row.seen_ms)
    return number, oldest_ms


async def mark(connection: AsyncConnection, of: Subscription, lane: Lane, through: int, **values: Any) -> None:
    """It was told through there; nothing where lost events came meanwhile, which are read with the next round."""
    where = (_p.device == lane.device, _p.epoch == lane.epoch, _p.subscription == of.id)
    as_read = (_p.through == lane.after, _p.late == lane.late)
    settled = {"again": False} if through >= lane.through else {}
    await connection.execute(
        update(subscription_progress).where(*where, *as_read).values(through=through, **settled, **values)
    )


# --- events -------------------------------------------------------------------------------------------------------


async def places_of(connection: AsyncConnection, of: Subscription) -> dict[str, Place]:
    """The gates that it is told of."""
    query = select(gates.c.id, venues.c.id, venues.c.domain).join(venues, venues.c.id == gates.c.venue)
    if of.domains:
        query = query.where(venues.c.domain.in_(sorted(of.domains)))
    if of.venues:
        query = query.where(venues.c.id.in_(sorted(of.venues)))
    return {row[0]: Place(*row) for row in await connection.execute(query)}


_HAPPENING = select(
    *(_v.device, _v.epoch, _v.sequence, _v.at_ms, _v.gate, _v.kind),
    *(_v.direction, _v.decision, _v.reason, _v.personal, _v.detail),
)


async def next_events(
    connection: AsyncConnection, of: Subscription, lane: Lane, places: Mapping[str, Place], most: int
) -> tuple[list[Happening], int]:
    """Those of a lane that are for this subscription, and through which sequence there is none beside them."""
    query = _HAPPENING.where(
        *(_v.device == lane.device, _v.epoch == lane.epoch, _v.sequence > lane.after, _v.sequence <= lane.through),
        *(_v.outcome == "accepted", _v.kind.in_(kinds_of(of.types))),
    )
    if of.is_narrow:
        query = query.where(_v.gate.in_(sorted(places)))
    rows = await connection.execute(query.order_by(_v.sequence).limit(most))
    found = [Happening(*row) for row in rows]
    return found, found[-1].sequence if len(found) == most else lane.through


async def events_named(
    connection: AsyncConnection, names: Collection[tuple[str, bytes, int]]
) -> dict[tuple[str, bytes, int], Happening]:
    """By their names, without those that there are no more."""
    found: dict[tuple[str, bytes, int], Happening] = {}
    for these in named((_v.device, _v.epoch, _v.sequence), names):
        for row in await connection.execute(_HAPPENING.where(these)):
            found[row.device, row.epoch, row.sequence] = Happening(*row)
    return found
