"""Privacy: what data is used for, holds and retention; and of one member consents, a copy, who looked, erasing."""

from central.console.copies import places_of, shown_of
from central.console.look_words import LOOKS
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.titles import choices, venues_of
from central.console.words import say
from central.privacy.copying import title_of

STATES = {"given": ("good", _N("agreed")), "withdrawn": ("bad", _N("refused or taken back"))}
HOW = {"counter": _N("at a counter"), "kiosk": _N("at a kiosk"), "list": _N("by a signed form")}
LOOKED = {
    "looked": _N("looked"),
    "changed": _N("changed"),
    "refused": _N("was refused"),
    "failed": _N("tried, and nothing changed"),
}
WHERE = {"gates": _N("gates"), "backups": _N("backups made before"), "copies": _N("copies of the database set aside")}
UID_STATES = {
    "asked": ("busy", _N("asked: another admin has to allow it")),
    "allowed": ("good", _N("allowed: to be shown once")),
    "shown": ("off", _N("shown")),
    "over": ("off", _N("over")),
}
PER_PAGE = 50


@page("/privacy", needs="purpose.list", nav=(_N("Privacy"), 85))
async def privacy(ask: Asking) -> Page:
    """Purposes and their notices; for admins what is held, how long things are kept, and who was erased when."""
    may_hold = ask.may("hold.list")
    venues = await venues_of(ask) if may_hold else {}
    offered = choices(say(ask.lang, "All venues"), ((each.id, each.title) for each in venues.values()))
    return Page(
        "privacy.html",
        purposes=(await ask("purpose.list")).purposes,
        holds=(await ask("hold.list")).holds if may_hold else [],
        incidents=(await ask("incident.list")).incidents if ask.may("incident.list") else [],
        lost=ask.query.get("device", ""),
        retention=await ask("retention.list") if ask.may("retention.list") else None,
        erased=(await ask("erasure.list", limit=PER_PAGE)).erasures if ask.may("erasure.list") else [],
        looks=(await ask("card.uid.list")).looks if ask.may("card.uid.list") else [],
        venues=venues,
        offered=offered,
        uid_states=UID_STATES,
    )


@form("/privacy/require", needs="purpose.require", again=privacy)
async def require(ask: Asking) -> See:
    """From a day on only a given consent counts."""
    given = {name: ask.form.get(name, "").strip() for name in ("purpose", "when", "why")}
    done = await ask("purpose.require", **given)
    if done.from_ms:
        return See("/privacy", _N("From that day on only a given consent counts."))
    said = _N("Only a given consent counts now; members whose cards follow: %(members)s.")
    lifted = _N("Consent is not required any more; members whose cards follow: %(members)s.")
    return See("/privacy", said if done.required else lifted, {"members": done.members})


@form("/privacy/holds", needs="hold.put", again=privacy)
async def hold(ask: Asking) -> See:
    """Nothing of it is destroyed any more."""
    await ask("hold.put", **{name: ask.form.get(name, "").strip() for name in ("member", "venue", "why")})
    return See("/privacy", _N("It is held: nothing of it is destroyed."))


@form("/privacy/holds/{id}/end", needs="hold.end", again=privacy)
async def hold_ended(ask: Asking) -> See:
    """It may be destroyed again."""
    await ask("hold.end", id=ask.path["id"])
    return See("/privacy", _N("The hold is over."))


@form("/privacy/retention", needs="retention.put", again=privacy)
async def retention(ask: Asking) -> See:
    """How long what is personal is kept, by purpose."""
    of = {"purpose": ask.form.get("kept_for", "") or "admission", "venue": ask.form.get("venue", "")}
    await ask("retention.put", **of, days=ask.form.get("days", "").strip() or "0")
    return See("/privacy", _N("The rule holds from now on."))


@form("/cards/{card}/uid", needs="card.uid.ask", again=privacy)
async def uid_asked(ask: Asking) -> See:
    """Somebody must see the number of a card."""
    await ask("card.uid.ask", card=ask.path["card"], why=ask.form.get("why", "").strip())
    return See("/privacy", _N("Another admin has to allow it within a quarter of an hour."))


@form("/privacy/uid/{id}/allow", needs="card.uid.allow", again=privacy)
async def uid_allowed(ask: Asking) -> See:
    """By somebody else than who asked."""
    await ask("card.uid.allow", id=ask.path["id"])
    return See("/privacy", _N("The person who asked may see it now, once."))


