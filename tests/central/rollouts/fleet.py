"""Three gates of two venues that go by one policy, their devices, and taps as they stand in custody."""

import os
from itertools import count
from typing import Any

from sqlalchemy import insert, select, update

from central.keys import Keys
from central.publish import manifest_for
from central.store.database import Database
from central.store.schema import devices, events, gates, venues
from protocol.envelope import unwrap
from protocol.messages import GateConfig, Manifest, Part, PartName, Trouble, decode, encode
from tests.central.actors import NOW_MS, Device
from tests.central.city import City

_sequence = count()
STRICT = {"rules": [{"kind": "admit", "id": "members", "classes": ["senior"]}]}
OPEN = {"rules": [{"kind": "admit", "id": "members"}]}
KINDS = ("rule:admit", "rule:refuse", "rule:limit")


class Fleet:
    """`door-1` and `door-2` of the venue `main`, `pool-1` of `pool`: one device each, which holds what it should."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.devices = {"door-1": city.device}

    @property
    def database(self) -> Database:
        return self.city.database

    @property
    def keys(self) -> Keys:
        return self.city.keys

    async def found(self) -> None:
        await self.city.add(venues, {"id": "pool", "domain": "library", "time_zone": "Asia/Taipei"})
        await self.city.add_gate("door-2")
        await self.city.add(gates, {"id": "pool-1", "venue": "pool", "kind": "door", "policy": "open"})
        await self.city.configure(GateConfig(0, "pool-1", "door"), NOW_MS - 500)
        for gate in ("door-2", "pool-1"):
            self.devices[gate] = await self.city.add_device(Device(f"{gate}-device", gate))
        for gate in self.devices:
            await self.take_up(gate)

    async def manifest(self, gate: str, now_ms: int = NOW_MS) -> Manifest:
        async with self.database.write() as connection:
            envelope = await manifest_for(connection, self.keys, self.devices[gate].id, now_ms)
        return decode(Manifest, unwrap(envelope).payload)

    async def version(self, gate: str, name: PartName = PartName.POLICY) -> int:
        """What the gate is told to hold."""
        return next(part.version for part in (await self.manifest(gate)).parts if part.name == name)

    async def take_up(self, gate: str, understands: tuple[str, ...] = KINDS, **changes: Any) -> None:
        """The gate holds all that it should, and says so."""
        parts = (await self.manifest(gate)).parts
        await self.report(gate, parts=parts, understands=understands, **changes)

    async def cannot(self, gate: str, part: str, version: int, why: str) -> None:
        await self.report(gate, understands=KINDS, troubles=(Trouble(part, version, why),))

    async def report(self, gate: str, parts: tuple[Part, ...] = (), **changes: Any) -> None:
        poll = self.devices[gate].poll_message(parts=parts, **changes)
        async with self.database.write() as connection:
            mine = update(devices).where(devices.c.id == self.devices[gate].id)
            await connection.execute(mine.values(report=encode(poll), seen_ms=NOW_MS))

    async def taps(self, gate: str, at_ms: int, granted: int, denied: int = 0, **changes: Any) -> None:
        """So many, all at one instant."""
        decisions = ["granted"] * granted + ["denied"] * denied
        rows = [
            {
                "device": self.devices[gate].id,
                "epoch": os.urandom(8),
                "sequence": next(_sequence),
                "at_ms": at_ms,
                "gate": gate,
                "kind": "tap",
                "direction": "in",
                "decision": decision,
                "reason": "ok" if decision == "granted" else "class-not-admitted",
                "rule": "members",
                "repeat_of": 0,
                "outcome": "accepted",
            }
            | changes
            for decision in decisions
        ]
        async with self.database.write() as connection:
            await connection.execute(insert(events), rows)

    async def rows(self, table: Any) -> list[Any]:
        async with self.database.read() as connection:
            return list(await connection.execute(select(table)))
