"""Points that are reserved to one gate until the end of a local day, so that gates apart never spend the same ones.

A reservation is a promise to one device: what it says is in no event, so it is kept and never computed again. Its
amount is what the gate was told when its marks were last counted; what is left is that less the points counted since.
The gate takes off those that are not counted yet, so both always mean the same. Where taps were undone more is left
than it was told: it is told of that when the points are there again, and nobody else gets them before.

Made for a member at gates where the member was in the last 31 days, the newest first, when one of the member's marks
is settled and once a day for everybody; a plan may say to go on with the other gates. Limits: at a gate that is new to
a member, and at one that was apart when the day began, nothing is reserved and the policy's `short` says what happens;
a gate with two active devices gets nothing, since nobody could tell which of them spends; and what a gate apart holds
is kept from the member everywhere else until that gate was heard of, or a person writes it off. A server restored from
a backup has forgotten what was promised since: until that day is over a gate apart may spend it a second time.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.policies import read_policies
from central.services.points.accounts import DomainPlans, plans_of, read_members
from central.services.points.allotment import Promise, allot
from central.services.points.plans import ONE_DAY, date_of, day_ms
from central.services.service import Touched
from central.store.put_rows import put_rows
from central.store.schema import devices, gates, marks, reservations, venues
from protocol.messages import decode
from protocol.policy import Policy

DAY_MS = 24 * 3_600_000
USED_MS = 31 * DAY_MS
COUNTED_MS = 62 * DAY_MS
"""Marks that are older than that when a reservation is made have nothing to do with it."""

_r, _m = reservations.c, marks.c


class Reservation(NamedTuple):
    """One that is open. `counted`: points of the device's marks since `since_ms`."""

    row: dict[str, Any]
    counted: int

    @property
    def spent(self) -> int:
        """Since it was last looked at; below 0 where taps were undone."""
        return int(self.counted - self.row["base"])

    @property
    def promise(self) -> Promise:
        untold = self.row["untold"] + max(0, -self.spent)
        left = self.row["amount"] - max(0, self.spent) + untold
        return Promise(self.row["device"], self.row["lapse_ms"], left, untold)

    def told(self, more: int) -> dict[str, Any]:
        """The row as of now, with so much more in it."""
        promise = self.promise
        amount, untold = promise.told + more, max(0, promise.untold - more)
        return self.row | {"amount": amount, "untold": untold, "base": self.counted}


class Terms(NamedTuple):
    """On what terms points of a domain are reserved now. `terminals`: the one active device of each gate that takes
    points, by gate."""

    domain: str
    plans: DomainPlans
    terminals: dict[str, str]
    lapse_ms: int


async def reserved(
    connection: AsyncConnection, gate: str, domain: str, subjects: Collection[bytes]
) -> dict[bytes, tuple[int, int]]:
    """For the state feed: by member, how many points this gate may spend, less what is counted of its marks, and when
    they lapse."""
    device = (await _sole_devices(connection, [gate])).get(gate)
    if device is None:
        return {}
    found: dict[bytes, tuple[int, int]] = {}
    for subject, held in (await open_ones(connection, domain, subjects, device)).items():
        newest = max(held, key=lambda each: each.promise.lapse_ms)
        promise = newest.promise
        found[subject] = max(0, promise.told), promise.lapse_ms
    return found


async def renew(connection: AsyncConnection, touched: Sequence[Touched], now_ms: int) -> set[tuple[str, bytes]]:
    """Reserve for these members what they lack, after their marks were settled and in the same transaction. Returns
    those whose reservations changed."""
    by_domain: dict[str, set[bytes]] = defaultdict(set)
    for each in touched:
        if each.subject:
            by_domain[each.domain].add(each.subject)
    changed: set[tuple[str, bytes]] = set()
    for domain, members in sorted(by_domain.items()):
        terms = await terms_of(connection, domain, now_ms)
        if terms is not None:
            changed |= {(domain, subject) for subject in await reserve(connection, terms, members, now_ms)}
    return changed


async def terms_of(connection: AsyncConnection, domain: str, now_ms: int) -> Terms | None:
    """None where nothing is reserved: no plan, or no gate that takes points."""
    plans = await plans_of(connection, domain)
    if not plans.reserve:
        return None
    query = select(gates.c.id, gates.c.policy).join(venues, venues.c.id == gates.c.venue)
    policy_of = {row.id: row.policy for row in await connection.execute(query.where(venues.c.domain == domain))}
    bodies = await read_policies(connection, policy_of)
    taking = [gate for gate in policy_of if gate in bodies and _takes_points(bodies[gate].body)]
    terminals = await _sole_devices(connection, taking)
    if not terminals:
        return None
    zone = ZoneInfo(plans.time_zone)
    return Terms(domain, plans, terminals, day_ms(date_of(now_ms, zone) + ONE_DAY, zone))


@lru_cache(maxsize=256)
def _takes_points(policy: bytes) -> bool:
    return any(tariff.pay == "points" for tariff in decode(Policy, policy).tariffs.values())


