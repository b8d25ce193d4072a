"""Staff of a venue, who admit by hand with a PIN, and the reader profiles that gates are sent."""

from central.console.page import _N, Asking, Page, See, form, page
from central.console.titles import choices, venues_of
from central.console.words import say


@page("/staff", needs="staff.list", nav=(_N("Staff PINs"), 46))
async def staff(ask: Asking) -> Page:
    """Who may admit by hand, venue by venue."""
    venues = await venues_of(ask)
    offered = choices(say(ask.lang, "Choose a venue"), ((each.id, each.title) for each in venues.values()))
    return Page("staff.html", staff=(await ask("staff.list")).staff, venues=venues, offered=offered)


@form("/staff", needs="staff.add", again=staff)
async def add(ask: Asking) -> See:
    """Connected gates of the venue know at once."""
    given = {name: ask.form.get(name, "").strip() for name in ("venue", "id", "pin", "title")}
    done = await ask("staff.add", **given, replace="replace" in ask.form)
    said = _N("%(id)s may admit by hand; gates told: %(gates)s.")
    return See("/staff", said=said, values={"id": done.id, "gates": len(done.gates)})


@form("/staff/{venue}/{id}/remove", needs="staff.remove", again=staff)
async def remove(ask: Asking) -> See:
    """Their PIN opens nothing any more at connected gates."""
    await ask("staff.remove", venue=ask.path["venue"], id=ask.path["id"])
    return See("/staff", said=_N("The PIN is taken away."))


@page("/profiles", needs="profile.list", nav=(_N("Reader profiles"), 48))
async def profiles(ask: Asking) -> Page:
    """Those that gates are sent; they go before the ones that agents bring along."""
    name = ask.query.get("name", "")
    shown = await ask("profile.show", name=name) if name else None
    return Page("profiles.html", published=await ask("profile.list"), shown=shown)


@form("/profiles", needs="profile.put", again=profiles)
async def put_profile(ask: Asking) -> See:
    """Every gate gets it, checked before."""
    await ask("profile.put", name=ask.form.get("name", "").strip(), text=ask.form.get("text", "").replace("\r\n", "\n"))
    return See("/profiles", said=_N("The profile is published."))


@form("/profiles/{name}/remove", needs="profile.remove", again=profiles)
async def remove_profile(ask: Asking) -> See:
    """Gates go back to the one that their agent brings along, where there is one."""
    await ask("profile.remove", name=ask.path["name"])
    return See("/profiles", said=_N("The profile is not sent any more."))
