"""The one way to an action: who may, where, in whose name, and what the audit log keeps of it."""

import asyncio
import hashlib
import json
from typing import Any

import pytest
from sqlalchemy import delete, select, update
from sqlalchemy.exc import DBAPIError

from central.access.audit import FIRST_HEAD, chained, head_of
from central.access.perform import BadParameters, NoSuchAction, perform
from central.access.reach import Forbidden
from central.actions.action import ActionFailed, Context
from central.keys import Keys
from central.store.database import Database
from central.store.schema import audit, domains, gates, subjects, venues
from tests.central.admin import Admin, admin_of
from tests.central.callers import ask, caller
from tests.central.city import City

ANA = caller("ana", "admin")


@pytest.fixture
def admin(city: City, database: Database, keys: Keys, database_url: str, tmp_path: Any) -> Admin:
    return admin_of(database, keys, database_url, tmp_path / "data")


async def rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list(await connection.execute(select(audit).order_by(audit.c.number)))


async def test_a_change_is_asked_and_done_with_what_it_was_before(admin: Admin, city: City) -> None:
    await ask(admin, ANA, "venue.set", id="main", closes_at="22:30")
    asked, done = await rows(city.database)
    assert (asked.phase, asked.who, asked.origin, asked.action, asked.target) == (
        *("asked", "ana", "192.0.2.7", "venue.set"),
        "main",
    )
    assert json.loads(asked.body)["params"]["closes_at"] == "22:30"
    assert (done.phase, done.asked, done.target) == ("done", asked.number, "main")
    body = json.loads(done.body)
    assert "24:00" in json.dumps(body["was"])
    assert "22:30" in json.dumps(body["now"])


async def test_a_change_that_failed_says_why(admin: Admin, city: City) -> None:
    with pytest.raises(ActionFailed):
        await ask(admin, ANA, "venue.set", id="nowhere", closes_at="22:30")
    asked, failed = await rows(city.database)
    assert (asked.phase, failed.phase, failed.asked) == ("asked", "failed", asked.number)
    assert "nowhere" in json.loads(failed.body)["why"]


async def test_reading_leaves_no_trace_unless_it_is_about_a_person(admin: Admin, city: City) -> None:
    await ask(admin, ANA, "venue.list")
    assert await rows(city.database) == []
    await ask(admin, ANA, "inside", venue="main")
    (looked,) = await rows(city.database)
    assert (looked.phase, looked.action, looked.target) == ("looked", "inside", "main")


async def test_an_open_page_that_is_drawn_again_leaves_no_second_trace(admin: Admin, city: City) -> None:
    context = Context(admin.config, admin.database, admin.keys, admin.now_ms, caller=ANA, looks_on=True)
    await perform(context, "inside", {"venue": "main"})
    assert await rows(city.database) == []


async def test_who_states_something_is_never_the_callers_to_choose(admin: Admin, city: City) -> None:
    params = {
        "venue": "main",
        "since": "2026-01-01T00:00",
        "until": "2027-01-02T00:00",
        "why_zh": "颱風",
        "why_en": "storm",
    }
    await ask(admin, ANA, "closure.add", who="somebody else", **params)
    listed = await ask(admin, ANA, "closure.list", all=True)
    assert [closure.who for closure in listed.closures] == ["ana"]


async def test_an_operator_acts_in_own_venues_alone(admin: Admin, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    olga = caller("olga", "operator", venues=("branch",))
    with pytest.raises(Forbidden):
        await ask(admin, olga, "venue.set", id="main", closes_at="22:30")
    with pytest.raises(Forbidden):
        await ask(admin, olga, "device.revoke", device=city.device.id, why="curious")
    with pytest.raises(Forbidden):
        await ask(admin, olga, "gate.config.put", body={}, gates=["door-1"])
    await ask(admin, olga, "venue.set", id="branch", closes_at="22:30")
    refused = [row for row in await rows(city.database) if row.phase == "refused"]
    assert [row.action for row in refused] == ["venue.set", "device.revoke", "gate.config.put"]


async def test_a_gate_of_somebody_else_among_own_ones_refuses_all(admin: Admin, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "door-9", "venue": "branch", "kind": "door", "policy": "open"})
    olga = caller("olga", "operator", venues=("branch",))
    with pytest.raises(Forbidden):
        await ask(admin, olga, "gate.config.put", body={}, gates=["door-9", "door-1"])