@form("/privacy/uid/{id}/show", needs="card.uid.show", again=privacy)
async def uid_shown(ask: Asking) -> Page:
    """On this page alone; nothing keeps it."""
    return Page("privacy_uid.html", shown=await ask("card.uid.show", id=ask.path["id"]))


# --- one member ---------------------------------------------------------------------------------------------------


@page("/members/{id}/privacy", needs="consent.list")
async def member_privacy(ask: Asking) -> Page:
    """What the member agreed to, and what else the member may ask for."""
    shown = await ask("member.show", id=ask.path["id"])
    purposes = [each for each in (await ask("purpose.list")).purposes if each.consent != "never"]
    statements = (await ask("consent.list", member=shown.member)).consents
    holding = {each.purpose: each for each in statements if each.holds}
    return Page(
        "member_privacy.html",
        member=shown,
        purposes=purposes,
        statements=statements,
        holding=holding,
        states=STATES,
        how=HOW,
        titles={each.id: each.title_en if ask.lang == "en" else each.title_zh for each in purposes},
    )


@form("/members/{id}/consent", needs="consent.give", again=member_privacy)
async def consented(ask: Asking) -> See:
    """The member was told and agreed, or refused."""
    shown = await ask("member.show", id=ask.path["id"])
    given = {"member": shown.member, "purpose": ask.form.get("purpose", ""), "why": ask.form.get("why", "").strip()}
    agreed = ask.form.get("answer", "") == "yes"
    await ask("consent.give" if agreed else "consent.withdraw", **given, how=ask.form.get("how", "") or "counter")
    said = _N("The consent is written down.") if agreed else _N("It is taken back; connected gates know.")
    return See(f"/members/{ask.path['id']}/privacy", said)


@page("/members/{id}/copy", needs="member.copy")
async def copied(ask: Asking) -> Page:
    """Everything that is held, for the member: to print, or as JSON by the API."""
    shown = await ask("member.show", id=ask.path["id"])
    copy = await ask("member.copy", member=shown.member)
    places = await places_of(ask)
    sections = [shown_of(section, places) for section in copy.sections]
    return Page("member_copy.html", member=shown, at_ms=copy.at_ms, sections=sections)


@page("/members/{id}/looks", needs="member.looks")
async def looks(ask: Asking) -> Page:
    """Who looked at the member's data, or changed it."""
    shown = await ask("member.show", id=ask.path["id"])
    found = await ask("member.looks", member=shown.member, before=ask.query.number("before", 0), limit=PER_PAGE)
    return Page("member_looks.html", member=shown, found=found, looked=LOOKED, words=LOOKS)


@form("/members/{id}/correct", needs="member.correct", again=member_privacy)
async def corrected(ask: Asking) -> See:
    """Put right what is held."""
    shown = await ask("member.show", id=ask.path["id"])
    gone = [name.strip() for name in ask.form.get("without_classes", "").split(",") if name.strip()]
    done = await ask(
        "member.correct",
        member=shown.member,
        name=ask.form.get("name", "").strip(),
        without_name="without_name" in ask.form,
        without_classes=gone,
        reference=ask.form.get("reference", "").strip(),
        why=ask.form.get("why", "").strip(),
    )
    said = _N("It is put right.") if done.changed else _N("Nothing was changed.")
    return See(f"/members/{ask.path['id']}/privacy", said)


@page("/members/{id}/erase", needs="member.erase")
async def erasing(ask: Asking) -> Answer:
    """What would go, before somebody says that it shall."""
    shown = await ask("member.show", id=ask.path["id"])
    would = await ask("member.erase", person=shown.member)
    return Page("member_erase.html", member=shown, done=would, rows=_titled(ask, would.rows), where=WHERE)


def _titled(ask: Asking, rows: dict[str, int]) -> list[tuple[str, int]]:
    """How many of what, by what it is called."""
    return [(title_of(name)[ask.lang == "en"], number) for name, number in rows.items()]


@form("/members/{id}/erase", needs="member.erase", again=erasing)
async def erased(ask: Asking) -> Answer:
    """Everything goes. The receipt is shown once."""
    shown = await ask("member.show", id=ask.path["id"])
    if ask.form.get("member", "").strip() != shown.member:
        return See(f"/members/{ask.path['id']}/erase", _N("Type the member's reference to say whom you mean."))
    done = await ask("member.erase", person=shown.member, apply=True)
    return Page("member_erase.html", member=None, done=done, rows=_titled(ask, done.rows), where=WHERE)
