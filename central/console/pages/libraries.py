"""Library systems: how they are, and a counter at which books are lent and taken back by card."""

from typing import Any

from central.console.card_words import NOTATIONS
from central.console.page import _N, Asking, Page, See, form, page

LIVE_EVERY_S = 10.0
STATES = {
    "answers": ("good", _N("answers")),
    "down": ("bad", _N("does not answer")),
    "quiet": ("off", _N("quiet hours")),
    "new": ("busy", _N("not asked yet")),
    "not-set": ("warn", _N("not in this server's settings")),
}
FAILURES = {
    "connect": _N("It cannot be reached."),
    "tls": _N("There is no trusted TLS connection: look at its certificate and `authorities`."),
    "login": _N("It refuses the login, or the password's file cannot be read."),
    "offline": _N("It says that it is off line."),
    "timeout": _N("It did not answer in time."),
    "closed": _N("It hung up."),
    "doubted": _N("It says of many at once that they are in good standing no more, and is not believed."),
    "unsuited": _N("It answers no questions about patrons: have them allowed for this login."),
}
ODD = _N("It answered something that cannot be trusted, so the line was closed.")


@page("/libraries", needs="library.status", nav=(_N("Library systems"), 79))
async def libraries_page(ask: Asking) -> Page:
    """How each is doing; and the counter, for who may lend."""
    found = (await ask("library.status")).libraries
    domains = {each.domain for each in found}
    chosen = ask.query.get("for", "")
    shown = await ask("member.show", id=chosen) if chosen and ask.may("library.checkout") else None
    return Page(
        "libraries.html",
        live=True,
        every_s=LIVE_EVERY_S,
        libraries=found,
        states=STATES,
        failures=FAILURES,
        odd=ODD,
        notations=NOTATIONS,
        member=shown.member if shown else "",
        counters=await counters_of(ask, domains) if ask.may("library.tap") and ask.may("gate.list") else [],
    )


@form("/libraries/{library}/check", needs="library.check", again=libraries_page)
async def checked(ask: Asking) -> See:
    """Whether it answers now."""
    found = await ask("library.check", library=ask.path["library"])
    values = {"library": found.library, "ms": found.took_ms}
    return See("/libraries", _N("%(library)s answers; it took %(ms)s ms."), values)


@form("/libraries/{library}/refresh", needs="library.refresh", again=libraries_page)
async def refreshed(ask: Asking) -> See:
    """About one member now, or about everybody again."""
    member = ask.form.get("member", "").strip()
    found = await ask("library.refresh", library=ask.path["library"], member=member)
    if not member:
        return See("/libraries", _N("%(asked)s members are asked about again, one by one."), {"asked": found.asked})
    said = {
        "good": _N("%(member)s: in good standing."),
        "blocked": _N("%(member)s: borrowing is suspended."),
        "expired": _N("%(member)s: the library card has expired."),
        "no-patron": _N("%(member)s: the library knows no such patron."),
    }.get(found.standing, _N("%(member)s: the library's answer does not say."))
    return See("/libraries", said, {"member": member})


@form("/libraries/{library}/believe", needs="library.believe", again=libraries_page)
async def believed(ask: Asking) -> See:
    """Somebody asked the library, and it is right."""
    found = await ask("library.believe", library=ask.path["library"], why=ask.form.get("why", "").strip())
    said = _N("It is believed for a day; %(asked)s members are asked about again, one by one.")
    return See("/libraries", said, {"asked": found.asked})


@form("/libraries/find", needs="library.tap", again=libraries_page)
async def tapped(ask: Asking) -> See:
    """Whoever taps next at the counter is whom books are lent to; their id, not the reference, is in the address."""
    found = await ask("library.tap", gate=ask.form.get("gate", ""))
    return See(f"/libraries?for={found.id}", _N("The card is that of %(member)s."), {"member": found.member})


@form("/libraries/checkout", needs="library.checkout", again=libraries_page)
async def lent(ask: Asking) -> See:
    """Asked for once. The page goes on to another address, so that loading it again lends nothing."""
    named = {name: ask.form.get(name, "").strip() for name in ("library", "item", "member", "uid")}
    found = await ask("library.checkout", **named, notation=ask.form.get("notation", "detect"))
    return _told(found, _N("Lent until %(due)s: %(title)s"))


@form("/libraries/return", needs="library.return", again=libraries_page)
async def taken_back(ask: Asking) -> See:
    """Whoever brought it."""
    named = {name: ask.form.get(name, "").strip() for name in ("library", "item")}
    return _told(await ask("library.return", **named), _N("Taken back: %(title)s"))


async def counters_of(ask: Asking, domains: set[str]) -> list[tuple[str, str]]:
    """Counters of these domains that the caller may ask about."""
    venues = {str(row["id"]) for row in (await ask("venue.list")).rows if str(row["domain"]) in domains}
    rows = (await ask("gate.list")).rows
    return [(str(row["id"]), str(row["id"])) for row in rows if row["kind"] == "counter" and row["venue"] in venues]


def _told(found: Any, done: str) -> See:
    values = {"due": found.due or "–", "title": found.item_title or "–", "said": found.library_said or "–"}
    if found.outcome == "done":
        return See("/libraries", done, values)
    if found.outcome == "refused":
        return See("/libraries", _N("The library says no: %(said)s"), values)
    lost = _N("It is not known what the library did: look at its own system before anybody tries again.")
    return See("/libraries", lost)
