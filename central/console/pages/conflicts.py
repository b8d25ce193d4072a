"""Conflicts as an inbox: which there are, why, and what people do with one or with many."""

from typing import Any

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.console.column_words import COLUMNS
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import choices, venues_of
from central.console.words import say
from protocol.errors import Refused

AT_ONCE = 50
FILTERS = ("kind", "state", "venue", "assigned", "member")
NOBODY, MINE, ANY = "-", "me", "any"

KINDS = {
    "used-apart": (
        _N("Used in two places"),
        _N("Two gates that did not know of each other let the same card in; together their taps break a rule."),
    ),
    "impossible-travel": (
        _N("Elsewhere too soon"),
        _N("The card was at another venue sooner than anybody gets there."),
    ),
    "admitted-after-revocation": (
        _N("Let in after the card was stopped"),
        _N("Central had stopped the card by then; the gate had an older list."),
    ),
    "denied-but-entitled": (
        _N("Kept out wrongly"),
        _N("By what the gate had, or should have had for two minutes, this person should have come in."),
    ),
    "policy-differs": (
        _N("Against its own policy"),
        _N("By its own policy and list the gate cannot have let this card in."),
    ),
    "charged-otherwise": (
        _N("Charged otherwise"),
        _N("By its own policy and list the gate cannot have charged so much, or so little."),
    ),
    "overspent": (
        _N("More points than there were"),
        _N("Points were spent that the member did not have."),
    ),
    "left-without-entry": (
        _N("Left without an entry"),
        _N("There is an exit and no entry before it, where the policy counts on both."),
    ),
    "fingerprint-changed": (
        _N("Another chip"),
        _N("Another chip answered with this card's number: it may be a copy."),
    ),
    "clock-off": (
        _N("The gate's clock was wrong"),
        _N("State by how much the clock was off, and its taps are judged by the right time."),
    ),
}
STATES = {
    "open": ("warn", _N("Open")),
    "note": ("off", _N("Note")),
    "settled": ("good", _N("Settled")),
    "gone": ("off", _N("Explained since")),
}
SAID = {
    "conflict-settled": _N("settled it"),
    "conflict-reopened": _N("opened it again"),
    "conflict-commented": _N("commented"),
    "conflict-assigned": _N("gave it to %(to)s"),
}
LEFT = _N("took it back")
ENTRY_FIELDS = (
    ("listed", _N("On the list")),
    ("state", _N("State")),
    ("classes", _N("Classes")),
    ("from_ms", _N("Valid from")),
    ("until_ms", _N("Valid until")),
    ("card", _N("Which of the member's cards")),
    ("flags", _N("Notices")),
    ("version", _N("List of")),
)
CODES = {
    "active": _N("active"),
    "blocked": _N("blocked"),
    "lost": _N("lost"),
    "replaced": _N("replaced"),
    "trusted": _N("trusted"),
    "behind": _N("behind"),
    "ahead": _N("ahead"),
    "unconfirmed": _N("unconfirmed"),
}


@page("/conflicts", needs="conflict.list", nav=(_N("Conflicts"), 25))
async def conflicts(ask: Asking) -> Page:
    """The oldest open ones first."""
    wanted = {name: ask.query.get(name, "") for name in FILTERS}
    state = wanted["state"] or "open"
    assigned = wanted["assigned"]
    listed = await ask(
        "conflict.list",
        kind=wanted["kind"],
        venue=wanted["venue"],
        member=wanted["member"].strip(),
        state="" if state == ANY else state,
        assigned="" if assigned == NOBODY else ask.caller.name if assigned == MINE else assigned,
        unassigned=assigned == NOBODY,
        after=ask.query.get("after", ""),
        limit=AT_ONCE,
    )
    counts = (await ask("conflict.counts", venue=wanted["venue"], state="open")).kinds
    venues = await venues_of(ask)
    people = [(each.account, each.title or each.account) for each in (await ask("conflict.assignees")).accounts]
    return Page(
        "conflicts.html",
        live=True,
        every_s=5,
        rows=listed.rows,
        more=url("/conflicts", **wanted, after=listed.next) if listed.more else "",
        first=url("/conflicts", **wanted) if ask.query.get("after") else "",
        counts=counts,
        wanted=wanted | {"state": state},
        filters=[name for name in FILTERS if wanted[name]],
        kinds=KINDS,
        states=STATES,
        venues=venues,
        venue_choices=choices(say(ask.lang, "Every venue"), [(each.id, each.title) for each in venues.values()]),
        kind_choices=[("", say(ask.lang, "Every kind")), *((kind, say(ask.lang, KINDS[kind][0])) for kind in KINDS)],
        state_choices=[*((each, say(ask.lang, STATES[each][1])) for each in STATES), (ANY, say(ask.lang, "Any state"))],
        whose_choices=[
            *(("", say(ask.lang, "Anybody's")), (MINE, say(ask.lang, "Mine")), (NOBODY, say(ask.lang, "Nobody's"))),
            *people,
        ],
        people=people,
        results=[],
    )


