"""A town on both databases."""

from pathlib import Path

import pytest

from central.keys import Keys
from central.store.database import Database
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.services.points.town import Town


@pytest.fixture
def town(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Town:
    return Town(city, admin_of(database, keys, database_url, tmp_path))
