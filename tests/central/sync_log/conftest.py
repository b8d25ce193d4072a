"""A city with two venues, each with a gate and a device; the libraries of whoever looks."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert

from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.store.database import Database
from central.store.schema import gates, venues
from protocol.messages import GateConfig
from tests.central.actors import NOW_MS, Device
from tests.central.admin import Admin, admin_of
from tests.central.city import City


@pytest.fixture
def custodian(database: Database, keys: Keys) -> Custodian:
    return Custodian(database, keys, DeviceKeys(database))


@pytest.fixture
def admin(database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


@pytest.fixture
async def pool(city: City) -> Device:
    """A device at a gate of another venue."""
    async with city.database.write() as connection:
        await connection.execute(insert(venues).values(id="pool", domain="library", time_zone="Asia/Taipei"))
        await connection.execute(insert(gates).values(id="pool-1", venue="pool", kind="turnstile", policy="open"))
    await city.configure(GateConfig(0, "pool-1", "turnstile"), NOW_MS - 400)
    return await city.add_device(Device("pool-1-device", "pool-1"))


def name_of(journal: Any, sequence: int) -> str:
    """The name of an event of a journal."""
    return f"{journal.device.id}/{journal.epoch.hex()}/{sequence}"
