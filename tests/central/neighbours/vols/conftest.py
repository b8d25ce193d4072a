"""Volunteers with hours that the ministry wants to know."""

from pathlib import Path

import msgspec
import pytest

from central.keys import Keys
from central.store.database import Database
from tests.central.admin import admin_of
from tests.central.city import City
from tests.central.services.attendance.crew import Crew
from tests.central.services.attendance.life import DESK

NAMES = {"A-1": "王小明", "A-2": "𠮷田堃", "A-3": "Lin, Anne"}
IDENTITIES = {"V-001": "A123456789", "V-002": "B123456780"}


@pytest.fixture
async def crew(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path) -> Crew:
    """A-1 and A-2 have names and numbers, A-3 a name alone. The desk's service has codes."""
    crew = Crew(city, admin_of(database, keys, database_url, tmp_path))
    await crew.found()
    await coded(crew, item="0340", content="0017", area="B")
    for member, name in NAMES.items():
        await crew.admin.act("member.put", member=member, domain="library", name=name)
    for member, number in (("A-1", "V-001"), ("A-2", "V-002")):
        await crew.admin.act("member.number.put", member=member, kind="volunteer-number", identifier=number)
    return crew


async def coded(crew: Crew, **codes: str) -> None:
    """What the desk states as its service."""
    body = msgspec.to_builtins(msgspec.structs.replace(DESK, **codes))
    await crew.act("team.put", id="desk", body=body, who="chen")


async def month(crew: Crew, *, lock: bool = True) -> None:
    """March at the desk: an evening past midnight, one with numbers and a remark, a training, and a forgotten end."""
    await crew.session("A-1", "2026-03-02", ("09:00", "11:05"))
    crew.tap("A-1", "kiosk-1", "2026-03-06 22:00", "in")
    crew.tap("A-1", "kiosk-1", "2026-03-07 01:30", "out")
    await crew.sync("kiosk-1", "2026-03-07 01:30")
    served = await crew.session("A-2", "2026-03-03", ("09:00", "10:00"))
    await crew.session("A-2", "2026-03-04", ("09:00", "10:00"), rule="desk-training")
    await crew.session("A-3", "2026-03-05", ("09:00", "10:00"))
    crew.tap("A-1", "kiosk-1", "2026-03-09 09:00", "in")
    await crew.sync("kiosk-1", "2026-03-09 10:00")
    numbers = {"people": 34, "transport": 60, "meal": 80, "people_abroad": 3, "people_home": 31}
    await crew.act("served", session=served.hex(), who="lin", remark="=導覽", **numbers)
    crew.now("2026-04-02 09:00")
    if lock:
        await crew.act("approve", team="desk", month="2026-03", who="lin", leave_review=True)
        await crew.act("lock", team="desk", month="2026-03", who="lin")


def listed(tmp_path: Path, identities: dict[str, str]) -> Path:
    """The city's list of identity numbers, as it is attached."""
    path = tmp_path / "identities.csv"
    rows = "".join(f"{number},{identity}\n" for number, identity in identities.items())
    path.write_text("紀錄冊號,身分證字號\n" + rows, encoding="utf-8-sig")
    return path
