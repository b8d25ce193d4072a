"""Reserved points: two gates apart never spend the same one, whatever happens in between."""

import random
from dataclasses import dataclass, field

import pytest
from sqlalchemy import insert

from central.services.points.accounts import read_members
from central.services.points.allotment import Promise, allot, free
from central.services.points.ledger import LOSS, Given, Posting, Taken, keep
from central.services.points.returns import Lapsed, heard_through_ms
from central.store.schema import devices, epochs, events, facts, projected, reservations
from protocol.messages import encode
from tests.central.actors import Device
from tests.central.services.points.town import Town, at

HOUR_MS = 3_600_000
MORNING = "2026-06-10T08:00:00"


async def opened(town: Town, *gates: str, now: str = MORNING, **plan: object) -> bytes:
    """One member with this month's 480 points."""
    await town.found(*gates, now=now, **plan)
    subject = await town.add_member("A-1")
    await town.round()
    return subject


async def test_points_are_reserved_where_the_member_was_until_the_day_is_over(town: Town) -> None:
    a = await opened(town, "pool-1", "pool-2")
    assert await town.promised(a) == 0
    await town.tap(a, "pool-1", 0, MORNING)
    assert (await town.reserved("pool-1", a), await town.reserved("pool-2", a)) == (200, 0)
    found = await town.balance("A-1")
    assert (found.points, found.reserved, found.free) == (480, 200, 280)
    (row,) = await town.city.rows(reservations)
    assert row.lapse_ms == at("2026-06-11")
    town.admin.now_ms = at("2026-06-11T00:00:30")
    assert await town.reserved("pool-1", a) == 0
    await town.round()
    assert await town.reserved("pool-1", a) == 200  # the day's round, before the member comes


async def test_a_reservation_is_filled_up_when_less_than_half_is_left(town: Town) -> None:
    a = await opened(town, "pool-1")
    await town.tap(a, "pool-1", 0, MORNING)
    left = []
    for _ in range(6):
        await town.tap(a, "pool-1", 60, MORNING)
        left.append(await town.reserved("pool-1", a))
    assert left == [140, 200, 140, 200, 140, 120]  # 480 − 6 × 60 = 120 are all there is
    assert (await town.balance("A-1")).free == 0


async def test_a_plan_may_reserve_at_gates_that_are_new_to_the_member(town: Town) -> None:
    a = await opened(town, "pool-1", "pool-2", "pool-3", ahead="all")
    assert [await town.reserved(f"pool-{n}", a) for n in (1, 2, 3)] == [200, 200, 80]
    assert (await town.balance("A-1")).free == 0


async def test_gates_that_take_no_points_or_have_two_devices_get_none(town: Town) -> None:
    a = await opened(town, "pool-1", "pool-2", ahead="all")
    await town.city.add_device(Device("pool-1-spare", "pool-1"))
    assert await town.reserved("pool-1", a) == 0
    assert await town.reserved("door-1", a) == 0
    assert (await town.balance("A-1")).reserved == 400  # the first device may still hold what it was told
    town.admin.now_ms = at("2026-06-11T00:01:00")
    await town.round()
    assert [row.gate for row in await town.city.rows(reservations) if row.lapse_ms == at("2026-06-12")] == ["pool-2"]


async def test_what_a_gate_apart_may_have_spent_goes_nowhere_else(town: Town) -> None:
    a = await opened(town, "pool-1", "pool-2", reserve=400)
    await town.tap(a, "pool-1", 0, MORNING)
    await town.tap(a, "pool-2", 0, MORNING)
    assert [await town.reserved(f"pool-{n}", a) for n in (1, 2)] == [400, 80]
    town.admin.now_ms = at("2026-06-11T08:00:00")
    await town.round()
    assert [await town.reserved(f"pool-{n}", a) for n in (1, 2)] == [400, 80]
    assert (await town.balance("A-1")).free == 0
    why = await town.refused("points.redeem", member="A-1", domain="library", points=1, who="chen", why="transit")
    assert "480 are reserved" in why

    async def states() -> list[str]:
        rows = [row for row in await town.city.rows(reservations) if row.gate == "pool-1"]
        return [row.state for row in sorted(rows, key=lambda row: row.lapse_ms)]

    await heard(town, "pool-1", "2026-06-10T23:59:59.999")
    await town.round()
    assert await states() == ["open", "open"]
    await heard(town, "pool-1", "2026-06-11T00:00:00")
    await town.round()
    assert await states() == ["returned", "open"]


