"""Other city systems ask whether a card is good, and, for a citizen who is signed in there, what is held of them."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from sqlalchemy import delete, select

from central.access import rates
from central.keys import Keys
from central.privacy.consent import Said, state_consents
from central.store.database import Database
from central.store.schema import (
    api_tokens,
    attendance_sessions,
    audit,
    consent_rules,
    libraries,
    library_patrons,
    member_classes,
    subjects,
    visits,
)
from tests.central.callers import add_account
from tests.central.city import City, uid
from tests.central.console.person import Answered, Console, console_over
from tests.central.neighbours.events.test_notices import session

SQLITE = pytest.mark.parametrize("engine", ["sqlite"])
DAY_MS = 86_400_000


class Neighbours:
    """Systems with tokens of each scope, and three members whose classes are `citizen`."""

    def __init__(self, console: Console, city: City, members: list[bytes]) -> None:
        self.console, self.city, self.members = console, city, members
        self.secrets: dict[str, str] = {}

    async def found(self) -> None:
        await add_account(self.city.database, "chief", "admin")
        await add_account(self.city.database, "pool-system", "operator")
        for scope in ("entitlement", "citizen", "feed"):
            self.secrets[scope] = await self.issue(scope, scopes=[scope])

    async def issue(self, id_: str, **values: Any) -> str:
        self.secrets["chief"] = self.secrets.get("chief") or await self._chief()
        told = {"id": f"{id_}-token", "account": "pool-system", "days": 30} | values
        made = await _as_chief(self.console, "token.issue", told)
        return str(made.token)

    async def _chief(self) -> str:
        return await self.console.token("chief")

    async def ask(self, scope: str, action: str, **params: Any) -> Answered:
        return await self.console.ask_api(self.secrets[scope], action, params)

    async def result(self, scope: str, action: str, **params: Any) -> Any:
        answered = await self.ask(scope, action, **params)
        assert answered.status == 200, answered.text
        return json.loads(answered.text)["result"]

    async def good(self, number: int, class_: str = "citizen") -> Any:
        told = {"uid": uid(number).raw.hex(), "notation": "hex", "class_name": class_}
        return (await self.result("entitlement", "entitlement", **told))["good"]

    async def looks(self) -> list[Any]:
        async with self.city.database.read() as connection:
            rows = await connection.execute(select(audit).where(audit.c.phase == "looked").order_by(audit.c.number))
            return list(rows)


async def _as_chief(console: Console, name: str, values: dict[str, Any]) -> Any:
    from central.access.caller import Caller, Role
    from central.access.perform import perform
    from central.actions.action import Context

    services = console.services
    chief = Caller("chief", frozenset({Role.ADMIN}), "127.0.0.1", local=name in ("token.issue", "subscription.add"))
    context = Context(console.config, services.database, services.keys, services.now_ms(), caller=chief)
    return await perform(context, name, values)


@pytest.fixture
async def neighbours(
    city: City, database: Database, keys: Keys, database_url: str, tmp_path: Path
) -> AsyncIterator[Neighbours]:
    async with console_over(database, keys, database_url, tmp_path / "data") as console:
        made = Neighbours(console, city, await city.add_members(3))
        await made.found()
        yield made


# --- entitlement --------------------------------------------------------------------------------------------------


async def test_a_card_is_good_for_what_its_member_is_today(neighbours: Neighbours) -> None:
    now_ms = neighbours.console.services.now_ms()
    member = neighbours.members[0]
    await neighbours.city.add(
        member_classes,
        {"member": member, "name": "senior", "from_ms": 0, "until_ms": now_ms + DAY_MS},
        {"member": member, "name": "student", "from_ms": 0, "until_ms": now_ms - DAY_MS},
        {"member": member, "name": "staff", "from_ms": now_ms + DAY_MS, "until_ms": 0},
    )
    assert await neighbours.good(0) is True
    assert [await neighbours.good(0, name) for name in ("senior", "student", "staff", "nonsense")] == [
        True,
        False,
        False,
        False,
    ]
    assert await neighbours.good(77) == "unknown"
    told = {"uid": uid(0).raw.hex(), "notation": "hex", "class_name": "senior"}
    found = await neighbours.result("entitlement", "entitlement", **told)
    assert found == {"good": True, "until_ms": now_ms + DAY_MS} or abs(found["until_ms"] - now_ms - DAY_MS) < DAY_MS
    assert found.keys() == {"good", "until_ms"}
    await neighbours.city.set_card_state(member, 1)
    assert await neighbours.good(0) is False


@SQLITE
async def test_a_sensitive_class_is_not_told_without_consent_where_that_is_required(neighbours: Neighbours) -> None:
    member = neighbours.members[0]
    await neighbours.city.add(member_classes, {"member": member, "name": "caring", "from_ms": 0, "until_ms": 0})
    required = {"purpose": "caring", "required": True, "from_ms": 0, "cursor": b"", "at_ms": 0, "who": "", "why": ""}
    await neighbours.city.add(consent_rules, required)
    assert await neighbours.good(0, "caring") is False
    async with neighbours.city.database.write() as connection:
        said = Said(member, "caring", "given", 1, 1, "counter", "lin", "")
        await state_consents(connection, [said], 1)
    assert await neighbours.good(0, "caring") is True


async def test_a_card_is_good_for_what_a_library_of_its_domain_says(neighbours: Neighbours) -> None:
    none = {"failure": "", "said": "", "holder": ""} | dict.fromkeys(
        ("answered_ms", "failed_ms", "failing_ms", "tries", "next_ms", "held_until_ms"), 0
    )
    await neighbours.city.add(libraries, {"id": "city", "domain": "library", "class_name": "library-good"} | none)
    nothing = {
        "key": b"",
        "hold_ready": False,
        "overdue": False,
        "why": "",
        "checked_ms": 1,
        "due_ms": 0,
        "failures": 0,
    }
    of = {"library": "city"} | nothing
    good, blocked, moved = neighbours.members
    standings = ((good, "good"), (blocked, "blocked"), (moved, "good"))
    await neighbours.city.add(library_patrons, *(of | {"member": id_, "standing": said} for id_, said in standings))
    async with neighbours.city.database.write() as connection:
        await connection.execute(delete(subjects).where(subjects.c.member == moved))
    assert [await neighbours.good(number, "library-good") for number in range(3)] == [True, False, False]
    assert await neighbours.good(0) is True


async def test_each_look_is_the_members_to_see_and_holds_no_card(neighbours: Neighbours) -> None:
    await neighbours.good(1)
    await neighbours.good(77)
    known, unknown = await neighbours.looks()
    reference = neighbours.members[1].hex()
    assert (known.action, known.target, known.who) == ("entitlement", reference, "pool-system")
    assert unknown.target == ""
    assert uid(1).raw.hex() not in known.body.lower()
    assert json.loads(known.body)["by_token"] == "entitlement-token"
    seen = await neighbours.result("citizen", "citizen.looks", member=reference)
    assert [(each["action"], each["on_behalf"]) for each in seen["looks"]] == [("entitlement", False)]
    again = await neighbours.result("citizen", "citizen.looks", member=reference)
    assert [(each["action"], each["on_behalf"]) for each in again["looks"]] == [
        ("citizen.looks", True),
        ("entitlement", False),
    ]


@SQLITE
@pytest.mark.parametrize("number", ["", "nonsense", "0401", "08112233", "01020304"])
async def test_what_is_no_card_is_refused_and_not_repeated(neighbours: Neighbours, number: str) -> None:
    answered = await neighbours.ask("entitlement", "entitlement", uid=number, notation="hex", class_name="citizen")
    assert answered.status in (400, 422)
    assert not number or number not in json.loads(answered.text)["failure"]


async def test_a_token_that_asks_too_often_waits(neighbours: Neighbours, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "BURST", 3)
    monkeypatch.setattr(rates, "DRAINS_MS", 60_000)
    told = {"uid": uid(0).raw.hex(), "notation": "hex", "class_name": "citizen"}
    statuses = [(await neighbours.ask("entitlement", "entitlement", **told)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    answered = await neighbours.ask("entitlement", "entitlement", **told)
    assert json.loads(answered.text)["kind"] == "too-many"
    assert 0 < int(answered.headers["Retry-After"]) <= 61
    assert len(await neighbours.looks()) == 3
    assert (await neighbours.ask("citizen", "citizen.points", member=neighbours.members[0].hex())).status == 200


@pytest.mark.parametrize(
    ("number", "last_ms", "now_ms", "left"),
    [(3, 0, 0, (3, 0)), (3, 0, 199, (3, 0)), (3, 0, 200, (2, 200)), (3, 0, 599, (1, 400)), (3, 0, 600, (0, 600))],
)
def test_what_was_counted_drains(number: int, last_ms: int, now_ms: int, left: tuple[int, int]) -> None:
    assert rates.left_of(number, last_ms, now_ms) == left


# --- scopes -------------------------------------------------------------------------------------------------------


async def test_a_scope_opens_its_own_actions_and_no_others(neighbours: Neighbours) -> None:
    member = neighbours.members[0].hex()
    asked = {
        "entitlement": ("entitlement", {"uid": uid(0).raw.hex(), "notation": "hex", "class_name": "citizen"}),
        "citizen": ("citizen.points", {"member": member}),
    }
    for scope in ("entitlement", "citizen", "feed"):
        for of, (action, params) in asked.items():
            answered = await neighbours.ask(scope, action, **params)
            assert (answered.status == 200) == (scope == of), (scope, action, answered.text)
        for action, params in (("member.show", {"member": member}), ("venue.list", {}), ("card.find", {"uid": "04"})):
            assert (await neighbours.ask(scope, action, **params)).status == 403


@SQLITE
async def test_an_account_has_no_scope_by_itself(neighbours: Neighbours) -> None:
    secret = await neighbours.issue("plain")
    answered = await neighbours.console.ask_api(secret, "citizen.points", {"member": neighbours.members[0].hex()})
    assert answered.status == 403


@SQLITE
async def test_an_admin_issues_scopes_and_they_stand_in_the_list(neighbours: Neighbours) -> None:
    lin = await neighbours.console.sign_in("operator", name="lin", venues=("main",))
    mine = await neighbours.console.token("lin", "token.list")
    answered = await neighbours.console.ask_api(mine, "token.issue", {"id": "x", "days": 1, "scopes": ["citizen"]})
    assert answered.status == 403
    assert lin is not None
    rows = {row.id: row.actions for row in await neighbours.city.rows(api_tokens)}
    assert rows["citizen-token"] == '["scope:citizen"]'


# --- citizens -----------------------------------------------------------------------------------------------------


async def test_citizens_see_their_visits_page_by_page(neighbours: Neighbours) -> None:
    own, other = await _subjects(neighbours)
    rows = [
        _visit(own, number, in_ms=1_000 * number, out_ms=None if number == 4 else 1_000 * number + 500)
        for number in range(5)
    ]
    await neighbours.city.add(visits, *rows, _visit(other, 9, in_ms=9_000))
    member = neighbours.members[0].hex()
    first = await neighbours.result("citizen", "citizen.visits", member=member, limit=3)
    second = await neighbours.result("citizen", "citizen.visits", member=member, limit=3, after=first["next"])
    found = first["visits"] + second["visits"]
    assert [each["in_ms"] for each in found] == [4_000, 3_000, 2_000, 1_000, 0]
    assert found[0] == {"venue": "main", "in_ms": 4_000, "out_ms": 0}
    assert second["next"] == ""
    assert {row.target for row in await neighbours.looks()} == {member}
    assert all(json.loads(row.body)["why"] == "on behalf of the member" for row in await neighbours.looks())


@SQLITE
async def test_citizens_see_their_hours_and_points(neighbours: Neighbours) -> None:
    own, _ = await _subjects(neighbours)
    counted = session(own, 1) | {"key": b"1" * 16, "state": "counted", "why": "", "month": "2026-03", "minutes": 125}
    await neighbours.city.add(attendance_sessions, counted, session(own, 2))
    plan = {"domain": "library", "monthly": [{"class": "senior", "points": 1, "valid_from": "2016-01-01"}]}
    await _as_chief(neighbours.console, "points.plan.put", {"id": "p", "body": plan})
    member = neighbours.members[0].hex()
    given = {"member": member, "domain": "library", "points": 30, "why": "a prize"}
    await _as_chief(neighbours.console, "points.grant", given)
    hours = await neighbours.result("citizen", "citizen.hours", member=member, year=2026)
    assert hours == {
        "minutes": 125,
        "months": [{"month": "2026-03", "team": "desk", "minutes": 125}],
        "review": 1,
    }
    points = await neighbours.result("citizen", "citizen.points", member=member)
    assert points == {"accounts": [{"domain": "library", "points": 30, "lots": [{"points": 30, "expires_ms": 0}]}]}
    assert (await neighbours.ask("citizen", "citizen.points", member="nobody")).status == 422


# --- the feed by GET ----------------------------------------------------------------------------------------------


@SQLITE
async def test_a_feed_is_pulled_by_get(neighbours: Neighbours) -> None:
    told = {"id": "books", "types": ["tw.tapgate.tap.v1"], "reader": "pool-system"}
    await _as_chief(neighbours.console, "subscription.add", told)
    address = f"{neighbours.console.address}/api/v1/feed"
    headers = {"Authorization": f"Bearer {neighbours.secrets['feed']}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        async with http.get(address, params={"limit": "5"}) as response:
            assert response.status == 200
            result = (await response.json())["result"]
        assert (result["events"], result["more"]) == ([], False)
        async with http.get(address, params={"after": result["next"]}) as response:
            assert (await response.json())["result"]["next"] == result["next"]
        for wrong in ({"limit": "many"}, {"limit": "0"}, {"nonsense": "1"}):
            async with http.get(address, params=wrong) as response:
                assert response.status == 400


async def _subjects(neighbours: Neighbours) -> tuple[bytes, bytes]:
    of = {row.member: row.subject for row in await neighbours.city.rows(subjects)}
    return of[neighbours.members[0]], of[neighbours.members[1]]


def _visit(subject: bytes, number: int, *, in_ms: int, out_ms: int | None = None) -> dict[str, Any]:
    return {
        **{"venue": "main", "subject": subject, "epoch": bytes(8), "sequence": number, "in_ms": in_ms},
        **{"out_ms": out_ms, "ended": "out" if out_ms else "open", "ends_by_ms": in_ms + 1, "rule": "members"},
    }
