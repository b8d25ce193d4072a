"""Activities, offers, and passes that end soon."""

from typing import Any

from central.actions.action import ActionFailed
from central.console.local_times import field_of
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import choices, title_of, venues_of
from central.console.words import say
from protocol.time_zones import CITY_ZONE

AT_ONCE = 50
CAME = {
    "came": ("good", _N("Came")),
    "absent": ("off", _N("Absent")),
    "walk-in": ("good", _N("Came without registering")),
    "not-registered": ("warn", _N("Not registered")),
    "over-capacity": ("warn", _N("Beyond the capacity")),
}
VERDICTS = {
    "added": _N("Added"),
    "changed": _N("Changed"),
    "removed": _N("Removed"),
    "unchanged": _N("Unchanged"),
    "refused": _N("Refused"),
}
DAYS = (7, 14, 30, 60, 90)


# --- activities -------------------------------------------------------------------------------------------------


@page("/activities", needs="activity.list", nav=(_N("Activities"), 76))
async def activities(ask: Asking) -> Page:
    """Those to come, or all."""
    wanted = {name: ask.query.get(name, "") for name in ("venue", "all")}
    since_ms = 0 if wanted["all"] else ask.now_ms
    after = ask.query.get("after", "")
    listed = await ask("activity.list", venue=wanted["venue"], since_ms=since_ms, after=after, limit=AT_ONCE)
    venues = await venues_of(ask)
    return Page(
        "activities.html",
        rows=[(_titled(each, ask.lang), each) for each in listed.activities],
        more=url("/activities", **wanted, after=listed.next) if listed.more else "",
        first=url("/activities", **wanted) if after else "",
        wanted=wanted,
        venues=venues,
        venue_choices=choices(say(ask.lang, "Every venue"), [(each.id, each.title) for each in venues.values()]),
    )


def _titled(row: Any, lang: str) -> str:
    return title_of({"id": row.id, "title_zh": row.title_zh, "title_en": row.title_en}, lang)


@page("/activities/new", needs="activity.put")
async def new_activity(ask: Asking) -> Page:
    """An empty form."""
    return Page("activity_new.html", **await _form(ask, None))


async def _form(ask: Asking, row: Any) -> dict[str, Any]:
    venues = await venues_of(ask)
    zone = venues[row.venue].zone if row is not None and row.venue in venues else CITY_ZONE
    return {
        "row": row,
        "zone": zone,
        "venues": venues,
        "venue_choices": choices(say(ask.lang, "Choose a venue"), [(each.id, each.title) for each in venues.values()]),
        "since": field_of(row.from_ms, zone) if row is not None else "",
        "until": field_of(row.until_ms, zone) if row is not None else "",
    }


async def _put(ask: Asking, id_: str) -> None:
    names = ("venue", "rule", "since", "until", "title_zh", "title_en")
    values = {name: ask.form.get(name, "").strip() for name in names}
    walk_ins = ask.form.get("walk_ins", "") == "true"
    await ask("activity.put", id=id_, **values, capacity=ask.form.number("capacity", 0), walk_ins=walk_ins)


@form("/activities/new", needs="activity.put", again=new_activity)
async def add_activity(ask: Asking) -> See:
    """A new one; a name that is taken is not overwritten."""
    id_ = ask.form.get("id", "").strip()
    if any(each.id == id_ for each in (await ask("activity.list", id=id_)).activities):
        raise ActionFailed(say(ask.lang, "There is an activity %(name)s already: choose another name.") % {"name": id_})
    await _put(ask, id_)
    return See(f"/activities/{id_}", _N("The activity is kept."))


