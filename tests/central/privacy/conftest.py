"""Members with cards, an operator, what gates are told, and a notice that people can agree to."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.central.admin import Admin
from tests.central.people.conftest import Listed, Write, admin, listed, write

__all__ = ["Listed", "Write", "admin", "listed", "write"]

NOTICE: dict[str, Any] = msgspec.toml.decode((Path(__file__).parents[3] / "deploy/privacy/caring.toml").read_bytes())


@pytest.fixture
async def told(admin: Admin) -> Admin:
    """Somebody wrote the notice of `caring`, and M-1 and M-2 are in that class."""
    await admin.act("notice.put", purpose="caring", notice=NOTICE, who="ana")
    for member in ("M-1", "M-2"):
        await admin.act("member.put", member=member, domain="library", classes=["caring"])
    return admin
