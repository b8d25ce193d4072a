"""A fleet on both databases, and an operator who runs actions on it."""

from pathlib import Path
from typing import Any

import pytest

from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.rollouts.fleet import Fleet


@pytest.fixture
async def fleet(city: City) -> Fleet:
    fleet = Fleet(city)
    await fleet.found()
    return fleet


@pytest.fixture
def admin(fleet: Fleet, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    admin = admin_of(database, keys, database_url, tmp_path)
    admin.now_ms = NOW_MS + 1_000
    return admin
