"""Rollouts: the list, one with its progress as it goes, what people do with it, and freezes."""

import re
from typing import Any

from central import toml_text
from central.actions.action import ActionFailed
from central.actions.places.policies import checked_policy
from central.actions.places.policy_versions import text_of
from central.console.failure_words import in_words
from central.console.local_times import moment_ms
from central.console.page import _N, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import venues_of
from central.console.words import say
from protocol.errors import Refused
from protocol.hours import WEEKDAYS
from protocol.time_zones import CITY_ZONE

STATES = {
    "draft": ("off", _N("Draft")),
    "scheduled": ("busy", _N("Scheduled")),
    "first": ("busy", _N("At the first gates")),
    "all": ("busy", _N("At all gates")),
    "halted": ("bad", _N("Halted")),
    "done": ("good", _N("Done")),
    "withdrawn": ("off", _N("Withdrawn")),
}
WENT_BACK = ("warn", _N("Halted, went back"))
STEPS = {name: (kind, text) for name, (kind, text) in STATES.items()} | {
    "held": ("good", _N("Every first gate holds it")),
    "back": ("warn", _N("The old content is in force again")),
}
WAITS = {
    "date": _N("It waits for its date."),
    "freeze": _N("It waits for the end of a freeze."),
    "uptake": _N("It waits until the gates hold it."),
    "soak": _N("The gates hold it; it is being tried out."),
    "taps": _N("It was tried out by too few taps yet: it goes on once there are enough, or when somebody says so."),
    "person": _N("It waits for a person."),
    "nothing": "",
}
PROGRESS = {
    "holds": ("good", _N("Holds it")),
    "waits": ("busy", _N("Not yet")),
    "refused": ("bad", _N("Cannot take it up")),
    "later": ("off", _N("Later")),
    "no-device": ("off", _N("No device")),
    "returned": ("good", _N("Went back")),
    "returning": ("busy", _N("Has it still")),
}
DAYS = {
    "mon": _N("Mon"),
    "tue": _N("Tue"),
    "wed": _N("Wed"),
    "thu": _N("Thu"),
    "fri": _N("Fri"),
    "sat": _N("Sat"),
    "sun": _N("Sun"),
}
DENIED_SINCE = r"(?P<now>\d+%) of (?P<taps>\d+) taps were denied since; "
WHYS = (
    (
        DENIED_SINCE + r"(?P<was>\d+%) of (?P<before>\d+) taps before",
        _N("%(now)s of %(taps)s taps were denied since; %(was)s of %(before)s taps before"),
    ),
    (
        DENIED_SINCE + "nothing is known of before",
        _N("%(now)s of %(taps)s taps were denied since; nothing is known of before"),
    ),
    (r"(?P<gate>\S+) could not take it up: (?P<why>.*)", _N("%(gate)s could not take it up: %(why)s")),
    (r"(?P<gates>.*) cannot evaluate it: .*", _N("%(gates)s cannot evaluate it: update their agents first")),
    ("something newer is in force", _N("something newer is in force")),
    ("central was restored", _N("central was restored")),
)
"""What the server itself writes down as the reason of a step; what a person wrote is shown as it is."""
CAN = {
    "go-on": ("draft", "scheduled", "first", "halted"),
    "halt": ("first", "all"),
    "back": ("first", "all", "halted", "done"),
    "withdraw": ("draft", "scheduled"),
}
SAID = {
    "go-on": _N("It goes on."),
    "halt": _N("It is halted."),
    "back": _N("The old content is in force again."),
    "withdraw": _N("It is withdrawn."),
}


@page("/rollouts", needs="rollout.list", nav=(_N("Rollouts"), 56))
async def rollouts(ask: Asking) -> Page:
    """The newest first."""
    state = ask.query.get("state", "")
    listed = await ask("rollout.list", state=state, after=ask.query.get("after"))
    return Page(
        "rollouts.html",
        live=True,
        every_s=5.0,
        rollouts=[(each, badge_of(each)) for each in listed.rollouts],
        state=state,
        states=STATES,
        more=url("/rollouts", state=state, after=listed.next) if listed.next else "",
        first=url("/rollouts", state=state) if ask.query.get("after") else "",
    )


def badge_of(rollout: Any) -> tuple[str, str]:
    """Kind and text."""
    return WENT_BACK if rollout.state == "halted" and rollout.back_ms else STATES[rollout.state]