async def test_a_person_writes_off_what_lapsed_at_a_gate_that_is_gone(town: Town) -> None:
    a = await opened(town, "pool-1")
    await town.tap(a, "pool-1", 0, MORNING)
    await town.tap(a, "pool-1", 50, MORNING)
    write_off = {"gate": "pool-1", "who": "chen", "why": "flooded"}
    assert (await town.admin.act("points.write-off", before="2026-06-10", **write_off)).reservations == 0
    town.admin.now_ms = at("2026-06-11T08:00:00")
    gone = await town.admin.act("points.write-off", before="2026-06-10", **write_off)
    assert (gone.reservations, gone.points) == (1, 150)
    assert (await town.balance("A-1")).free == 430
    (fact,) = await town.city.rows(facts)
    assert (fact.who, fact.kind) == ("chen", "reservations-written-off")
    await town.tap(a, "pool-1", 150, "2026-06-10T20:00:00")  # it comes after all, and the points were there
    assert (await town.balance("A-1")).points == 280
    assert await town.lost(a) == []


async def test_a_restored_disk_spends_again_and_the_venue_pays(town: Town) -> None:
    a = await opened(town, "pool-1", monthly=[{"class": "senior", "points": 100, "valid_from": "2026-01-01"}])
    await town.tap(a, "pool-1", 0, MORNING)
    assert await town.reserved("pool-1", a) == 100
    town.epochs["copy"] = b"epoch 02"
    await town.tap(a, "copy", 100, MORNING, gate="pool-1", device="pool-1-device")
    await town.tap(a, "pool-1", 100, "2026-06-10T07:59:00")  # the lost epoch, found again
    assert await town.lost(a) == [("venue:main:loss", 100)]
    assert await town.totals("2026-06") == {"city:issued": -100, "venue:main": 200, "venue:main:loss": -100}


async def test_an_undone_tap_gives_its_points_back_to_the_same_gate(town: Town) -> None:
    a = await opened(town, "pool-1")
    await town.tap(a, "pool-1", 0, MORNING)
    sequence = await town.tap(a, "pool-1", 60, MORNING)
    assert await town.reserved("pool-1", a) == 140
    await town.undo(a, "pool-1", sequence)
    assert await town.reserved("pool-1", a) == 200
    assert (await town.balance("A-1")).reserved == 200


# --- when a gate is heard of --------------------------------------------------------------------------------


async def heard(town: Town, gate: str, when: str, backlog: int = 0) -> None:
    """The gate polls."""
    report = encode(town.devices[gate].poll_message(at_ms=at(when), backlog=backlog))
    await town.city.change(devices, devices.c.id == f"{gate}-device", report=report)


async def through(town: Town) -> int:
    async with town.city.database.read() as connection:
        return await heard_through_ms(connection, Lapsed("pool-1-device", "pool-1"), town.admin.now_ms)


async def epoch(town: Town, name: bytes, held: int, settled: int, previous: bytes = b"", last: int = -1) -> None:
    row = {"device": "pool-1-device", "epoch": name, "through": held}
    rest = {"head": bytes(32), "seen_ms": 0, "previous_epoch": previous, "previous_sequence": last}
    await town.city.add(epochs, row | rest)
    await town.city.add(projected, row | {"through": settled})


async def event(town: Town, name: bytes, sequence: int, when: str) -> None:
    texts = dict.fromkeys(("direction", "decision", "reason", "rule"), "")
    row = {"device": "pool-1-device", "epoch": name, "sequence": sequence, "at_ms": at(when), "gate": "pool-1"}
    more = {"kind": "tap", "repeat_of": 0, "outcome": "accepted"}
    async with town.city.database.write() as connection:
        await connection.execute(insert(events).values(row | texts | more))


async def test_a_poll_proves_only_what_is_settled(town: Town) -> None:
    await town.found("pool-1", now="2026-06-11T08:00:00")
    assert await through(town) == 0
    await heard(town, "pool-1", "2026-06-11T07:00:00")
    assert await through(town) == at("2026-06-11T07:00:00")
    await heard(town, "pool-1", "2026-06-11T07:00:00", backlog=1)
    assert await through(town) == 0
    await heard(town, "pool-1", "2026-06-11T07:00:00")
    await epoch(town, b"epoch 01", 9, 8)
    assert await through(town) == 0


