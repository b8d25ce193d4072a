"""A city whose gates send events, and a receiver on loopback that is told of them. Its clock moves as the test says."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from central.config import Config, EventsConfig
from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.neighbours.events.delivering import Delivering
from central.neighbours.events.kinds import GATE_TYPES
from central.neighbours.events.noticing import Noticing
from central.neighbours.events.posting import Poster
from central.neighbours.events.targets import networks_of
from central.store.database import Database
from central.store.schema import subscription_dead, subscription_progress, subscriptions
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.services.scenes import Diary
from tests.support.webhook_traps import Receiver, receiving

LOOPBACK = ("127.0.0.0/8",)


class Telling:
    """Uploads come in, and one process of central (or several) tells of them."""

    def __init__(self, city: City, admin: Admin, receiver: Receiver) -> None:
        self.city, self.admin, self.receiver = city, admin, receiver
        self.custodian = Custodian(city.database, city.keys, DeviceKeys(city.database))
        self.now_ms = NOW_MS
        self.poster = Poster(networks_of(admin.config.events.networks))
        self.delivering = self.another()
        self.noticing = Noticing(city.database, lambda: self.now_ms)
        self.secret = ""

    def another(self) -> Delivering:
        """Another process of central on the same database."""
        return Delivering(self.config, self.city.database, self.city.keys, lambda: self.now_ms)

    @property
    def config(self) -> Config:
        return self.admin.config

    async def act(self, name: str, **values: Any) -> Any:
        self.admin.now_ms = self.now_ms
        return await self.admin.act(name, **values)

    async def subscribe(self, id_: str = "platform", **values: Any) -> Any:
        told = {"id": id_, "types": sorted(GATE_TYPES), "webhook": self.receiver.url} | values
        made = await self.act("subscription.add", **told)
        self.secret = made.secret
        return made

    async def gate(self, gate: str) -> Device:
        await self.city.add_gate(gate)
        return await self.city.add_device(Device(f"{gate}-device", gate))

    async def taps(self, journal: Diary, number: int = 1, first: int | None = None, **changes: Any) -> list[str]:
        """So many taps more, in custody; their ids."""
        begin = len(journal.publics)
        journal.tap(number)
        await self.upload(journal, begin if first is None else first, **changes)
        return ids(journal, range(begin, begin + number))

    async def upload(self, journal: Diary, first: int = 0, last: int | None = None, **changes: Any) -> None:
        await self.custodian.take(journal.upload(first, last, **changes), self.now_ms)

    async def tell(self, most: int = 50) -> int:
        """All that is due; returns how many rounds had something to tell."""
        rounds = 0
        while rounds < most and await self.delivering.step(self.poster):
            rounds += 1
        return rounds

    async def row(self, id_: str = "platform") -> Any:
        return next(row for row in await self.city.rows(subscriptions) if row.id == id_)

    async def dead(self) -> list[Any]:
        return await self.city.rows(subscription_dead)

    async def progress(self) -> list[Any]:
        return [row for row in await self.city.rows(subscription_progress) if row.device]


def ids(journal: Diary, sequences: Any) -> list[str]:
    return [f"{journal.device.id}/{journal.epoch.hex()}/{sequence}" for sequence in sequences]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as made:
        yield made


@pytest.fixture
def admin(database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Admin:
    made = admin_of(database, keys, database_url, tmp_path)
    made.config = msgspec.structs.replace(made.config, events=EventsConfig(networks=LOOPBACK))
    return made


@pytest.fixture
async def telling(city: City, admin: Admin, receiver: Receiver) -> AsyncIterator[Telling]:
    made = Telling(city, admin, receiver)
    async with made.poster:
        yield made


@pytest.fixture
async def diary(telling: Telling) -> Diary:
    """Of the city's gate; its first event is in custody, from before anybody was told."""
    journal = Diary(telling.city.device)
    await telling.upload(journal)
    telling.now_ms += 60_000
    return journal
