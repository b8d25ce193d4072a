"""Members and cards on pages: found, served at a counter, blocked while each gate is seen taking it up."""

import re
from typing import Any

import pytest

from central.lists import refresh_domain
from central.store.schema import audit, bind_sessions, card_batches, cards, devices, domains, gates, members, venues
from protocol.messages import GateConfig, Part, encode
from tests.central.actors import NOW_MS, UNDERSTANDS
from tests.central.city import City, uid
from tests.central.console.person import Console, Person

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""What differs between databases is tested where the actions are."""


@pytest.fixture
async def people(city: City) -> City:
    """Members M-0 to M-2 with one card each in the library, M-20 at the pool."""
    for n, id_ in enumerate(await city.add_members(3)):
        await city.change(members, members.c.id == id_, reference=f"M-{n}")
    city.keys.new_domain_key("sports", 1)
    await city.add(domains, {"id": "sports", "key_number": 1})
    await city.add(venues, {"id": "pool", "domain": "sports", "time_zone": "Asia/Taipei"})
    await city.add(gates, {"id": "turnstile-1", "venue": "pool", "kind": "turnstile", "policy": "open"})
    await city.configure(GateConfig(0, "turnstile-1", "turnstile"))
    (other,) = await city.add_members(1, 20, "sports")
    await city.change(members, members.c.id == other, reference="M-20")
    async with city.database.write() as connection:
        for domain in ("library", "sports"):
            await refresh_domain(connection, city.keys, domain, NOW_MS)
    return city


async def lin(console: Console) -> Person:
    """Runs the library."""
    return await console.sign_in("operator", venues=("main",))


async def id_of(city: City, reference: str) -> str:
    return next(row.id.hex() for row in await city.rows(members) if row.reference == reference)


async def card_of(city: City, reference: str) -> Any:
    member = bytes.fromhex(await id_of(city, reference))
    return next(row for row in await city.rows(cards) if row.member == member)


def text_of(page: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


async def test_a_member_is_found_by_a_card_and_its_number_stands_in_no_address(people: City, console: Console) -> None:
    person = await lin(console)
    await person.get("/console/members")
    found = await person.post("/console/members/find", sought=uid(1).raw.hex(), kind="any")
    assert found.url.endswith(f"/console/members/{await id_of(people, 'M-1')}")
    assert uid(1).raw.hex() not in found.text
    nobody = await person.post("/console/members/find", sought=uid(20).raw.hex(), kind="any")
    assert (nobody.status, "M-20" in nobody.text) == (200, False)
    assert uid(20).raw.hex() not in nobody.url
    assert all(uid(1).raw.hex() not in row.body for row in await people.rows(audit))


async def test_a_member_is_registered_numbered_and_gets_a_card(people: City, console: Console) -> None:
    person = await lin(console)
    await person.get("/console/members/new")
    fields = {"member": "R-7", "domain": "library", "name": "王小明 <b>", "library-barcode": "L-77"}
    made = await person.post("/console/members/new", **fields)
    assert (made.status, "R-7" in made.text, "王小明 &lt;b&gt;" in made.text) == (200, True, True)
    member = await id_of(people, "R-7")
    bound = await person.post(f"/console/members/{member}/bind", uid=uid(61).raw.hex(), notation="hex")
    assert "/console/cards/" in bound.url
    again = await person.post(f"/console/members/{member}/bind", uid=uid(61).raw.hex(), notation="hex")
    assert (again.status, "此卡已登記" in again.text) == (422, True)
    await person.get("/console/members")
    found = await person.post("/console/members/find", sought="l 77", kind="library-barcode")
    assert found.url.endswith(member)
    await person.post(f"/console/members/{member}/number", kind="library-barcode", identifier="")
    await person.get("/console/members")
    assert "R-7" not in (await person.post("/console/members/find", sought="l77", kind="any")).text


async def test_blocking_shows_each_gate_taking_it_up(people: City, console: Console) -> None:
    person = await lin(console)
    card = await card_of(people, "M-1")
    await person.get(f"/console/members/{card.member.hex()}")
    console.services.now_ms = lambda: NOW_MS + 60_000
    shown = await person.post(f"/console/cards/{card.id.hex()}/block", why="reported by phone")
    assert shown.url.endswith(f"/console/cards/{card.id.hex()}")
    said = text_of(shown.text)
    assert "reported by phone" in said
    assert "door-1 main ○" in said  # never heard of
    poll = people.device.poll_message(parts=(Part("allowlist", NOW_MS + 90_000, bytes(32)),))
    await people.change(devices, devices.c.gate == "door-1", report=encode(poll), seen_ms=NOW_MS + 60_000)
    assert "door-1 main ●" in text_of((await person.get(f"/console/cards/{card.id.hex()}")).text)


async def test_watching_a_card_writes_one_look_into_the_audit_log(people: City, console: Console) -> None:
    person = await lin(console)
    card = (await card_of(people, "M-1")).id.hex()
    await person.get(f"/console/cards/{card}")
    before = len(await people.rows(audit))
    for _ in range(3):
        async with person._http.get(f"{console.address}/console/cards/{card}?live=1") as stream:
            assert b"data:" in await stream.content.readany()
    assert len(await people.rows(audit)) == before


async def test_a_card_is_waited_for_at_a_counter_and_given_up(people: City, console: Console) -> None:
    person = await lin(console)
    poll = people.device.poll_message(understands=(*UNDERSTANDS, "tapgate.bind.v1"))
    await people.change(devices, devices.c.gate == "door-1", report=encode(poll))
    member = await id_of(people, "M-1")
    await person.get(f"/console/members/{member}")
    waiting = await person.post(f"/console/members/{member}/tap", gate="door-1", minutes=2)
    assert "/console/binding/" in waiting.url
    assert f'data-until="{NOW_MS + 120_000}"' in waiting.text
    twice = await person.post(f"/console/members/{member}/tap", gate="door-1", minutes=2)
    assert twice.status == 422
    over = await person.post(waiting.url.removeprefix(console.address) + "/cancel")
    assert over.status == 200
    assert [row.state for row in await people.rows(bind_sessions)] == ["cancelled"]
    assert "door-1" in (await person.get("/console/binding")).text


async def test_a_day_card_is_given_out(people: City, console: Console) -> None:
    person = await lin(console)
    await person.get("/console/day-cards")
    given = await person.post("/console/day-cards", venue="main", uid=uid(90).raw.hex(), notation="hex", gate="")
    assert "/console/members/" in given.url
    assert "day/" in given.text
    assert (await person.post("/console/day-cards", venue="pool", uid=uid(91).raw.hex(), notation="hex")).status == 403


async def test_what_is_anothers_is_as_if_it_were_not(people: City, console: Console) -> None:
    person = await lin(console)
    member, card = await id_of(people, "M-20"), (await card_of(people, "M-20")).id.hex()
    assert (await person.get(f"/console/members/{member}")).status in (403, 404, 422)
    assert (await person.get(f"/console/cards/{card}")).status == 403
    await person.get("/console/members")
    for path, fields in (
        (f"/console/cards/{card}/block", {}),
        (f"/console/members/{member}/bind", {"uid": uid(50).raw.hex(), "notation": "hex"}),
        (f"/console/members/{member}/put", {"name": "Eve", "domain": "library"}),
        (f"/console/members/{member}/tap", {"gate": "door-1"}),
    ):
        assert (await person.post(path, **fields)).status in (403, 404, 422), path
    assert {row.state for row in await people.rows(cards)} == {0}


async def test_an_auditor_sees_and_cannot_change(people: City, console: Console) -> None:
    person = await console.sign_in("auditor")
    member, card = await id_of(people, "M-1"), (await card_of(people, "M-1")).id.hex()
    page = await person.get(f"/console/members/{member}")
    assert (page.status, "/block" in page.text, "/bind" in page.text) == (200, False, False)
    assert (await person.post(f"/console/cards/{card}/block")).status == 403
    assert (await person.get("/console/day-cards")).status == 403


async def test_a_coordinator_has_no_members(people: City, console: Console) -> None:
    person = await console.sign_in("coordinator")
    for path in ("/console/members", "/console/members/new", "/console/binding", "/console/batches"):
        assert (await person.get(path)).status == 403, path


async def test_batches_are_listed_and_their_undoing_is_shown_first(people: City, console: Console) -> None:
    row = {"kind": "issue", "domain": "library", "who": "chen", "why": "", "undone_ms": 0, "undone_by": ""}
    await people.add(card_batches, *({"name": f"b-{n:02}", "at_ms": NOW_MS + n, **row} for n in range(60)))
    person = await console.sign_in("admin")
    first = await person.get("/console/batches")
    assert ("b-59" in first.text, "b-05" in first.text) == (True, False)
    rest = await person.get("/console/batches?after=b-10")
    assert (">b-09<" in rest.text, ">b-10<" in rest.text) == (True, False)
    await person.get("/console/batches/b-07")
    plan = await person.post("/console/batches/b-07/undo")
    assert 'name="apply" value="true"' in plan.text
    await person.post("/console/batches/b-07/undo", apply="true")
    assert [each.name for each in await people.rows(card_batches) if each.undone_ms] == ["b-07"]