@page("/rollouts/{rollout}", needs="rollout.show")
async def rollout(ask: Asking) -> Page:
    """How far it is, by itself and by hand."""
    shown = await ask("rollout.show", id=ask.path["rollout"])
    can = [
        name
        for name, states in CAN.items()
        if shown.state in states and not shown.back_ms and ask.may(f"rollout.{name}") and _is_theirs(ask, shown)
    ]
    lines, text = await _difference(ask, shown)
    return Page(
        "rollout.html",
        live=shown.state not in ("done", "withdrawn"),
        every_s=3.0,
        rollout=shown,
        badge_of=badge_of(shown),
        can=can,
        lines=lines,
        text=text,
        waits=WAITS,
        progress=PROGRESS,
        steps=STEPS,
        told=lambda why: told(ask.lang, why),
    )


def _is_theirs(ask: Asking, shown: Any) -> bool:
    """Policies are published by admins."""
    return not shown.policy or ask.may("policy.put")


async def _difference(ask: Asking, shown: Any) -> tuple[Any, str]:
    """What it changes, as lines, and what it says, as text. None: there is nothing to compare it with."""
    if not shown.policy:
        return None, toml_text.write(shown.body)
    try:
        found = await ask("policy.diff", id=shown.policy, version=shown.based_on, body=shown.body)
        return found.lines, text_of(checked_policy(shown.body, 1))
    except (ActionFailed, Refused):  # what was fit then may not be now
        return None, toml_text.write(shown.body)


def told(lang: str, why: str) -> str:
    """Why a step was taken, in the language of the page."""
    for pattern, text in WHYS:
        found = re.fullmatch(pattern, why)
        if found is not None:
            return say(lang, text) % found.groupdict()
    return in_words(lang, why)


async def _done(ask: Asking, name: str, **more: Any) -> See:
    id_ = ask.path["rollout"]
    await ask(f"rollout.{name}", id=id_, why=ask.form.get("why"), **more)
    return See(f"/rollouts/{id_}", said=SAID[name])


@form("/rollouts/{rollout}/go-on", needs="rollout.go-on", again=rollout)
async def go_on(ask: Asking) -> See:
    """The next stage at once."""
    return await _done(ask, "go-on", despite_freeze=ask.form.get("despite_freeze"))


@form("/rollouts/{rollout}/halt", needs="rollout.halt", again=rollout)
async def halt(ask: Asking) -> See:
    """It goes no further; the old content comes back unless somebody says no."""
    return await _done(ask, "halt", back="keep" not in ask.form)


@form("/rollouts/{rollout}/back", needs="rollout.back", again=rollout)
async def back(ask: Asking) -> See:
    """The old content everywhere."""
    return await _done(ask, "back")


@form("/rollouts/{rollout}/withdraw", needs="rollout.withdraw", again=rollout)
async def withdraw(ask: Asking) -> See:
    """Before it was published anywhere."""
    return await _done(ask, "withdraw")


# --- freezes ----------------------------------------------------------------------------------------------------


@page("/freezes", needs="freeze.list")
async def freezes(ask: Asking) -> Page:
    """When nothing is published."""
    listed = await ask("freeze.list", all="all" in ask.query)
    return Page("freezes.html", freezes=listed.freezes, venues=await venues_of(ask), days=DAYS, all="all" in ask.query)


@form("/freezes", needs="freeze.put", again=freezes)
async def freeze(ask: Asking) -> See:
    """A new one, or another time of one."""
    is_weekly = ask.form.get("when") == "weekly"
    venue = ask.form.get("venue", "")
    known = (await venues_of(ask)).get(venue)
    zone = known.zone if known else CITY_ZONE
    if is_weekly and not ask.form.all("days"):
        raise ActionFailed(say(ask.lang, "Choose the days of the week."))
    await ask(
        "freeze.put",
        id=ask.form.get("id", "").strip(),
        venue=venue,
        why=ask.form.get("why", "").strip(),
        days=[day for day in WEEKDAYS if day in ask.form.all("days")] if is_weekly else [],
        span=(ask.form.get("span") or None) if is_weekly else None,
        from_ms=0 if is_weekly else moment_ms("from", ask.form.get("from", ""), zone),
        until_ms=0 if is_weekly else moment_ms("until", ask.form.get("until", ""), zone),
    )
    return See("/freezes", said=_N("The freeze is stated."))


@form("/freezes/{freeze}/remove", needs="freeze.remove", again=freezes)
async def remove(ask: Asking) -> See:
    """What waited for its end goes on."""
    await ask("freeze.remove", id=ask.path["freeze"])
    return See("/freezes", said=_N("The freeze is gone."))
