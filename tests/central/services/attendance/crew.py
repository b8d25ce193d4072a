"""A branch with kiosks and a laptop, its volunteers and coordinators, in a database that settles what it takes."""

from typing import Any

import msgspec
from sqlalchemy import select

from central.actions.action import no_progress
from central.services.attendance.told import notes
from central.services.rebuilding import rebuild
from central.store.schema import (
    attendance_sessions,
    gates,
    members,
    policies,
    subjects,
)
from protocol.messages import encode
from protocol.policy import Admit, Policy, Session
from protocol.reasons import Reason
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.services.attendance.life import CHILDREN, DESK, ms
from tests.central.services.scenes import Device, Diary, Town

REASONS = {"in": Reason.SIGNED_IN, "out": Reason.SIGNED_OUT, "": Reason.RECORDED}
RULES = ("desk", "desk-training", "children")


class Crew:
    """The time is what the last call said."""

    def __init__(self, city: City, admin: Admin) -> None:
        self.city, self.admin = city, admin
        self.town = Town(city.database, city.keys)
        self.journals: dict[str, Diary] = {}
        self.sent: dict[str, int] = {}
        self.people: dict[str, bytes] = {}

    async def found(self, number: int = 3) -> None:
        policy = Policy(1, tuple(Admit(id=rule) for rule in RULES), session=Session())
        await self.city.add(policies, {"id": "volunteers", "version": 1, "at_ms": 0, "body": encode(policy)})
        for gate in ("kiosk-1", "kiosk-2", "laptop"):
            await self.city.add(gates, {"id": gate, "venue": "main", "kind": "kiosk", "policy": "volunteers"})
            self.journals[gate] = Diary(await self.city.add_device(Device(f"{gate}-device", gate)))
            self.sent[gate] = 0
        for at, id_ in enumerate(await self.city.add_members(number), 1):
            await self.city.change(members, members.c.id == id_, reference=f"A-{at}")
        async with self.city.database.read() as connection:
            query = select(members.c.reference, subjects.c.subject).join(subjects, subjects.c.member == members.c.id)
            self.people = {row.reference: row.subject for row in await connection.execute(query)}
        self.now("2026-01-01 08:00")
        for name, team in (("desk", DESK), ("children", CHILDREN)):
            await self.act("team.put", id=name, body=msgspec.to_builtins(team), who="chen")

    def now(self, at: str) -> None:
        self.admin.now_ms = self.town.now_ms = ms(at)

    async def act(self, name: str, /, **values: Any) -> Any:
        return await self.admin.act(f"volunteer.{name}", **values)

    def tap(self, who: str, gate: str, at: str, way: str, rule: str = "desk") -> bytes:
        """At the kiosk alone; `sync` brings it to central. Returns the session's name, should it begin one."""
        journal = self.journals[gate]
        fields = {"direction": way, "reason": REASONS[way].value, "rule": rule}
        sequence = journal.came(self.people[who], ms(at), **fields)
        return journal.epoch + sequence.to_bytes(8)

    async def sync(self, gate: str, at: str = "") -> None:
        if at:
            self.now(at)
        journal = self.journals[gate]
        assert await self.town.take(journal, self.sent[gate]) == "accepted"
        self.sent[gate] = len(journal.publics)
        await self.town.settle()

    async def session(self, who: str, day: str, hours: tuple[str, str], gate: str = "kiosk-1", **more: Any) -> bytes:
        """Signed in and out, and known at once."""
        name = self.tap(who, gate, f"{day} {hours[0]}", "in", **more)
        self.tap(who, gate, f"{day} {hours[1]}", "out", **more)
        await self.sync(gate, f"{day} {hours[1]}")
        return name

    async def sessions(self, **filters: str) -> list[Any]:
        return list((await self.act("sessions", **filters)).sessions)

    async def booked(self, **filters: str) -> list[tuple[str, str, int]]:
        found = await self.sessions(**filters)
        return sorted((each.team, each.month, each.minutes) for each in found if each.state == "counted")

    async def review(self, **filters: str) -> list[tuple[str, str]]:
        return [(each.member, each.why) for each in (await self.act("review", **filters)).sessions]

    async def told(self, who: str, at: str) -> dict[str, int]:
        async with self.city.database.read() as connection:
            subject = self.people[who]
            return dict((await notes(connection, "library", [subject], ms(at))).get(subject, ()))

    async def rows(self) -> list[tuple[Any, ...]]:
        return await self.town.rows(attendance_sessions)

    async def differences(self) -> list[Any]:
        """Between what stands there and what is computed from nothing."""
        async with self.city.database.write() as connection:
            found = await rebuild(connection, ["marks", "attendance"], no_progress)
        assert {each.table for each in found} >= {"attendance_sessions", "attendance_months"}
        return [each for each in found if each.missing or each.wrong]