async def _sole_devices(connection: AsyncConnection, of: Collection[str]) -> dict[str, str]:
    """By gate, in the order of their names; a gate with more than one is left out."""
    query = select(devices.c.gate, func.min(devices.c.id)).where(devices.c.gate.in_(sorted(of)))
    query = query.where(devices.c.state == "active").group_by(devices.c.gate).having(func.count() == 1)
    return {row[0]: row[1] for row in await connection.execute(query.order_by(devices.c.gate))}


# --- making -------------------------------------------------------------------------------------------------


async def reserve(connection: AsyncConnection, terms: Terms, members: Collection[bytes], now_ms: int) -> set[bytes]:
    """Fill up what these members have reserved at the gates that they use. Returns those for whom it did. Whoever calls
    does it `one_at_a_time`."""
    used = await _used(connection, terms, members, now_ms)
    wanted = {subject: _wanted(terms, used.get(subject, [])) for subject in members}
    concerned = sorted(subject for subject in members if wanted[subject])
    if not concerned:
        return set()
    accounts = await read_members(connection, terms.domain, concerned, terms.plans)
    held = await open_ones(connection, terms.domain, concerned)
    since_ms = now_ms - COUNTED_MS
    counted = await _counted(connection, terms.domain, concerned, since_ms)
    rows, filled = [], set()
    for subject in concerned:
        account, own = accounts[subject], held.get(subject, [])
        live = {each.row["device"]: each for each in own if each.row["lapse_ms"] == terms.lapse_ms}
        found = allot(
            *(account.given, account.taken, [each.promise for each in own], wanted[subject]),
            *(terms.plans.reserve, now_ms, terms.lapse_ms),
        )
        rows += [each.told(0) for device, each in live.items() if device not in found and each.spent]
        for device, more in found.items():
            held_there = live.get(device) or _new(terms, subject, device, now_ms, since_ms, counted)
            rows.append(held_there.told(more))
            filled.add(subject)
    await put_rows(connection, reservations, rows)
    return filled


def _new(
    terms: Terms, subject: bytes, device: str, now_ms: int, since_ms: int, counted: dict[tuple[bytes, str], int]
) -> Reservation:
    points = counted.get((subject, device), 0)
    row = {
        "domain": terms.domain,
        "subject": subject,
        "device": device,
        "lapse_ms": terms.lapse_ms,
        "gate": next(gate for gate, its in terms.terminals.items() if its == device),
        "made_ms": now_ms,
        "amount": 0,
        "untold": 0,
        "since_ms": since_ms,
        "base": points,
        "state": "open",
        "done_ms": 0,
    }
    return Reservation(row, points)


def _wanted(terms: Terms, used: Sequence[str]) -> list[str]:
    """Devices in the order in which they get something."""
    others = [gate for gate in terms.terminals if gate not in used] if terms.plans.reserves_to_all else []
    return [terms.terminals[gate] for gate in (*used, *others)]


async def _used(
    connection: AsyncConnection, terms: Terms, members: Collection[bytes], now_ms: int
) -> dict[bytes, list[str]]:
    """By member, gates that take points at which the member was of late, the newest first."""
    newest = func.max(_m.at_ms)
    query = select(_m.subject, _m.gate).where(_m.domain == terms.domain, _m.subject.in_(sorted(members)))
    query = query.where(_m.at_ms >= now_ms - USED_MS, _m.fate == "counts", _m.gate.in_(sorted(terms.terminals)))
    found: dict[bytes, list[str]] = defaultdict(list)
    for subject, gate in await connection.execute(
        query.group_by(_m.subject, _m.gate).order_by(_m.subject, newest.desc(), _m.gate)
    ):
        found[subject].append(gate)
    return found


async def _counted(
    connection: AsyncConnection, domain: str, members: Collection[bytes], since_ms: int
) -> dict[tuple[bytes, str], int]:
    """Points of marks that count, by member and device."""
    query = select(_m.subject, _m.device, func.sum(_m.points)).where(_m.domain == domain, _m.fate == "counts")
    query = query.where(_m.subject.in_(sorted(members)), _m.at_ms >= since_ms, _m.points > 0)
    rows = await connection.execute(query.group_by(_m.subject, _m.device))
    return {(subject, device): int(points) for subject, device, points in rows}


async def open_ones(
    connection: AsyncConnection, domain: str, members: Collection[bytes], device: str = ""
) -> dict[bytes, list[Reservation]]:
    """Reservations that are neither returned nor written off, of one device or all."""
    same = and_(_m.domain == _r.domain, _m.subject == _r.subject, _m.device == _r.device)
    counting = and_(same, _m.at_ms >= _r.since_ms, _m.fate == "counts", _m.points > 0)
    counted = select(func.coalesce(func.sum(_m.points), 0)).where(counting).scalar_subquery()
    query = select(reservations, counted.label("counted")).where(_r.domain == domain, _r.state == "open")
    query = query.where(_r.subject.in_(sorted(members)))
    if device:
        query = query.where(_r.device == device)
    found: dict[bytes, list[Reservation]] = defaultdict(list)
    for row in (await connection.execute(query.order_by(_r.subject, _r.lapse_ms, _r.device))).mappings():
        held = dict(row)
        points = int(held.pop("counted"))
        found[held["subject"]].append(Reservation(held, points))
    return found
