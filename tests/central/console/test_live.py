"""Open pages: they follow what changes, end with the session, and leave one trace of a look, not one each second."""

from sqlalchemy import update

from central.store.schema import devices, sign_ins
from tests.central.actors import Device
from tests.central.city import City
from tests.central.console.person import Console


async def test_an_open_page_follows_what_changes(console: Console, city: City) -> None:
    ana = await console.sign_in("admin")
    async with ana.stream("/console/devices?live=1") as events:
        first = await events()
        assert "door-1" in first
        await city.add_gate("door-2")
        await city.add_device(Device("door-2-device", "door-2"))
        assert "door-2" in await events()


async def test_an_open_page_ends_with_the_session(console: Console, city: City) -> None:
    ana = await console.sign_in("admin")
    async with ana.stream("/console/devices?live=1") as events:
        await events()
        await city.change(sign_ins, sign_ins.c.created_ms > 0, seen_ms=1)
        assert await events() == "over"


async def test_a_page_that_breaks_while_it_is_open_ends(console: Console, city: City) -> None:
    ana = await console.sign_in("admin")
    async with ana.stream("/console/devices?live=1") as events:
        await events()
        async with city.database.write() as connection:
            await connection.execute(update(devices).values(report=b"\xc1 no poll"))
        assert await events() == "over"