async def test_what_there_is_not_and_what_is_not_theirs_are_answered_alike(admin: Admin, city: City) -> None:
    olga = caller("olga", "operator", venues=("branch",))
    said = []
    for device in (city.device.id, "f" * 32):
        with pytest.raises(Forbidden) as refusal:
            await ask(admin, olga, "device.revoke", device=device, why="curious")
        said.append(str(refusal.value).replace(device, "…"))
    assert said[0] == said[1]


async def test_without_a_place_an_operator_may_not_act_for_the_city(admin: Admin, city: City) -> None:
    olga = caller("olga", "operator", venues=("main",))
    params = {"since": "2026-01-01T00:00", "until": "2027-01-02T00:00", "why_zh": "颱風", "why_en": "storm"}
    with pytest.raises(Forbidden):
        await ask(admin, olga, "closure.add", city=True, **params)


async def test_secrets_never_stand_in_the_log(admin: Admin, city: City) -> None:
    await ask(admin, ANA, "staff.add", venue="main", id="may", pin="482916", title="May")
    await ask(admin, ANA, "device.invite", gate="door-1")
    with pytest.raises(ActionFailed):
        await ask(admin, ANA, "card.block", uid="04A1B2C3D4E5F6", why="lost")
    kept = "".join(row.body for row in await rows(city.database)).lower()
    assert "482916" not in kept
    assert "04a1b2c3d4e5f6" not in kept
    token = [json.loads(row.body).get("answer", {}).get("token") for row in await rows(city.database)]
    assert {held for held in token if held} == {"…"}


async def test_parameters_that_cannot_be_read_are_refused_before_anything_is_done(admin: Admin, city: City) -> None:
    with pytest.raises(BadParameters, match="closes_at"):
        await ask(admin, ANA, "venue.set", id="main", closes_at="99:99")
    with pytest.raises(BadParameters, match="nonsense"):
        await ask(admin, ANA, "venue.set", id="main", closes_at="22:00", nonsense=1)
    with pytest.raises(NoSuchAction):
        await ask(admin, ANA, "venue.burn")
    assert await rows(city.database) == []


async def test_rows_are_chained_whoever_writes_at_once(admin: Admin, city: City) -> None:
    await asyncio.gather(*(ask(admin, ANA, "venue.set", id="main", closes_at=f"2{n}:00") for n in range(4)))
    head, numbers = FIRST_HEAD, []
    for row in await rows(city.database):
        head = head_of(head, chained(row))
        assert row.head == head
        numbers.append(row.number)
    assert numbers == list(range(1, 9))
    assert head != hashlib.sha256(b"").digest()


async def test_the_database_itself_refuses_to_change_the_log(admin: Admin, city: City) -> None:
    await ask(admin, ANA, "venue.set", id="main", closes_at="22:30")
    for statement in (update(audit).values(who="nobody"), delete(audit)):
        with pytest.raises(DBAPIError, match="appended"):
            async with city.database.write() as connection:
                await connection.execute(statement)


async def test_whoever_also_audits_changes_only_what_is_theirs(admin: Admin, city: City) -> None:
    await city.add(venues, {"id": "branch", "domain": "library", "time_zone": "Asia/Taipei"})
    olga = caller("olga", "operator", "auditor", venues=("branch",))
    assert {row["id"] for row in (await ask(admin, olga, "venue.list")).rows} == {"branch", "main"}
    with pytest.raises(Forbidden):
        await ask(admin, olga, "venue.set", id="main", closes_at="22:30")
    with pytest.raises(Forbidden):
        await ask(
            admin, olga, "closure.add", city=True, since="2026-01-01", until="2030-01-01", why_zh="無", why_en="no"
        )
    await ask(admin, olga, "venue.set", id="branch", closes_at="22:30")


async def test_an_operator_extends_nobodys_classes(admin: Admin, city: City) -> None:
    olga = caller("olga", "operator", venues=("main",))
    times = {"since": "2026-01-01", "until": "2030-01-01", "why_zh": "颱風", "why_en": "storm"}
    with pytest.raises(ActionFailed, match="an admin extends"):
        await ask(admin, olga, "closure.add", venue="main", extend_days=30, **times)


async def test_points_of_another_domain_are_not_an_operators_affair(admin: Admin, city: City) -> None:
    city.keys.new_domain_key("pool", 1)
    await city.add(domains, {"id": "pool", "key_number": 1})
    (member,) = await city.add_members(1)
    await city.add(subjects, {"domain": "pool", "member": member, "subject": b"p" * 16})
    olga = caller("olga", "operator", venues=("main",))
    about = {"member": member.hex(), "domain": "pool"}
    for name, more in (("points.balance", {}), ("points.redeem", {"points": 1, "why": "bag"})):
        with pytest.raises(Forbidden):
            await ask(admin, olga, name, **about, **more)
