"""Getting in and out, and how the console looks: its language and its colours."""

from urllib.parse import quote

from central.access import sign_in as door
from central.access.sign_in import SignedIn, SignInRefused
from central.console.guard import (
    LANG_COOKIE,
    SESSION_COOKIE,
    THEME_COOKIE,
    VISITOR_COOKIE,
    YEAR_S,
    drop_secret,
    set_secret,
)
from central.console.page import _N, SIGNED_IN, Answer, Asking, Page, form, go, page
from central.console.rendering import PREFIX, url, when
from central.console.words import LANGUAGES, say

REFUSALS = {
    door.WRONG: _N("Account or password is wrong."),
    door.LOCKED: _N("Too many wrong passwords: this account is locked until %(until)s."),
    door.TOO_MANY: _N("Too many wrong passwords from your address: try again after %(until)s."),
    door.NEEDS_CODE: _N("Enter the code that your authenticator shows now."),
    door.DISABLED: _N("This account is disabled: ask an admin."),
    door.NOT_FROM_HERE: _N("This account is for a demonstration on the server's own machine only."),
}


@page("/sign-in", needs=SIGNED_IN)
async def sign_in_page(ask: Asking) -> Answer:
    """The form; whoever is signed in already goes on."""
    if ask.session is not None:
        return go(inside(ask.query.get("next", "")))
    return Page("sign_in.html", refused="", next=inside(ask.query.get("next", "")))


@form("/sign-in", needs=SIGNED_IN)
async def sign_in(ask: Asking) -> Answer:
    """A new session with a new secret, whatever the browser had before."""
    goes_to, services = inside(ask.form.get("next", "")), ask.services
    try:
        signed_in: SignedIn = await door.sign_in(
            services.database,
            services.keys,
            ask.form.get("name", "")[:64],
            ask.form.get("password", "")[:1024],
            ask.form.get("code", "")[:16],
            ask.caller.origin,
            ask.now_ms,
            loopback=door.here_alone(ask.config),
        )
    except SignInRefused as refusal:
        until = when(refusal.until_ms).striptags() if refusal.until_ms else ""
        text = say(ask.lang, REFUSALS[refusal.kind]) % {"until": until}
        throttled = refusal.kind in (door.LOCKED, door.TOO_MANY)
        return Page("sign_in.html", status=429 if throttled else 403, refused=text, next=goes_to)
    response = go(goes_to)
    set_secret(response, SESSION_COOKIE, signed_in.secret)
    drop_secret(response, VISITOR_COOKIE)
    return response


@form("/sign-out", needs=SIGNED_IN)
async def sign_out(ask: Asking) -> Answer:
    """This browser's session ends."""
    await door.sign_out(ask.services.database, ask.session, ask.now_ms)
    response = go(url("/sign-in"))
    drop_secret(response, SESSION_COOKIE)
    return response


@form("/look", needs=SIGNED_IN)
async def look(ask: Asking) -> Answer:
    """Language and colours, kept by the browser."""
    response = go(inside(ask.form.get("next", "")))
    for cookie, field, known in ((LANG_COOKIE, "lang", LANGUAGES), (THEME_COOKIE, "theme", ("auto", "light", "dark"))):
        if ask.form.get(field) in known:
            response.set_cookie(cookie, ask.form[field], max_age=YEAR_S, path=PREFIX, httponly=True, samesite="Strict")
    return response


def inside(address: str) -> str:
    """Where to go on: an address within the console, whatever was asked for."""
    within = address.startswith(f"{PREFIX}/") and "\\" not in address and "//" not in address and address.isprintable()
    return quote(address, safe="/?&=%:+,.-_~") if within else url("/")
