"""Volunteers in a database of either kind."""

from pathlib import Path

import pytest

from central.keys import Keys
from central.store.database import Database
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.services.attendance.crew import Crew


@pytest.fixture
async def crew(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Crew:
    """Teams desk (lin coordinates) and children (wang coordinates, chen is an admin), members A-1 to A-3."""
    crew = Crew(city, admin_of(database, keys, database_url, tmp_path))
    await crew.found()
    return crew