@page("/activities/{id}", needs="activity.attendance")
async def activity(ask: Asking) -> Page:
    """One of them: who is registered and who came."""
    found = (await ask("activity.list", id=ask.path["id"])).activities
    if not found:
        raise ActionFailed(say(ask.lang, "There is no such activity among yours."))
    row = found[0]
    after = ask.query.get("after", "")
    attended = await ask("activity.attendance", id=row.id, after=after, limit=AT_ONCE)
    return Page(
        "activity.html",
        **await _form(ask, row),
        title_of_activity=_titled(row, ask.lang),
        attended=attended,
        more=url(f"/activities/{row.id}", after=attended.next) if attended.more else "",
        first=url(f"/activities/{row.id}") if after else "",
        came=CAME,
        verdicts=VERDICTS,
        done=None,
        said_of_rows=[],
    )


@form("/activities/{id}", needs="activity.put", again=activity)
async def change_activity(ask: Asking) -> See:
    """As it is from now on; registrations stay."""
    await _put(ask, ask.path["id"])
    return See(f"/activities/{ask.path['id']}", _N("The activity is kept."))


@form("/activities/{id}/register", needs="activity.register", again=activity)
async def register(ask: Asking) -> Answer:
    """A list of members: first what would become of it, then written."""
    done, said = await _table(ask, "activity.register", activity=ask.path["id"])
    shown = await activity(ask)
    shown.data |= {"done": done, "said_of_rows": said}
    return shown


async def _table(ask: Asking, action: str, **values: Any) -> tuple[Any, list[Any]]:
    if ask.file is None:
        raise ActionFailed(say(ask.lang, "Choose a file first."))
    apply = ask.form.get("do", "") == "apply"
    done = await ask.with_file(ask.file.path, action, apply=apply, **values)
    return done, list(ask.items)


# --- offers -----------------------------------------------------------------------------------------------------


@page("/offers", needs="offer.list", nav=(_N("Offers"), 78))
async def offers(ask: Asking) -> Page:
    """What partners offer on a day, for whom."""
    wanted = {"on": ask.query.get("on", ""), "for": ask.query.get("for", "").strip()}
    classes = [name.strip() for name in wanted["for"].replace("|", ",").split(",") if name.strip()]
    on = wanted["on"] or field_of(ask.now_ms)[:10]
    listed = await ask("offer.list", on=on, classes=classes, after=ask.query.get("after", ""), limit=AT_ONCE)
    return Page(
        "offers.html",
        rows=[(_titled(each, ask.lang), each) for each in listed.offers],
        more=url("/offers", **wanted, after=listed.next) if listed.more else "",
        first=url("/offers", **wanted) if ask.query.get("after") else "",
        on=on,
        wanted=wanted,
        verdicts=VERDICTS,
        done=None,
        said_of_rows=[],
    )


@form("/offers", needs="offer.import", again=offers)
async def import_offers(ask: Asking) -> Answer:
    """A table of offers: first what would become of it, then written."""
    done, said = await _table(ask, "offer.import", full=ask.form.get("full", "") == "true")
    shown = await offers(ask)
    shown.data |= {"done": done, "said_of_rows": said}
    return shown


# --- passes -----------------------------------------------------------------------------------------------------


@page("/passes", needs="pass.list", nav=(_N("Passes"), 77))
async def passes(ask: Asking) -> Page:
    """Which end soon, how many of each class, and whose."""
    days = min(max(ask.query.number("days", 30) or 0, 0), 3_660)
    wanted = {"class_name": ask.query.get("class_name", "").strip(), "member": ask.query.get("member", "").strip()}
    counts = (await ask("pass.counts", days=days)).classes
    listed = await ask("pass.list", **wanted, days=days, after=ask.query.get("after", ""), limit=AT_ONCE)
    return Page(
        "passes.html",
        counts=counts,
        rows=listed.passes,
        more=url("/passes", **wanted, days=days, after=listed.next) if listed.more else "",
        first=url("/passes", **wanted, days=days) if ask.query.get("after") else "",
        wanted=wanted,
        days=days,
        day_choices=[(each, say(ask.lang, "%(days)s days") % {"days": each}) for each in sorted({*DAYS, days})],
    )
