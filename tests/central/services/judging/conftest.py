"""What every test here begins with."""

from pathlib import Path
from typing import Any

import pytest

from protocol.policy import Admit, Limit, Policy
from tests.central.admin import Admin, admin_of
from tests.central.services.judging.borough import POLICY_MS, Borough, open_borough

ONCE = Policy(POLICY_MS, (Limit(id="once", most=1), Admit(id="all")))


@pytest.fixture
def admin(database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    return admin_of(database, keys, database_url, tmp_path)


@pytest.fixture
async def borough(city: Any, admin: Admin) -> Borough:
    """Three members may enter once a day, at either of two venues."""
    return await open_borough(city, admin, ONCE, members=3)
