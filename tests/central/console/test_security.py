"""What strangers and colleagues try at the console, and do not get: forged forms, carried-over sessions, guessed
passwords, codes that were seen, other people's accounts, and addresses that lead away."""

import re
from typing import Any
from urllib.parse import urljoin, urlsplit

import aiohttp
import pytest
import structlog
from sqlalchemy import select

from central.access.lockout import ADDRESS_FAILURES, FREE_FAILURES
from central.access.totp import code_at
from central.console.guard import SESSION_COOKIE, VISITOR_COOKIE, csrf_of
from central.console.page import ROUTES, SIGNED_IN
from central.store.schema import accounts, api_tokens, audit, sign_ins
from tests.central.console.person import PASSWORD, Console, Person, console_over
from tests.central.console.test_accounts import NEW, secret_of
from tests.central.console.test_routes import filled

pytestmark = pytest.mark.parametrize("engine", ["sqlite"])
SIGN_IN = "/console/sign-in"
HOSTILE = '"><script>alert(1)</script>'


async def is_in(person: Person) -> bool:
    return "/sign-in" not in (await person.get("/console/me")).url


async def rows(console: Console, table: Any) -> list[Any]:
    async with console.services.database.read() as connection:
        return list((await connection.execute(select(table))).all())


# --- forged forms -----------------------------------------------------------------------------------------------


async def test_a_form_counts_only_with_the_token_of_its_own_session(console: Console) -> None:
    chief, other = await console.sign_in("admin", name="chief"), await console.sign_in("admin", name="other")
    await chief.get("/console/me")
    await other.get("/console/me")
    fields = {"account": "friend", "roles": "admin", "password": PASSWORD}
    tokens = (
        "",
        "0" * 64,
        other.csrf,
        chief.csrf[:-1],
        chief.csrf.upper(),
        "密" * 64,
        csrf_of(""),
        "\x00",
        "0" * 100_000,
    )
    for token in tokens:
        assert (await chief.post("/console/accounts", csrf=token, **fields)).status == 403, token[:9]
    assert (await chief.send("/console/accounts", data=fields)).status == 403
    assert {row.id for row in await rows(console, accounts)} == {"chief", "other"}
    await chief.get("/console/accounts")
    assert (await chief.post("/console/accounts", **fields)).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
    ],
)
async def test_a_form_from_another_site_is_refused_even_with_the_token(
    console: Console, headers: dict[str, str]
) -> None:
    chief = await console.sign_in("admin", name="chief")
    await chief.get("/console/me")
    data = {"csrf": chief.csrf, "account": "friend", "roles": "admin"}
    assert (await chief.send("/console/accounts", data=data, headers=headers)).status == 403


async def test_nobody_is_signed_in_by_another_site(console: Console) -> None:
    """Else they would do their work in a stranger's account."""
    await console.account("stranger", "operator")
    fields = {"name": "stranger", "password": PASSWORD}
    for token in ("", csrf_of(""), "0" * 64):
        visitor = console.visitor()
        assert (await visitor.post(SIGN_IN, csrf=token, **fields)).status == 403
        assert not await is_in(visitor)
    attacker, victim = console.visitor(), console.visitor()
    await attacker.get(SIGN_IN)
    await victim.get(SIGN_IN)
    assert (await victim.post(SIGN_IN, csrf=attacker.csrf, **fields)).status == 403


async def test_looking_changes_nothing(console: Console) -> None:
    """Whatever an address is called: only forms change something."""
    chief = await console.sign_in("admin", name="chief")
    for route in ROUTES:
        if route.method == "POST" and not any(one.method == "GET" and one.path == route.path for one in ROUTES):
            answered = await chief.get(filled(route.path), allow_redirects=False)
            assert answered.status in (404, 405, 422), route.path
    assert await is_in(chief)


# --- sessions ---------------------------------------------------------------------------------------------------


