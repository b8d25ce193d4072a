"""Two venues with a gate each, a member with a card on the list, and what their gates say happened."""

import os
from typing import Any

from central.lists import refresh_domain, refresh_members
from central.open_lists import version_of
from central.services.follower import Follower
from central.store.database import Database
from central.store.schema import devices, gates, policies, subjects, venues
from protocol.messages import Held, Personal, encode
from protocol.policy import Policy
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin
from tests.central.city import City
from tests.central.services.scenes import Diary, Town

LISTED_MS = NOW_MS - 3_600_000
POLICY_MS = NOW_MS - 3_500_000
MINUTE_MS = 60_000


class Borough:
    """Founded by `open_borough`. `here` and `there` are diaries of the two gates' devices."""

    def __init__(self, city: City, admin: Admin) -> None:
        self.city, self.admin = city, admin
        self.town = Town(city.database, city.keys, NOW_MS)
        self.there_device = Device("branch-1-device", "branch-1")
        self.here, self.there = Diary(city.device), Diary(self.there_device)
        self.members: list[bytes] = []
        self.subjects: list[bytes] = []

    @property
    def database(self) -> Database:
        return self.city.database

    async def put(self, policy: Policy, at_ms: int = POLICY_MS) -> Policy:
        """In force at both gates, of this version."""
        row = {"id": "both", "version": policy.version, "at_ms": at_ms, "body": encode(policy)}
        await self.city.add(policies, row)
        return policy

    async def list_again(self, *members: bytes, at_ms: int) -> int:
        async with self.database.write() as connection:
            await refresh_members(connection, self.city.keys, members, at_ms)
            return await version_of(connection, "library")

    def held(self, allowlist: int = LISTED_MS, policy: int = POLICY_MS) -> Held:
        return Held(1, allowlist, policy, 1)

    def tap(self, diary: Diary, at_ms: int, who: int = 0, **more: Any) -> str:
        """A granted tap; returns the event's name as people write it."""
        fields = {"held": self.held(), "rule": "all", "fingerprint": b""} | more
        fingerprint = fields.pop("fingerprint")
        charge = {name: fields.pop(name) for name in ("points", "due") if name in fields}
        personal = encode(Personal(os.urandom(16), self.subjects[who], card=1, fingerprint=fingerprint, **charge))
        fields = {"direction": "in", "decision": "granted", "reason": "ok"} | fields
        diary.add("tap", personal, at_ms=at_ms, **fields)
        return f"{diary.device.id}/{diary.epoch.hex()}/{len(diary.publics) - 1}"

    async def take(self, *diaries: Diary, at_ms: int = NOW_MS) -> None:
        """Upload all that is new of each, then settle."""
        self.town.now_ms = at_ms
        for diary in diaries or (self.here, self.there):
            first = getattr(diary, "sent", 0)
            if first < len(diary.publics):
                assert await self.town.take(diary, first) == "accepted"
                diary.sent = len(diary.publics)  # type: ignore[attr-defined]
        await self.settle()

    async def settle(self) -> None:
        await Follower(self.database, self.town.metrics, lambda: self.town.now_ms).settle_all()

    async def conflicts(self, **filters: Any) -> list[Any]:
        return list((await self.admin.act("conflict.list", **filters)).rows)

    async def kinds(self) -> list[str]:
        return sorted(row.kind for row in await self.conflicts())


async def open_borough(city: City, admin: Admin, policy: Policy, members: int = 1) -> Borough:
    borough = Borough(city, admin)
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await borough.put(policy)
    await city.change(gates, gates.c.id == "door-1", policy="both")
    await city.add(gates, {"id": "branch-1", "venue": "branch", "kind": "door", "policy": "both"})
    await city.add_device(borough.there_device)
    borough.members = await city.add_members(members)
    async with city.database.write() as connection:
        await refresh_domain(connection, city.keys, "library", LISTED_MS)
    by_member = {row.member: row.subject for row in await city.rows(subjects)}
    borough.subjects = [by_member[member] for member in borough.members]
    assert len(await city.rows(devices)) == 2
    return borough
