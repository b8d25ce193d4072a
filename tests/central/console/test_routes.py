"""Every route of the console for every role, and every action of the API for every role."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from central.access.rules import RULES
from central.access.tokens import actions_of
from central.actions.registry import ACTIONS
from central.console.page import SIGNED_IN
from central.console.registry import ROUTES
from central.console.serving import PUBLIC
from central.keys import Keys
from central.openapi import offered
from central.store.database import open_database
from central.store.migrate import migrate_async
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.person import Console, Person, console_over

ROLES = ("admin", "auditor", "operator", "coordinator")
VISITOR = "visitor"
SIGN_IN = "/console/sign-in"

IN_ONE_LOOP = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def console(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Console]:
    directory = tmp_path_factory.mktemp("routes")
    url = f"sqlite:///{directory / 'central.db'}"
    await migrate_async(url)
    keys = Keys.create(directory / "keys", None, NOW_MS)
    async with open_database(url) as database:
        await City(database, keys).found()
        async with console_over(database, keys, url, directory / "data") as made:
            yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def people(console: Console) -> dict[str, Person]:
    found = {role: await console.sign_in(role, name=role, venues=("main",), teams=("greeters",)) for role in ROLES}
    return found | {VISITOR: console.visitor()}


def is_for(role: str, needs: str) -> bool:
    """Said once more, so that the table of rules is compared with something else than itself."""
    if needs == SIGNED_IN:
        return True
    if role == "admin":
        return True
    if role == "auditor" and not ACTIONS[needs].writes:
        return True
    return role in {str(one) for one in RULES[needs].roles}


def filled(path: str) -> str:
    """A path with something in its places: nothing that there is, so a page that is allowed answers 200, 404 or 422."""
    return "/console" + re.sub(r"\{[^}]*\}", "0" * 32, path)


def test_every_route_names_an_action_that_has_a_rule() -> None:
    unknown = [route.path for route in ROUTES if route.needs != SIGNED_IN and route.needs not in RULES]
    assert unknown == []


def test_forms_need_a_changing_action_or_only_an_account() -> None:
    """A form that changes something must not be open to whoever may only look."""
    reading = [
        route.path
        for route in ROUTES
        if route.method == "POST" and route.needs != SIGNED_IN and not ACTIONS[route.needs].writes
    ]
    assert [path for path in reading if not path.endswith(READING_FORMS)] == []


READING_FORMS = ("/check", "/replay", "/preview", "/diff", "/verify", "/find", "/vols/export")
"""Forms that are sent because what they ask with is too long, or too personal, for an address."""


@IN_ONE_LOOP
@pytest.mark.parametrize("role", [*ROLES, VISITOR])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_route_is_for_those_roles_that_it_is_for(people: dict[str, Person], role: str, route: Any) -> None:
    person, path = people[role], filled(route.path)
    if route.path in ("/sign-out", "/sign-in", "/look"):
        return  # tests of signing in
    if route.method == "GET":
        answered = await person.get(path, allow_redirects=False)
    else:
        await person.get("/console/me")
        answered = await person.post_quietly(path)
    if role == VISITOR and route.path not in PUBLIC:
        assert answered.status in (303, 401)
        assert answered.status == 401 or answered.headers["Location"].startswith(SIGN_IN)
    elif is_for(role, route.needs):
        assert answered.status in (200, 303, 403, 404, 409, 422), answered.text[:500]
        if answered.status == 403:
            assert "您的帳號沒有此權限" not in answered.text, "the account as such may do this"
    else:
        assert answered.status == 403
        assert "您的帳號沒有此權限" in answered.text


@IN_ONE_LOOP
@pytest.mark.parametrize("role", ROLES)
async def test_a_form_without_its_token_changes_nothing(people: dict[str, Person], role: str) -> None:
    for route in ROUTES:
        if route.method == "POST" and is_for(role, route.needs):
            answered = await people[role].send(filled(route.path), data={"csrf": "0" * 64}, allow_redirects=False)
            assert answered.status == 403, route.path


@IN_ONE_LOOP
@pytest.mark.parametrize("role", ROLES)
async def test_the_menu_offers_what_the_account_may_do(people: dict[str, Person], role: str) -> None:
    text = (await people[role].get("/console/me")).text
    for route in ROUTES:
        if route.nav:
            assert (f'href="/console{route.path}"' in text.split('<nav id="menu"')[1].split("</nav>")[0]) == is_for(
                role, route.needs
            ), route.path


@IN_ONE_LOOP
@pytest.mark.parametrize("role", ROLES)
async def test_an_action_of_the_api_is_for_those_roles_that_it_is_for(
    console: Console, people: dict[str, Person], role: str
) -> None:
    secret = await console.token(role)
    for action in offered(ACTIONS.values()):
        answered = await console.ask_api(secret, action.name, {"nonsense": 1})
        if is_for(role, action.name) and action.name in actions_of(()):
            assert answered.status == 400, (action.name, answered.text)
        else:
            assert answered.status == 403, (action.name, answered.text)


@IN_ONE_LOOP
async def test_the_api_wants_a_token(console: Console) -> None:
    for secret in ("", "tapgate_" + "A" * 43, "nonsense"):
        answered = await console.ask_api(secret, "venue.list", {})
        assert answered.status == 401
        assert answered.headers["WWW-Authenticate"].startswith("Bearer")


def test_templates_are_where_they_are_looked_for() -> None:
    folder = Path(__file__).parents[3] / "central" / "console" / "templates"
    assert (folder / "base.html").exists()