async def test_a_session_that_was_planted_is_not_the_one_that_is_signed_in(console: Console) -> None:
    await console.account("lin", "operator")
    victim, attacker = console.visitor(), console.visitor()
    planted = "A" * 43
    victim.set_cookie(SESSION_COOKIE, planted)
    await victim.sign_in("lin")
    assert await is_in(victim)
    assert victim.cookies()[SESSION_COOKIE] != planted
    attacker.set_cookie(SESSION_COOKIE, planted)
    assert not await is_in(attacker)


async def test_every_sign_in_gives_another_secret_and_drops_the_visitors(console: Console) -> None:
    await console.account("lin", "operator")
    person, secrets = console.visitor(), set()
    for _ in range(3):
        await person.get(SIGN_IN)
        before = person.cookies().get(VISITOR_COOKIE, "")
        await person.sign_in("lin")
        secrets.add(person.cookies()[SESSION_COOKIE])
        assert person.cookies().get(VISITOR_COOKIE) in (None, "")
        assert before not in secrets
        await person.get("/console/me")
        await person.post("/console/sign-out")
    assert len(secrets) == 3


async def test_a_secret_is_dead_once_its_session_has_ended(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin")
    kept = lin.cookies()[SESSION_COOKIE]
    await lin.get("/console/me")
    await lin.post("/console/sign-out")
    thief = console.visitor()
    thief.set_cookie(SESSION_COOKIE, kept)
    assert not await is_in(thief)
    assert await rows(console, sign_ins) == []


async def test_a_new_password_signs_every_thief_out(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin")
    thief = console.visitor()
    thief.set_cookie(SESSION_COOKIE, lin.cookies()[SESSION_COOKIE])
    assert await is_in(thief)
    await lin.get("/console/me/password")
    await lin.post("/console/me/password", old=PASSWORD, new=NEW, again=NEW)
    assert not await is_in(thief)
    assert not await is_in(lin)


async def test_an_idle_session_ends_and_a_live_page_does_not_prolong_it(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin")
    now_ms = console.services.now_ms()
    console.services.now_ms = lambda: now_ms + 29 * 60_000  # type: ignore[method-assign]
    await lin.get("/console/tokens?live=1")
    console.services.now_ms = lambda: now_ms + 31 * 60_000  # type: ignore[method-assign]
    assert not await is_in(lin)


async def test_what_stands_in_a_cookie_breaks_nothing(console: Console) -> None:
    for value in ("", "x", "A" * 43, "A" * 4_000, "%00" * 43, "%E5%AF%86"):
        visitor = console.visitor()
        for cookie in (SESSION_COOKIE, VISITOR_COOKIE, "tapgate-lang", "tapgate-theme", "tapgate-said"):
            visitor.set_cookie(cookie, value)
        answered = await visitor.get("/console/me")
        assert (answered.status, urlsplit(answered.url).path) == (200, SIGN_IN)


async def test_cookies_are_out_of_reach_of_scripts_other_sites_and_plain_http(console: Console) -> None:
    await console.account("lin", "operator")
    person = console.visitor()
    await person.get(SIGN_IN)
    fields = {"csrf": person.csrf, "name": "lin", "password": PASSWORD}
    answered = await person.send(SIGN_IN, data=fields, allow_redirects=False)
    found = answered.headers.getall("Set-Cookie")
    (secret,) = [cookie for cookie in found if cookie.startswith(f"{SESSION_COOKIE}=")]
    for word in ("HttpOnly", "Secure", "SameSite=Strict", "Path=/"):
        assert word in secret
    assert "Domain" not in secret
    assert "Max-Age" not in secret, "it lasts as long as the browser is open"


async def test_who_has_to_change_the_password_gets_nowhere_else(console: Console) -> None:
    await console.account("lin", "admin", must_change=True)
    lin = console.visitor()
    await lin.sign_in("lin")
    await lin.get("/console/me/password")
    for route in ROUTES:
        path = filled(route.path)
        if route.path in ("/sign-in", "/sign-out", "/look", "/me/password"):
            continue
        for asked in (path, f"{path}?live=1"):
            answered = (
                await lin.get(asked, allow_redirects=False) if route.method == "GET" else await lin.post_quietly(asked)
            )
            assert answered.status == 303, route.path
            assert answered.headers["Location"] == "/console/me/password"


# --- guessing ---------------------------------------------------------------------------------------------------


async def test_guessing_at_one_account_locks_it_and_right_looks_like_wrong(console: Console) -> None:
    await console.account("lin", "operator")
    stranger = console.visitor()
    statuses = [(await stranger.sign_in("lin", f"guess {n}")).status for n in range(FREE_FAILURES + 1)]
    assert statuses == [403] * FREE_FAILURES + [429]
    wrong, right = await stranger.sign_in("lin", "guess"), await stranger.sign_in("lin", PASSWORD)
    unknown = [await stranger.sign_in("nobody", "guess") for _ in range(FREE_FAILURES + 1)][-1]
    assert wrong.status == right.status == unknown.status == 429
    said = [re.findall(r'class="problem"[^>]*>([^<]+)<', each.text) for each in (wrong, right, unknown)]
    assert said[0] == said[1] == said[2]
    assert not await is_in(stranger)


async def test_a_wrong_account_answers_as_a_wrong_password_does(console: Console) -> None:
    await console.account("lin", "operator")
    await console.account("gone", "operator", state="disabled")
    stranger = console.visitor()
    texts = set()
    for name in ("lin", "nobody", "gone"):
        answered = await stranger.sign_in(name, "guess")
        texts.add(answered.text.replace(f'value="{name}"', "").replace(stranger.csrf, ""))
        assert answered.status == 403
    assert len(texts) == 1


async def test_guessing_at_many_accounts_stops_the_address(console: Console) -> None:
    await console.account("lin", "operator")
    stranger = console.visitor()
    statuses = [(await stranger.sign_in(f"name-{n}", "guess")).status for n in range(ADDRESS_FAILURES + 2)]
    assert statuses == [403] * ADDRESS_FAILURES + [429] * 2
    assert (await stranger.sign_in("lin")).status == 429


async def test_an_address_cannot_be_made_up(console: Console) -> None:
    """Without a proxy in front, nobody is asked where they come from."""
    stranger = console.visitor()
    await stranger.get(SIGN_IN)
    data = {"csrf": stranger.csrf, "name": "nobody", "password": "guess"}
    await stranger.send(SIGN_IN, data=data, headers={"X-Forwarded-For": "203.0.113.5"})
    assert {row.origin for row in await rows(console, audit)} == {"127.0.0.1"}


async def test_a_code_that_was_seen_is_of_no_use(console: Console) -> None:
    lin = await console.sign_in("operator", name="lin")
    await lin.get("/console/me/phone")
    await lin.post("/console/me/phone", password=PASSWORD)
    now_ms = console.services.now_ms()
    secret = await secret_of(console, "lin")
    used = code_at(secret, now_ms)
    await lin.post("/console/me/phone/confirm", code=used)
    thief = console.visitor()
    assert (await thief.sign_in("lin", code=used)).status == 403
    fresh = code_at(secret, now_ms + 30_000)
    owner = console.visitor()
    await owner.sign_in("lin", code=fresh)
    assert await is_in(owner)
    assert (await thief.sign_in("lin", code=fresh)).status == 403
    assert not await is_in(thief)


async def test_no_password_and_no_code_comes_into_a_log(console: Console) -> None:
    await console.account("lin", "operator")
    person = console.visitor()
    with structlog.testing.capture_logs() as logged:
        await person.sign_in("lin", "a password typed wrong", code="246813")
        await person.sign_in("a password typed as a name", "x")
        await person.sign_in("lin", PASSWORD)
        await person.get("/console/me/password")
        await person.post("/console/me/password", old=PASSWORD, new=NEW, again=NEW)
    everything = repr(logged) + repr(await rows(console, audit))
    for secret in ("typed wrong", "typed as a name", "246813", PASSWORD, NEW, person.csrf):
        assert secret not in everything


# --- other people's ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["operator", "coordinator", "auditor"])
async def test_other_peoples_accounts_are_closed_by_any_address(console: Console, role: str) -> None:
    await console.sign_in("admin", name="chief")
    person = await console.sign_in(role, name="lin")
    await person.get("/console/me")
    before = [row for row in await rows(console, accounts) if row.id == "chief"]
    for path, fields in (
        ("/console/accounts", {"account": "friend", "roles": "admin"}),
        ("/console/accounts/chief", {"roles": "auditor", "state": "disabled"}),
        ("/console/accounts/lin", {"roles": "admin", "state": "active"}),
        ("/console/accounts/chief/reset", {}),
        ("/console/accounts/lin/reset", {}),
        ("/console/accounts/chief/no-codes", {}),
        ("/console/accounts/chief/sessions", {}),
        ("/console/accounts/chief/unlock", {}),
        ("/console/tokens", {"id": "mine", "days": "1", "account": "chief"}),
    ):
        assert (await person.post(path, **fields)).status == 403, path
        await person.get("/console/me")
    assert [row for row in await rows(console, accounts) if row.id == "chief"] == before
    if role != "auditor":
        assert (await person.get("/console/accounts/chief")).status == 403
        assert (await person.get("/console/audit")).status == 403


async def test_a_session_and_a_token_of_somebody_else_cannot_be_ended_by_name(console: Console) -> None:
    await console.sign_in("admin", name="chief")
    await console.token("chief", "gate.list")
    lin = await console.sign_in("operator", name="lin")
    (session,) = [row.hash.hex() for row in await rows(console, sign_ins) if row.account == "chief"]
    await lin.get("/console/me")
    assert (await lin.post("/console/me/sessions", session=session)).status == 422
    (token,) = [row.id for row in await rows(console, api_tokens)]
    assert (await lin.post(f"/console/tokens/{token}/revoke")).status == 422
    assert len([row for row in await rows(console, sign_ins) if row.account == "chief"]) == 1


# --- addresses, headers, bodies ---------------------------------------------------------------------------------

AWAY = [
    "https://evil.example/",
    "//evil.example/",
    "///evil.example",
    "/\\evil.example",
    "\\\\evil.example",
    "/console//evil.example",
    "/console/..//evil.example",
    "/console/\\evil.example",
    "/console/\r\nSet-Cookie: a=b",
    "/console/\tx",
    "javascript:alert(1)",
    "/console@evil.example",
    "/consoleevil",
    "https:/console/",
    " /console/ //evil.example",
    "/console/\u2028",
    "/console/" + "x" * 5_000,
]


@pytest.mark.parametrize("address", AWAY)
async def test_nobody_is_led_away_after_signing_in(console: Console, address: str) -> None:
    lin = await console.sign_in("operator", name="lin")
    await lin.get("/console/me")
    answers = [await lin.get(SIGN_IN, params={"next": address}, allow_redirects=False)]
    answers.append(await lin.post_quietly("/console/look", next=address, lang="en"))
    visitor = console.visitor()
    await visitor.get(SIGN_IN, params={"next": address})
    answers.append(await visitor.post_quietly(SIGN_IN, name="lin", password=PASSWORD, next=address))
    for answered in answers:
        assert answered.status == 303
        leads_to = urlsplit(urljoin(console.address + SIGN_IN, answered.headers["Location"]))
        assert f"{leads_to.scheme}://{leads_to.netloc}" == console.address
        assert leads_to.path.startswith("/console/")
        assert "Set-Cookie: a" not in str(answered.headers)


POLICY = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "img-src": ["'self'", "data:"],
    "connect-src": ["'self'"],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "frame-ancestors": ["'none'"],
}
INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\sstyle\s*=|\son[a-z]+\s*=|javascript:", re.IGNORECASE)


async def test_every_answer_has_its_headers_and_no_page_has_anything_inline(console: Console) -> None:
    chief, visitor = await console.sign_in("admin", name="chief"), console.visitor()
    paths = [filled(route.path) for route in ROUTES if route.method == "GET"]
    asked = [(chief, path) for path in (*paths, "/console/no-such-page", "/console/static/console.css")]
    asked += [(visitor, path) for path in (SIGN_IN, "/console/me", "/console/static/no", "/api/v1/openapi.json")]
    for person, path in asked:
        answered = await person.get(path, allow_redirects=False)
        policy = {
            name: values
            for name, *values in (part.split() for part in answered.headers["Content-Security-Policy"].split(";"))
        }
        assert policy == POLICY, path
        assert answered.headers["X-Content-Type-Options"] == "nosniff"
        assert answered.headers["X-Frame-Options"] == "DENY"
        assert answered.headers["Referrer-Policy"] in ("same-origin", "no-referrer")
        assert answered.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert "static" in path or "no-store" in answered.headers["Cache-Control"], path
        if "html" in answered.headers.get("Content-Type", ""):
            assert not INLINE.search(answered.text), (path, INLINE.search(answered.text))


async def test_refused_forms_have_the_headers_too(console: Console) -> None:
    visitor = console.visitor()
    for path in (SIGN_IN, "/console/accounts", "/console/no-such-page", "/api/v1/account.list"):
        answered = await visitor.send(path, data={"csrf": "x"})
        assert answered.status in (401, 403, 404)
        assert "default-src 'none'" in answered.headers["Content-Security-Policy"], path


async def test_what_people_are_called_is_text_and_nothing_else(console: Console) -> None:
    await console.account("chief", "admin", title=HOSTILE)
    chief = console.visitor()
    await chief.sign_in("chief")
    await chief.sign_in(HOSTILE, HOSTILE)
    await chief.get("/console/me")
    await chief.post("/console/accounts/chief", title=HOSTILE * 2, roles=["admin"], state="active", password=PASSWORD)
    await chief.sign_in("chief")
    chief.set_cookie("tapgate-said", HOSTILE)
    for path in (
        "/accounts",
        "/accounts/chief",
        "/audit",
        "/me",
        "/tokens",
        f"/audit?account={HOSTILE}&target=<script>",
    ):
        text = (await chief.get(f"/console{path}")).text
        assert "<script>alert" not in text, path
    assert "&lt;script&gt;alert" in (await chief.get("/console/accounts")).text
    refused = await chief.post("/console/tokens", id=HOSTILE, days=HOSTILE, account=HOSTILE, actions=HOSTILE)
    assert refused.status in (403, 422)
    assert "<script>alert" not in refused.text


async def test_an_address_that_a_proxy_tells_is_text_too(
    city: Any, database: Any, keys: Any, database_url: str, tmp_path: Any
) -> None:
    async with console_over(database, keys, database_url, tmp_path / "proxied", proxied=True) as console:
        chief = await console.sign_in("admin", name="chief")
        stranger = console.visitor()
        await stranger.get(SIGN_IN)
        data = {"csrf": stranger.csrf, "name": "chief", "password": "guess"}
        told = {"X-Forwarded-For": f"203.0.113.1, {HOSTILE}"}
        await stranger.send(SIGN_IN, data=data, headers=told)
        text = (await chief.get("/console/audit?kind=refused")).text
        assert "<script>alert" not in text
        assert "203.0.113.1," not in text, "only what our own proxy saw"


async def test_a_stranger_fills_no_disk_and_no_memory(console: Console) -> None:
    visitor = console.visitor()
    await visitor.get(SIGN_IN)
    form = aiohttp.FormData()
    form.add_field("csrf", visitor.csrf)
    form.add_field("file", b"x" * 3_000_000, filename="large.bin")
    assert (await visitor.send(SIGN_IN, data=form)).status == 413
    assert list(console.config.data_dir.glob("uploaded-*")) == []
    huge = {"csrf": visitor.csrf, "name": "x", "password": "y" * 50_000_000}
    assert (await visitor.send(SIGN_IN, data=huge)).status == 413
    assert (await visitor.get(SIGN_IN)).status == 200


async def test_pages_for_everybody_are_few(console: Console) -> None:
    """Whoever adds a page that only needs an account is asked to think about it."""
    everybodys = {route.path for route in ROUTES if route.needs == SIGNED_IN}
    assert everybodys <= {"/", "/sign-in", "/sign-out", "/look", "/me", "/me/password"}, everybodys
