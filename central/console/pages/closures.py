"""Closing a venue or the city, and opening again."""

from central.console.page import _N, Asking, Page, See, form, page
from central.console.titles import venues_of

CITY = "*"


@page("/closures", needs="closure.list", nav=(_N("Closures"), 44))
async def closures(ask: Asking) -> Page:
    """Those that hold or are coming, gates that their staff closed, and the form for another."""
    every = bool(ask.query.get("all"))
    listed = await ask("closure.list", all=every)
    venues = await venues_of(ask)
    return Page(
        "closures.html",
        closures=listed.closures,
        by_staff=listed.gates,
        venues=venues,
        city_too=ask.caller.sees_all,
        every=every,
        city=CITY,
    )


@form("/closures", needs="closure.add", again=closures)
async def add(ask: Asking) -> Page | See:
    """Every connected gate concerned hears of it at once; the page then says what falls into it."""
    venue = ask.form.get("venue", "")
    done = await ask(
        "closure.add",
        venue=None if venue == CITY else venue,
        city=venue == CITY,
        since=ask.form.get("since", ""),
        until=ask.form.get("until", ""),
        why_zh=ask.form.get("why_zh", ""),
        why_en=ask.form.get("why_en", ""),
        admit=[name.strip() for name in ask.form.get("admit", "").split(",") if name.strip()],
        extend_days=ask.form.number("extend_days", 0),
    )
    return Page("closure_done.html", done=done, venues=await venues_of(ask))


@form("/closures/{closure}/end", needs="closure.end", again=closures)
async def end(ask: Asking) -> See:
    """Open again, now."""
    await ask("closure.end", id=ask.path["closure"], why=ask.form.get("why", ""))
    return See("/closures", said=_N("It is over: connected gates open within seconds."))
