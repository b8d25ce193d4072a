"""A console over a city, on both databases."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from central.keys import Keys
from central.store.database import Database
from tests.central.city import City
from tests.central.console.person import Console, console_over


@pytest.fixture
async def console(
    city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path
) -> AsyncIterator[Console]:
    """Over the fixture `city`: domain `library`, venue `main`, gate `door-1`, one active device."""
    async with console_over(database, keys, database_url, tmp_path / "data") as made:
        yield made
