"""Alerts as an inbox: what calls for a person, taking it on, ending it; and who is told."""

from typing import Any

from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import choices, venues_of
from central.console.words import say

AT_ONCE = 50
ANY = "any"
KINDS = {
    "silent": _N("Silent gate"),
    "skew": _N("Clock"),
    "disk": _N("Disk space"),
    "certificate": _N("Certificate"),
    "denials": _N("Denials jumped"),
    "stale": _N("Old list"),
    "halted": _N("Halted rollout"),
    "untold": _N("Events not taken"),
    "library": _N("Library system"),
    "incident": _N("Incident to tell of"),
    "overdue": _N("Incident not told in time"),
}
STATES = {
    "open": ("bad", _N("Open")),
    "acknowledged": ("busy", _N("Somebody looks after it")),
    "resolved": ("good", _N("Is over")),
}
SHOWN_STATES = (
    ("standing", _N("Not over yet")),
    ("open", _N("Open")),
    ("acknowledged", _N("Somebody looks after it")),
    ("resolved", _N("Is over")),
    (ANY, _N("Any state")),
)
CHANNELS = {"mail": _N("Mail"), "webhook": _N("Webhook")}
TOLD = {"waiting": ("busy", _N("Waits")), "told": ("good", _N("Told")), "given-up": ("bad", _N("Given up"))}
WHAT = {"opened": _N("that it began"), "resolved": _N("that it is over")}


@page("/alerts", needs="alert.list", nav=(_N("Alerts"), 15))
async def alerts(ask: Asking) -> Page:
    """The newest first; without filters, what is not over."""
    wanted = {name: ask.query.get(name, "") for name in ("state", "kind", "venue")}
    state = wanted["state"] or "standing"
    after = ask.query.get("after", "")
    listed = await ask(
        "alert.list",
        state="" if state == ANY else state,
        kind=wanted["kind"],
        venue=wanted["venue"],
        after=after,
        limit=AT_ONCE,
    )
    venues = await venues_of(ask)
    more = url("/alerts", **wanted, after=listed.alerts[-1].id) if listed.more else ""
    lang = ask.lang
    return Page(
        "alerts.html",
        live=True,
        every_s=5.0,
        listed=listed,
        more=more,
        first=url("/alerts", **wanted) if after else "",
        wanted=wanted | {"state": state},
        has_filters=any(wanted.values()),
        kinds=KINDS,
        states=STATES,
        venues=venues,
        kind_choices=[("", say(lang, "Any kind")), *((kind, say(lang, text)) for kind, text in KINDS.items())],
        state_choices=[(each, say(lang, text)) for each, text in SHOWN_STATES],
        venue_choices=choices(say(lang, "Any of your venues"), [(venue.id, venue.title) for venue in venues.values()]),
    )


# --- contacts: before the pages of single alerts, whose paths would take theirs ------------------------------------


@page("/alerts/contacts", needs="alert.contact.list")
async def contacts(ask: Asking) -> Page:
    """Who is told of what, and how."""
    listed = await ask("alert.contact.list")
    return Page("alert_contacts.html", listed=listed, held=None, sent=None, **await _choices(ask))


@form("/alerts/contacts", needs="alert.contact.put", again=contacts)
async def contact_added(ask: Asking) -> Answer:
    """A person more."""
    await _put(ask, ask.form.get("id", "").strip())
    return See("/alerts/contacts", _N("This person is told from now on."))


@page("/alerts/contacts/{id}", needs="alert.contact.list")
async def contact(ask: Asking) -> Answer:
    """One person: changed, tested, removed."""
    return await _contact(ask, None)


@form("/alerts/contacts/{id}", needs="alert.contact.put", again=contact)
async def contact_changed(ask: Asking) -> Answer:
    """Anything but the name that it goes by."""
    await _put(ask, ask.path["id"])
    return See(f"/alerts/contacts/{ask.path['id']}", _N("The contact is changed."))


@form("/alerts/contacts/{id}/test", needs="alert.test", again=contact)
async def contact_tested(ask: Asking) -> Answer:
    """By each way, with what became of it."""
    done = await ask("alert.test", id=ask.path["id"])
    return await _contact(ask, done.sent)


@form("/alerts/contacts/{id}/remove", needs="alert.contact.remove", again=contact)
async def contact_removed(ask: Asking) -> Answer:
    """Nothing more is sent there."""
    await ask("alert.contact.remove", id=ask.path["id"])
    return See("/alerts/contacts", _N("This person is told nothing more."))


async def _contact(ask: Asking, sent: Any) -> Answer:
    listed = await ask("alert.contact.list", id=ask.path["id"])
    if not listed.contacts:
        return See("/alerts/contacts", _N("There is no such contact any more."))
    (held,) = listed.contacts
    return Page("alert_contact.html", held=held, can_mail=listed.can_mail, sent=sent, **await _choices(ask))


async def _choices(ask: Asking) -> dict[str, Any]:
    venues = await venues_of(ask)
    return {
        "kinds": KINDS,
        "channels": CHANNELS,
        "venues": venues,
        "languages": [("zh-TW", "中文"), ("en", "English")],
    }


async def _put(ask: Asking, id_: str) -> None:
    typed = ask.form.get("webhook", "").strip()
    webhook = "" if ask.form.get("no_webhook") else typed or None
    await ask(
        "alert.contact.put",
        id=id_,
        title=ask.form.get("title", "").strip(),
        mail=ask.form.get("mail", "").strip(),
        webhook=webhook,
        kinds=ask.form.all("kinds"),
        venues=ask.form.all("venues"),
        language=ask.form.get("language", "zh-TW"),
    )


# --- one alert ----------------------------------------------------------------------------------------------------


@page("/alerts/{alert}", needs="alert.show")
async def alert(ask: Asking) -> Page:
    """What was seen, what to do, who looks after it, who was told."""
    shown = await ask("alert.show", alert=ask.path["alert"])
    return Page(
        "alert.html",
        live=True,
        shown=shown.alert,
        messages=shown.messages,
        kinds=KINDS,
        states=STATES,
        channels=CHANNELS,
        told=TOLD,
        what=WHAT,
        venues=await venues_of(ask),
    )


@form("/alerts/{alert}/acknowledge", needs="alert.acknowledge", again=alert)
async def acknowledged(ask: Asking) -> Answer:
    """Somebody looks after it."""
    await ask("alert.acknowledge", alert=ask.path["alert"], comment=ask.form.get("comment", "").strip())
    return See(f"/alerts/{ask.path['alert']}", _N("You look after this alert."))


@form("/alerts/{alert}/resolve", needs="alert.resolve", again=alert)
async def resolved(ask: Asking) -> Answer:
    """It is over, or it is none."""
    await ask("alert.resolve", alert=ask.path["alert"], why=ask.form.get("why", "").strip())
    return See(f"/alerts/{ask.path['alert']}", _N("The alert is over."))
