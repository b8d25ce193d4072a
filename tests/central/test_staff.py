"""Staff who may admit by hand: what gates are told, and what nobody can read back."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from central.actions.action import ActionFailed
from central.configs import read_configs
from central.lists import refresh_domain
from central.store.schema import domains, gate_configs, staff, venues
from protocol.errors import Refused
from protocol.messages import GateConfig, ScreenConfig, StaffPin
from protocol.pin import fits, slow
from tests.central.actors import NOW_MS
from tests.central.admin import Admin, admin_of
from tests.central.city import City

OFFERED = GateConfig(0, "door-1", "door", screen=ScreenConfig(staff_admit=True))


@pytest.fixture
async def admin(city: City, database: Any, keys: Any, database_url: str, tmp_path: Path) -> Admin:
    """Two gates, of which one lets staff admit."""
    await city.add_gate("door-2")
    await city.configure(OFFERED)
    async with database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
    admin = admin_of(database, keys, database_url, tmp_path)
    admin.now_ms = NOW_MS + 1_000
    return admin


async def held(admin: Admin, gate: str = "door-1") -> tuple[StaffPin, ...]:
    async with admin.database.read() as connection:
        return (await read_configs(connection, [gate]))[gate].config.staff


async def test_a_gate_knows_the_pin_by_its_verifier_alone(admin: Admin, city: City, keys: Any) -> None:
    done = await admin.act("staff.add", venue="main", id="lin", pin="246813", title="林館員")
    assert (done.gates, done.not_offered) == (["door-1"], ["door-2"])
    (person,) = await held(admin)
    key = keys.domain_key("library", 1)
    assert fits(key, "lin", person.salt, person.verifier, "246813")
    assert not fits(key, "lin", person.salt, person.verifier, "246814")
    assert not fits(key, "wang", person.salt, person.verifier, "246813")
    assert not fits(bytes(32), "lin", person.salt, person.verifier, "246813")
    assert await held(admin, "door-2") == ()
    (row,) = await city.rows(staff)
    slowed = slow("246813", row.salt)
    everything = repr([tuple(each) for each in await city.rows(gate_configs)]) + repr(tuple(row))
    assert slowed not in row.slow_sealed
    assert "246813" not in everything
    assert repr(slowed)[2:-1] not in everything
    (listed,) = (await admin.act("staff.list")).staff
    assert (listed.venue, listed.id, listed.title, listed.at_ms) == ("main", "lin", "林館員", NOW_MS + 1_000)
    assert (await admin.act("verify")).problems == 0


@pytest.mark.parametrize("pin", ["", "12345", "1234567890123", "12 456", "１２３４５６", "abcdef", "123456\n"])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_no_pin_is_refused_and_not_repeated(admin: Admin, pin: str) -> None:
    with pytest.raises(Refused, match="a PIN has 6 to 12 digits"):
        await admin.act("staff.add", venue="main", id="lin", pin=pin)
    assert (await admin.act("staff.list")).staff == []


@pytest.mark.parametrize("id_", ["", "x" * 65, " lin", "a\nb", "a\x00b"])
@pytest.mark.parametrize("engine", ["sqlite"])
async def test_what_is_no_id_is_refused(admin: Admin, id_: str) -> None:
    with pytest.raises(ActionFailed, match="the id of a person"):
        await admin.act("staff.add", venue="main", id=id_, pin="246813")


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_who_is_there_gets_a_new_pin_only_on_request(admin: Admin, keys: Any) -> None:
    await admin.act("staff.add", venue="main", id="lin", pin="246813")
    with pytest.raises(ActionFailed, match="lin is there already"):
        await admin.act("staff.add", venue="main", id="lin", pin="111222")
    await admin.act("staff.add", venue="main", id="lin", pin="111222", replace=True)
    (person,) = await held(admin)
    assert fits(keys.domain_key("library", 1), "lin", person.salt, person.verifier, "111222")
    with pytest.raises(ActionFailed, match="there is no venue 'x'"):
        await admin.act("staff.add", venue="x", id="lin", pin="246813")
    with pytest.raises(ActionFailed, match="main has no staff 'wang'"):
        await admin.act("staff.remove", venue="main", id="wang")


async def test_who_is_removed_stays_removed_when_an_old_configuration_comes_back(admin: Admin) -> None:
    await admin.act("staff.add", venue="main", id="lin", pin="246813")
    await admin.act("staff.add", venue="main", id="wang", pin="135792")
    with_both = (await admin.act("gate.config.show", gate="door-1")).version
    await admin.act("gate.config.put", gates=["door-1"], body={"title_en": "Door"})
    done = await admin.act("staff.remove", venue="main", id="lin")
    assert done.gates == ["door-1"]
    await admin.act("gate.config.back", gate="door-1", version=with_both)
    shown = await admin.act("gate.config.show", gate="door-1")
    assert (shown.staff, shown.body["title_en"]) == (["wang"], "")


async def test_a_gate_that_begins_to_offer_it_knows_the_staff_and_one_that_ends_forgets_them(admin: Admin) -> None:
    await admin.act("staff.add", venue="main", id="lin", pin="246813")
    await admin.act("gate.config.put", venue="main", body={"screen": {"staff_admit": True}})
    assert [person.id for person in await held(admin, "door-2")] == ["lin"]
    await admin.act("gate.config.put", venue="main", body={"screen": {"staff_admit": False}})
    assert await held(admin, "door-2") == ()


async def test_a_pin_that_is_put_while_the_domains_key_changes_is_under_the_new_one(
    admin: Admin, city: City, keys: Any
) -> None:
    keys.new_domain_key("library", 2)
    async with admin.database.write() as connection:
        await connection.execute(update(domains).where(domains.c.id == "library").values(key_number=2))
        adding = asyncio.create_task(admin.act("staff.add", venue="main", id="lin", pin="246813"))
        assert not (await asyncio.wait({adding}, timeout=0.3))[0]
    await adding
    (person,) = await held(admin)
    assert fits(keys.domain_key("library", 2), "lin", person.salt, person.verifier, "246813")


async def test_verifiers_follow_the_domains_key(admin: Admin, city: City, keys: Any) -> None:
    await admin.act("staff.add", venue="main", id="lin", pin="246813")
    before = (await admin.act("gate.config.show", gate="door-1")).version
    keys.new_domain_key("library", 2)
    await city.change(domains, domains.c.id == "library", key_number=2)
    await admin.act("verify")
    assert {problem.where for problem in admin.items} >= {f"configuration door-1 {before}", "list library"}
    async with admin.database.write() as connection:
        await refresh_domain(connection, keys, "library", NOW_MS)
        await refresh_domain(connection, keys, "library", NOW_MS + 5_000)  # nothing more to follow
    after = (await admin.act("gate.config.show", gate="door-1")).version
    assert after == before + 1
    (person,) = await held(admin)
    assert fits(keys.domain_key("library", 2), "lin", person.salt, person.verifier, "246813")
    assert (await admin.act("verify")).problems == 0


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_staff_are_those_of_the_gates_own_venue(admin: Admin, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    done = await admin.act("staff.add", venue="branch", id="chen", pin="246813")
    assert done.gates == []
    assert await held(admin) == ()
    assert [each.id for each in (await admin.act("staff.list", venue="branch")).staff] == ["chen"]
    assert (await admin.act("staff.list", venue="main")).staff == []


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_no_more_staff_than_a_gate_holds(admin: Admin, city: City, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("central.actions.places.staff.MAX_STAFF", 2)
    for name in ("a", "b"):
        await admin.act("staff.add", venue="main", id=name, pin="246813")
    await admin.act("staff.add", venue="main", id="b", pin="111222", replace=True)
    with pytest.raises(ActionFailed, match="main has 2 staff"):
        await admin.act("staff.add", venue="main", id="c", pin="246813")
    async with admin.database.read() as connection:
        assert len((await connection.execute(select(staff))).all()) == 2


@pytest.mark.parametrize("engine", ["sqlite"])
async def test_a_pin_that_was_moved_to_another_person_opens_nothing(admin: Admin, city: City) -> None:
    await admin.act("staff.add", venue="main", id="lin", pin="246813")
    await city.change(staff, staff.c.id == "lin", id="wang")
    with pytest.raises(Refused, match="was altered"):
        await admin.act("gate.config.put", gates=["door-1"], body={"title_en": "Door"})
    await admin.act("verify")
    assert ("staff main wang", "the sealed half of the PIN was altered") in {(p.where, p.what) for p in admin.items}
