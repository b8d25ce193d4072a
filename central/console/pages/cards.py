"""One card: blocked or let go again, each gate taking that up, and all that was ever known of the card."""

from central.console.card_words import STATES
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.pages.members import member_page

UPTAKE_EVERY_S = 0.5
"""While somebody watches a card being blocked: gates are to have it within two seconds."""
HISTORY_SHOWN = 50


@page("/cards/{card}", needs="card.find")
async def card_page(ask: Asking) -> Answer:
    """The card's state, and by domain which gates hold it."""
    card = ask.path["card"]
    if "live" in ask.query:  # a look at the card is written down once, not at every change of its gates
        return Page("card.html", live=True, every_s=UPTAKE_EVERY_S, uptake=await ask("card.uptake", card=card))
    (held,) = (await ask("card.find", card=card)).cards or [None]
    if held is None:
        return See("/members", _N("This card is bound to nobody."))
    uptake = await ask("card.uptake", card=card)
    history = (await ask("card.history", card=card)).statements[:HISTORY_SHOWN]
    shown = {"card": held, "uptake": uptake, "history": history, "states": STATES}
    return Page("card.html", live=True, every_s=UPTAKE_EVERY_S, **shown)


@form("/cards/{card}/block", needs="card.block", again=card_page)
async def card_blocked(ask: Asking) -> Answer:
    """And the page on which gates are seen taking it up."""
    await ask("card.block", card=ask.path["card"], why=ask.form.get("why", ""))
    return See(f"/cards/{ask.path['card']}", _N("The card is blocked. Gates that are connected are taking it up."))


@form("/cards/{card}/lose", needs="card.block", again=card_page)
async def card_lost(ask: Asking) -> Answer:
    """Refused everywhere, and said to be lost."""
    await ask("card.block", card=ask.path["card"], state="lost", why=ask.form.get("why", ""))
    return See(
        f"/cards/{ask.path['card']}", _N("The card is refused as lost. Gates that are connected are taking it up.")
    )


@form("/cards/{card}/unblock", needs="card.unblock", again=card_page)
async def card_unblocked(ask: Asking) -> Answer:
    """Judged by the rules again."""
    await ask("card.unblock", card=ask.path["card"], why=ask.form.get("why", ""))
    return See(f"/cards/{ask.path['card']}", _N("The card is in use again. Gates that are connected are taking it up."))


@form("/members/{id}/bind", needs="card.bind", again=member_page)
async def card_bound(ask: Asking) -> Answer:
    """By its number, as it was typed."""
    shown = await ask("member.show", id=ask.path["id"])
    values = {"uid": ask.form.get("uid", "").strip(), "notation": ask.form.get("notation", "detect")}
    bound = await ask("card.bind", member=shown.member, **values)
    return See(f"/cards/{bound.card}", _N("The card is bound. Gates that are connected are taking it up."))


@form("/members/{id}/replace", needs="card.replace", again=member_page)
async def card_replaced(ask: Asking) -> Answer:
    """The new card is the member's; the old one stops at once or after some days."""
    values = {name: ask.form.get(name, "").strip() for name in ("card", "new_uid")}
    days = ask.form.number("after_days", 0)
    await ask("card.replace", **values, notation=ask.form.get("notation", "detect"), after_days=days)
    return See(f"/members/{ask.path['id']}", _N("The card is replaced; history, points and hours stay the member's."))
