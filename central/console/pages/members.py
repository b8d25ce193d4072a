"""Members: looked for, shown, registered, and what is changed of one."""

from typing import Any

from central.console.card_words import BY, KINDS_SOUGHT, NOTATIONS, NUMBERS, STANDINGS, STATES
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.titles import title_of

PER_PAGE = 25


@page("/members", needs="member.find", nav=(_N("Cards and members"), 50))
async def members_page(ask: Asking) -> Answer:
    """What somebody has of a member goes into a field. It is sent as a form: a UID or a name stands in no address."""
    return Page("members.html", found=None, sought="", kind="any", **_WORDS)


@page("/members/find", needs="member.find")
async def members_again(ask: Asking) -> Answer:
    """What was found is not kept: whoever comes back here looks again."""
    return See("/members")


@form("/members/find", needs="member.find", again=members_page)
async def members_found(ask: Asking) -> Answer:
    """Who was found; the one, at once, where there is only one."""
    sought, kind, after = (ask.form.get(name, "") for name in ("sought", "kind", "after"))
    if not sought.strip():
        return See("/members")
    found = await ask("member.find", sought=sought.strip(), kind=kind or "any", after=after, limit=PER_PAGE)
    if len(found.members) == 1 and not found.after and not after:
        return See(f"/members/{found.members[0].id}")
    return Page("members.html", found=found, sought=sought, kind=kind or "any", **_WORDS)


_WORDS: dict[str, Any] = {"kinds": KINDS_SOUGHT, "by": BY, "notations": NOTATIONS, "states": STATES}


@page("/members/new", needs="member.put")
async def member_new(ask: Asking) -> Answer:
    """A form for somebody who is not known yet."""
    return Page("member_new.html", domains=await domains_of(ask), may_classes=ask.caller.sees_all)


@form("/members/new", needs="member.put", again=member_new)
async def member_added(ask: Asking) -> Answer:
    """Registered, with a number where one was typed; the card comes next."""
    classes = [name.strip() for name in ask.form.get("classes", "").replace("|", ",").split(",") if name.strip()]
    values = {name: ask.form.get(name, "").strip() for name in ("member", "domain", "name")}
    stands = await ask("member.put", **values, classes=classes)
    for kind in NUMBERS:
        if number := ask.form.get(kind, "").strip():
            await ask("member.number.put", member=stands.member, kind=kind, identifier=number)
    return See(f"/members/{stands.id}", _N("%(member)s is registered. Bind a card next."), {"member": stands.member})


@page("/members/{id}", needs="member.show")
async def member_page(ask: Asking) -> Answer:
    """One member: cards, classes, domains, numbers, and every way to give them a card."""
    shown = await ask("member.show", id=ask.path["id"])
    counters = await gates_of(ask, {domain.domain for domain in shown.domains}) if ask.may(_OPEN) else []
    domains = [name for name in await domains_of(ask) if name[0] not in {held.domain for held in shown.domains}]
    in_use = [card for card in shown.cards if card.state != "replaced"]
    return Page(
        "member.html",
        member=shown,
        states=STATES,
        numbers=NUMBERS,
        notations=NOTATIONS,
        counters=counters,
        other_domains=domains if ask.caller.sees_all else [],
        replaceable=[(card.card, card.number) for card in in_use],
        may_classes=ask.caller.sees_all,
        sessions=SESSIONS,
        standings=STANDINGS,
    )


_OPEN = "card.bind-session.open"
SESSIONS = {
    "open": ("busy", _N("waits for a card")),
    "late": ("busy", _N("time is over; a tap may still come")),
    "bound": ("good", _N("bound")),
    "refused": ("bad", _N("refused")),
    "cancelled": ("off", _N("cancelled")),
    "expired": ("off", _N("no card came")),
}


@form("/members/{id}/put", needs="member.put", again=member_page)
async def member_changed(ask: Asking) -> Answer:
    """Another name, another domain, more classes."""
    shown = await ask("member.show", id=ask.path["id"])
    classes = [name.strip() for name in ask.form.get("classes", "").replace("|", ",").split(",") if name.strip()]
    domain = ask.form.get("domain", "") or next((held.domain for held in shown.domains), "")
    values = {"member": shown.member, "domain": domain, "name": ask.form.get("name", "").strip()}
    stands = await ask("member.put", **values, classes=classes, why=ask.form.get("why", ""))
    said = _N("Nothing was changed.") if stands.change == "unchanged" else _N("The member is changed.")
    return See(f"/members/{ask.path['id']}", said)


@form("/members/{id}/number", needs="member.number.put", again=member_page)
async def member_numbered(ask: Asking) -> Answer:
    """A number in place of the one of its kind; an empty one removes it."""
    shown = await ask("member.show", id=ask.path["id"])
    kind, number = ask.form.get("kind", ""), ask.form.get("identifier", "").strip()
    if number:
        await ask("member.number.put", member=shown.member, kind=kind, identifier=number)
        return See(f"/members/{ask.path['id']}", _N("The member is found by this number from now on."))
    await ask("member.number.remove", member=shown.member, kind=kind)
    return See(f"/members/{ask.path['id']}", _N("The number is removed."))


# --- places to choose from ----------------------------------------------------------------------------------------


async def domains_of(ask: Asking) -> list[tuple[str, str]]:
    """The domains of the caller's venues, or every one, with their titles."""
    rows = (await ask("domain.list")).rows
    if not ask.caller.sees_all:
        theirs = {row["domain"] for row in (await ask("venue.list")).rows}
        rows = [row for row in rows if row["id"] in theirs]
    return [(str(row["id"]), str(row["title"] or row["id"])) for row in rows]


async def gates_of(ask: Asking, domains: set[str]) -> list[tuple[str, str]]:
    """Gates of these domains at whose reader a card can be tapped, counters first."""
    venues = {row["id"] for row in (await ask("venue.list")).rows if row["domain"] in domains}
    rows = [row for row in (await ask("gate.list")).rows if row["venue"] in venues and row["direction"] != "out"]
    rows.sort(key=lambda row: (row["kind"] != "counter", row["id"]))
    return [(str(row["id"]), f"{title_of(row, ask.lang)} ({row['id']})") for row in rows]