async def test_an_event_proves_what_was_before_it_where_nothing_is_missing(town: Town) -> None:
    await town.found("pool-1", now="2026-06-11T08:00:00")
    await epoch(town, b"epoch 01", 9, 9)
    await event(town, b"epoch 01", 9, "2026-06-11T06:00:00")
    assert await through(town) == at("2026-06-11T06:00:00")
    await event(town, b"epoch 01", 8, "2099-01-01T00:00:00")  # a clock that is years ahead proves nothing
    assert await through(town) == at("2026-06-11T06:00:00")
    await epoch(town, b"epoch 02", 3, 2, b"epoch 01", 9)
    await event(town, b"epoch 02", 2, "2026-06-11T07:00:00")
    assert await through(town) == at("2026-06-11T07:00:00")
    await event(town, b"epoch 02", 3, "2026-06-11T07:30:00")  # held and not settled yet
    assert await through(town) == 0
    await town.city.change(projected, projected.c.epoch == b"epoch 02", through=3)
    await town.city.change(epochs, epochs.c.epoch == b"epoch 02", previous_sequence=12)
    assert await through(town) == 0  # the epoch before had more than came
    await town.city.change(devices, devices.c.id == "pool-1-device", state="revoked")
    assert await through(town) == town.admin.now_ms


# --- random days --------------------------------------------------------------------------------------------


@dataclass
class Gate:
    """A gate as it decides: what it was told, less what central does not count yet."""

    name: str
    connected: bool = True
    told: int = 0
    lapse_ms: int = 0
    own: list[tuple[int, int]] = field(default_factory=list)

    def spend(self, price: int, now_ms: int) -> bool:
        points = min(price, self.left(now_ms))
        if points > 0:
            self.own.append((now_ms, points))
        return points > 0

    def left(self, now_ms: int) -> int:
        return (self.told if now_ms < self.lapse_ms else 0) - sum(points for _, points in self.own)


class Days:
    """Gates that come and go, and everything else that may take points."""

    def __init__(self, town: Town, subject: bytes, seed: int, gates: list[str]) -> None:
        self.town, self.subject, self.random = town, subject, random.Random(seed)
        self.gates = [Gate(name) for name in gates]
        self.counted: list[tuple[str, int]] = []
        self.taps = 0

    async def step(self) -> None:
        gate, now_ms = self.random.choice(self.gates), self.town.admin.now_ms
        match self.random.choices(("tap", "deliver", "link", "wait", "redeem", "disk", "undo"), (9, 4, 2, 2, 1, 1, 1))[
            0
        ]:
            case "tap":
                self.taps += gate.spend(self.random.choice((60, 130)), now_ms)
            case "deliver" if gate.connected:
                await self.deliver(gate, self.random.randint(0, len(gate.own)))
            case "free" if gate.connected:  # costs nothing; from now on this gate comes first
                await self.town.tap(self.subject, gate.name, 0, now_ms)
            case "link":
                gate.connected = self.random.random() < 0.5
            case "wait":
                self.town.admin.now_ms += self.random.randint(2 * HOUR_MS, 20 * HOUR_MS)
                await self.town.round()
            case "redeem":
                free_now = (await self.town.balance("A-1")).free
                if free_now:
                    points = self.random.randint(1, min(free_now, 60))
                    said = {"domain": "library", "points": points, "who": "chen", "why": "transit"}
                    await self.town.admin.act("points.redeem", member="A-1", **said)
            case "grant":
                said = {"domain": "library", "points": 60, "who": "chen", "why": "a walk"}
                await self.town.admin.act("points.grant", member="A-1", **said)
            case "disk":
                gate.own, gate.told = [], 0  # what it had not sent is lost for ever
            case "undo" if self.counted and gate.connected:
                name, sequence = self.counted.pop(self.random.randrange(len(self.counted)))
                await self.town.undo(self.subject, name, sequence)

        for each in self.gates:
            if each.connected and self.random.random() < 0.7:
                await self.hear(each)

    async def deliver(self, gate: Gate, number: int) -> None:
        for at_ms, points in gate.own[:number]:
            self.counted.append((gate.name, await self.town.tap(self.subject, gate.name, points, at_ms)))
        del gate.own[:number]
        await self.hear(gate)  # a state says in one word what is counted and what is reserved

    async def hear(self, gate: Gate) -> None:
        poll = self.town.devices[gate.name].poll_message(at_ms=self.town.admin.now_ms, backlog=len(gate.own))
        await self.town.city.change(devices, devices.c.id == f"{gate.name}-device", report=encode(poll))
        gate.told = await self.town.reserved(gate.name, self.subject)
        day = {row.lapse_ms for row in await self.town.city.rows(reservations) if row.gate == gate.name}
        gate.lapse_ms = max(day, default=0)

    async def check(self) -> None:
        found = await self.town.balance("A-1")
        assert found.points == found.reserved + found.free
        assert min(found.points, found.free, found.reserved) >= 0
        assert await self.town.lost(self.subject) == []
        assert not [posting for posting in await self.worst() if posting.source.endswith(LOSS)]

    async def worst(self) -> tuple[Posting, ...]:
        """The ledger if every gate now spent all that it may, and all were told of everything at once."""
        now_ms = self.town.admin.now_ms
        async with self.town.city.database.read() as connection:
            account = (await read_members(connection, "library", [self.subject]))[self.subject]
        spent = [one for gate in self.gates for one in (*gate.own, (now_ms, gate.left(now_ms))) if one[1] > 0]
        unseen = [
            Taken(at_ms, points, "venue:x", "venue:x:loss", f"{n}", "") for n, (at_ms, points) in enumerate(spent)
        ]
        return keep(account.given, [*account.taken, *unseen], now_ms).postings