@form("/conflicts", needs="conflict.settle", again=conflicts)
async def bulk(ask: Asking) -> Answer:
    """The same with every one that was ticked; which of them could not be done is shown with the reason."""
    ids, what = ask.form.all("ids"), ask.form.get("do", "")
    if not ids:
        raise ActionFailed(say(ask.lang, "Tick at least one conflict first."))
    why = ask.form.get("why", "").strip()
    if what in ("settle", "comment") and not why:
        raise ActionFailed(say(ask.lang, "Say why: it is kept with your name."))
    done = await _done(ask, what, ids, why, ask.form.get("to", ""))
    back = {name: ask.query.get(name, "") for name in FILTERS}
    if done.refused:
        shown = await conflicts(ask)
        shown.data["results"] = done.results
        return shown
    return See(
        url("/conflicts", **back).removeprefix("/console"), _N("Done with %(done)s conflicts."), {"done": done.done}
    )


async def _done(ask: Asking, what: str, ids: list[str], why: str, to: str) -> Any:
    if what == "assign":
        return await ask("conflict.assign", ids=ids, to="" if to == NOBODY else to, why=why)
    if what == "retry":
        return await ask("conflict.retry", ids=ids)
    if what in ("settle", "comment"):
        return await ask(f"conflict.{what}", ids=ids, why=why)
    raise ActionFailed(say(ask.lang, "Choose what to do."))


@page("/conflicts/{id}", needs="conflict.show")
async def conflict(ask: Asking) -> Page:
    """One of them: what was found, why the gate did what it did, and what was said."""
    shown = await ask("conflict.show", id=ask.path["id"])
    row = shown.conflict
    people = [(each.account, each.title or each.account) for each in (await ask("conflict.assignees")).accounts]
    other = row.detail.get("other")
    return Page(
        "conflict.html",
        row=row,
        member=shown.member,
        said_of_it=shown.said,
        kinds=KINDS,
        states=STATES,
        said_texts=SAID,
        left=LEFT,
        venues=await venues_of(ask),
        other=other if isinstance(other, dict) else None,
        detail={name: value for name, value in row.detail.items() if name != "other"},
        columns=COLUMNS,
        why=await _explained(ask, row.event),
        entry_fields=ENTRY_FIELDS,
        codes=CODES,
        whose_choices=[("", say(ask.lang, "Nobody")), *people],
    )


async def _explained(ask: Asking, event: str) -> Any:
    """None where it cannot be: the device is elsewhere by now, or the caller may not."""
    try:
        return await ask("explain", event=event) if ask.may("explain") else None
    except (ActionFailed, Forbidden, Refused):
        return None


@form("/conflicts/{id}/say", needs="conflict.say", again=conflict)
async def about(ask: Asking) -> See:
    """Settle it, open it again, or comment."""
    what = ask.form.get("do", "")
    await ask("conflict.say", id=ask.path["id"], what=what, why=ask.form.get("why", ""))
    said = {"settle": _N("It is settled."), "reopen": _N("It is open again.")}.get(what, _N("Your comment is kept."))
    return See(f"/conflicts/{ask.path['id']}", said)


@form("/conflicts/{id}/assign", needs="conflict.assign", again=conflict)
async def assign(ask: Asking) -> See:
    """To somebody, or to nobody."""
    done = await ask("conflict.assign", ids=[ask.path["id"]], to=ask.form.get("to", ""), why=ask.form.get("why", ""))
    _require(done)
    return See(f"/conflicts/{ask.path['id']}", _N("It is assigned."))


@form("/conflicts/{id}/retry", needs="conflict.retry", again=conflict)
async def retry(ask: Asking) -> See:
    """The member's taps are judged again; the conflict may be gone after that."""
    done = await ask("conflict.retry", ids=[ask.path["id"]])
    _require(done)
    if not done.results[0].state:
        return See("/conflicts", _N("Judged again: what is known now explains it, and the conflict has ended."))
    return See(f"/conflicts/{ask.path['id']}", _N("Judged again: it is found still."))


def _require(done: Any) -> None:
    if done.refused:
        raise ActionFailed(done.results[0].why)
