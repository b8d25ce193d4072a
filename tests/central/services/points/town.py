"""A domain with gates that take points, a plan, members, and marks written as the projection would."""

import datetime as dt
import os
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import delete, insert, select, update

from central.actions.action import ActionFailed
from central.services.points import rounds
from central.services.points.reservations import open_ones, reserved
from central.services.points.service import overspent
from central.services.projector import renew_promises, settle
from central.services.service import Touched
from central.store.schema import gates, ledger, marks, member_classes, members, point_books, policies, subjects
from protocol.messages import encode
from protocol.policy import Admit, Policy, Tariff
from tests.central.actors import Device
from tests.central.admin import Admin
from tests.central.city import City

TAIPEI = ZoneInfo("Asia/Taipei")
PLAN = {
    "domain": "library",
    "monthly": [
        {"class": "senior", "points": 480, "valid_from": "2016-01-01", "valid_until": "2026-07-01"},
        {"class": "senior", "points": 600, "valid_from": "2026-07-01"},
    ],
    "earn": [{"rule": "health-check", "points": 50, "valid_from": "2026-01-01", "per": "month", "expire_months": 6}],
}


def at(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=TAIPEI).timestamp() * 1_000)


class Town:
    """Its clock is the admin's."""

    def __init__(self, city: City, admin: Admin) -> None:
        self.city, self.admin = city, admin
        self.devices: dict[str, Device] = {}
        self.sequences: dict[str, int] = {}
        self.epochs: dict[str, bytes] = {}

    async def found(self, *names: str, now: str, **plan: Any) -> None:
        self.admin.now_ms = at(now)
        body = Policy(
            1, (Admit(id="pool", tariff="pool"),), tariffs={"pool": Tariff(price=25, pay="points", short="due")}
        )
        row = {"id": "pool", "version": 1, "at_ms": 0, "body": encode(body)}
        await self.city.add(policies, row)
        for gate in names:
            await self.city.add(gates, {"id": gate, "venue": "main", "kind": "turnstile", "policy": "pool"})
            self.devices[gate] = await self.city.add_device(Device(f"{gate}-device", gate))
            self.epochs[gate] = os.urandom(8)
        await self.admin.act("points.plan.put", id="seniors", body=PLAN | plan)

    async def add_member(self, reference: str, class_: str = "senior", from_ms: int = 0, until_ms: int = 0) -> bytes:
        id_ = reference.encode().ljust(16, b"\0")
        await self.city.add(members, {"id": id_, "reference": reference, "created_ms": 0})
        row = {"member": id_, "name": class_, "from_ms": from_ms, "until_ms": until_ms}
        await self.city.add(member_classes, row)
        subject = os.urandom(16)
        await self.city.add(subjects, {"domain": "library", "member": id_, "subject": subject})
        return subject

    async def drop_classes(self) -> None:
        async with self.city.database.write() as connection:
            await connection.execute(delete(member_classes))

    async def round(self) -> None:
        await rounds.run(self.city.database, self.admin.now_ms)

    async def tap(
        self, subject: bytes, of: str, points: int, when: str | int, rule: str = "pool", **fields: Any
    ) -> int:
        """A mark that is counted, and everything that follows; returns its sequence."""
        at_ms = at(when) if isinstance(when, str) else when
        sequence = self.sequences[of] = self.sequences.get(of, 0) + 1
        row = {
            "domain": "library",
            "subject": subject,
            "epoch": self.epochs[of],
            "sequence": sequence,
            "device": f"{of}-device",
            "at_ms": at_ms,
            "venue": "main",
            "gate": of,
            "kind": "tap",
            "direction": "in",
            "reason": "ok",
            "rule": rule,
            "card": 1,
            "points": points,
            "due": 0,
            "repeats": -1,
            "fate": "counts",
        }
        async with self.city.database.write() as connection:
            await connection.execute(insert(marks).values(row | fields))
        await self.settle(subject)
        return sequence

    async def undo(self, subject: bytes, gate: str, sequence: int) -> None:
        these = (marks.c.subject == subject) & (marks.c.gate == gate) & (marks.c.sequence == sequence)
        async with self.city.database.write() as connection:
            await connection.execute(update(marks).where(these).values(fate="undone"))
        await self.settle(subject)

    async def settle(self, subject: bytes) -> None:
        touched = [Touched("library", subject, 0)]
        async with self.city.database.write() as connection:
            await settle(connection, touched, self.admin.now_ms)
            await renew_promises(connection, touched, self.admin.now_ms)

    async def reserved(self, gate: str, subject: bytes) -> int:
        """What the state feed tells this gate."""
        async with self.city.database.read() as connection:
            told = (await reserved(connection, gate, "library", [subject])).get(subject, (0, 0))
        return told[0] if self.admin.now_ms < told[1] else 0

    async def promised(self, subject: bytes) -> int:
        async with self.city.database.read() as connection:
            held = (await open_ones(connection, "library", [subject])).get(subject, [])
        return sum(max(0, each.promise.left) for each in held)

    async def balance(self, member: str) -> Any:
        return await self.admin.act("points.balance", member=member, domain="library")

    async def statement(self, member: str, month: str) -> Any:
        return await self.admin.act("points.statement", member=member, domain="library", month=month)

    async def totals(self, month: str) -> dict[str, int]:
        found = (await self.admin.act("points.totals", domain="library", month=month)).accounts
        assert sum(found.values()) == 0
        return {account: points for account, points in found.items() if points}

    async def close(self, month: str) -> Any:
        return await self.admin.act("points.close", domain="library", month=month, who="chen")

    async def lost(self, subject: bytes) -> list[tuple[str, int]]:
        async with self.city.database.read() as connection:
            found = await overspent(connection, "library", subject)
        return [(one.account, one.points) for one in found.get(subject, [])]

    async def lines(self) -> tuple[list[Any], list[Any]]:
        """Closed and open."""
        async with self.city.database.read() as connection:
            closed = list(await connection.execute(select(point_books).order_by(*point_books.primary_key)))
            return closed, list(await connection.execute(select(ledger).order_by(*ledger.primary_key)))

    async def rebuilt(self) -> bool:
        """Whether the open lines are the same when they are made from nothing."""
        before = await self.lines()
        async with self.city.database.write() as connection:
            await connection.execute(delete(ledger))
            every = (await connection.execute(select(subjects.c.subject))).scalars().all()
            await settle(connection, [Touched("library", subject, 0) for subject in every], 0)
        return await self.lines() == before

    async def refused(self, name: str, **values: Any) -> str:
        try:
            await self.admin.act(name, **values)
        except ActionFailed as failed:
            return str(failed)
        raise AssertionError(f"{name} was done")