SEEDS = [("sqlite", seed) for seed in range(6)]


@pytest.mark.parametrize(
    ("engine", "seed"), [*SEEDS, pytest.param("postgresql", 0, marks=pytest.mark.system)], indirect=["engine"]
)
async def test_no_point_is_spent_twice_in_random_days(town: Town, seed: int) -> None:
    """Taps at gates apart, late batches, lost disks, undone taps, redemptions, and the month's end in the midst."""
    gates = ["pool-1", "pool-2", "pool-3"]
    monthly = [{"class": "senior", "points": 150, "valid_from": "2026-01-01", "expire_months": 1 + seed % 2}]
    ahead = "all" if seed % 3 else "used"
    a = await opened(town, *gates, now="2026-06-29T08:00:00", ahead=ahead, monthly=monthly)
    for gate in gates:
        await town.tap(a, gate, 0, "2026-06-29T08:00:00")
    days = Days(town, a, seed, gates)
    for _ in range(100):
        await days.step()
        await days.check()
    for gate in days.gates:
        await days.deliver(gate, len(gate.own))
        await days.check()
    assert days.taps
    assert await town.rebuilt()


# --- the pure part ------------------------------------------------------------------------------------------


JUNE, JULY = Given(0, 200, 100, "june", "month"), Given(100, 300, 200, "july", "month")
STAYS = Given(0, 50, 0, "stays", "granted")


def test_promises_that_lapsed_with_expired_points_hold_nothing_of_the_new_ones() -> None:
    held = [Promise("d", 100, 200)]
    assert free([JUNE, JULY], [], held, 50, 98) == 0
    assert free([JUNE, JULY], [], held, 150, 198) == 300
    late = Taken(90, 200, "venue:v", "venue:v:loss", "e", "spent")
    assert free([JUNE, JULY, STAYS], [late], held, 150, 198) == 300  # what it holds may be of these 50


def test_a_gates_own_older_reservation_stands_in_no_newer_ones_way_but_in_that_of_others() -> None:
    held = [Promise("d", 100, 50)]
    assert allot([STAYS], [], held, ["d", "e"], 200, 150, 198) == {"d": 50}
    assert allot([STAYS], [], held, ["e"], 200, 150, 198) == {}
    assert allot([STAYS, JULY], [], held, ["d", "e"], 200, 150, 300) == {"d": 50}
    assert free([STAYS], [], [*held, Promise("d", 198, 30)], 150, 196) == 0
    assert free([STAYS], [], [Promise("d", 100, 20), Promise("d", 198, 30)], 150, 196) == 20


def test_points_that_expire_before_the_reservation_lapses_are_not_promised() -> None:
    assert free([Given(0, 100, 50, "noon", "granted"), Given(0, 30, 0, "stays", "granted")], [], [], 10, 98) == 30


def test_the_first_gates_are_filled_before_the_others() -> None:
    def found(points: int, wanted: str, **left: int) -> dict[str, int]:
        held = [Promise(device, 1_000, points) for device, points in left.items()]
        lots = [Given(0, points + sum(max(0, each.left) for each in held), 0, "c", "granted")]
        return allot(lots, [], held, list(wanted), 200, 10, 1_000)

    assert found(250, "abc") == {"a": 200, "b": 50}
    assert found(250, "ab", a=100) == {"b": 200}
    assert found(250, "ab", a=99) == {"a": 101, "b": 149}
    assert found(250, "a", a=-40) == {"a": 240}
    assert found(0, "a") == {}
