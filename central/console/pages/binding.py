"""Cards bound by tapping them at a counter, and day cards given out."""

from central.console.card_words import NOTATIONS
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.pages.members import SESSIONS, gates_of, member_page
from central.console.titles import venues_of

PER_PAGE = 50
WATCH_EVERY_S = 0.5


@page("/binding", needs="card.bind-session.list")
async def binding_page(ask: Asking) -> Answer:
    """What waits for a card now, and what became of the last ones."""
    found = await ask("card.bind-session.list", all=True, after=ask.query.get("after", ""), limit=PER_PAGE)
    return Page("binding.html", live=True, found=found, sessions=SESSIONS)


@page("/binding/{session}", needs="card.bind-session.show")
async def session_page(ask: Asking) -> Answer:
    """The countdown, and what became of it."""
    session = await ask("card.bind-session.show", session=ask.path["session"])
    return Page("binding_one.html", live=True, every_s=WATCH_EVERY_S, session=session, sessions=SESSIONS)


@form("/members/{id}/tap", needs="card.bind-session.open", again=member_page)
async def session_opened(ask: Asking) -> Answer:
    """The counter takes the next card for this member."""
    shown = await ask("member.show", id=ask.path["id"])
    minutes = ask.form.number("minutes", 2)
    opened = await ask("card.bind-session.open", gate=ask.form.get("gate", ""), member=shown.member, minutes=minutes)
    return See(f"/binding/{opened.session}")


@form("/binding/{session}/cancel", needs="card.bind-session.cancel", again=session_page)
async def session_cancelled(ask: Asking) -> Answer:
    """The counter decides on the next card again."""
    session = await ask("card.bind-session.show", session=ask.path["session"])
    await ask("card.bind-session.cancel", gate=session.gate)
    return See(f"/binding/{ask.path['session']}", _N("The counter waits for no card any more."))


@page("/day-cards", needs="card.issue-day")
async def day_cards_page(ask: Asking) -> Answer:
    """A form for a card that is good until the venue closes."""
    venues = await venues_of(ask)
    domains = {str(row["domain"]) for row in (await ask("venue.list")).rows}
    counters = await gates_of(ask, domains) if ask.may("card.bind-session.open") else []
    return Page(
        "day_cards.html",
        venues=[(venue.id, venue.title) for venue in venues.values()],
        counters=counters,
        notations=NOTATIONS,
    )


@form("/day-cards", needs="card.issue-day", again=day_cards_page)
async def day_card_given(ask: Asking) -> Answer:
    """By its number, or by tapping it where none was typed."""
    uid, gate = ask.form.get("uid", "").strip(), ask.form.get("gate", "")
    values = {"uid": uid, "notation": ask.form.get("notation", "detect")} if uid else {}
    given = await ask("card.issue-day", venue=ask.form.get("venue", ""), **values)
    if uid or not gate:
        said = _N("The day card is given out.") if uid else _N("A day card's member is made: bind a card now.")
        return See(f"/members/{given.id}", said)
    opened = await ask("card.bind-session.open", gate=gate, member=given.member)
    return See(f"/binding/{opened.session}")
