"""A city in which people come and go, on both databases."""

from pathlib import Path

import pytest

from central.keys import Keys
from central.store.database import Database
from tests.central.admin import Admin, admin_of
from tests.central.city import City
from tests.central.services.scenes import Town


@pytest.fixture
def town(database: Database, keys: Keys, city: City) -> Town:
    return Town(database, keys)


@pytest.fixture
def admin(database: Database, keys: Keys, database_url: str, tmp_path: Path, city: City) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)
