"""Policies: the list, one as text that is checked while somebody types, a replay against past taps, and its history."""

from typing import Any

from aiohttp import web

from central import toml_text
from central.actions.action import ActionFailed
from central.actions.places.policies import checked_policy
from central.actions.places.policy_versions import text_of
from central.console.failure_words import in_words
from central.console.local_times import field_of, moment_ms
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.rendering import render, url
from central.console.titles import title_of
from central.console.words import say
from central.rollouts.store import UNDER_WAY
from protocol.errors import Refused
from protocol.time_zones import CITY_ZONE

DAY_MS = 86_400_000
SHOWN = 100
"""Taps of a replay that are listed one by one."""
EXAMPLE = """[[rules]]
kind = "admit"
id = "members"
classes = ["citizen", "senior"]
schedule = "open"

[schedules.open]
mon = ["08:00-21:00"]
"""


@page("/policies", needs="policy.list", nav=(_N("Policies"), 55))
async def policies(ask: Asking) -> Page:
    """Every policy, and what is under way of it."""
    listed = await ask("policy.list", after=ask.query.get("after"))
    return Page(
        "policies.html",
        policies=listed.policies,
        more=url("/policies", after=listed.next) if listed.next else "",
        first=url("/policies") if ask.query.get("after") else "",
        example=EXAMPLE,
        freezes=(await ask("freeze.list")).freezes,
    )


@form("/policies", needs="policy.put", again=policies)
async def add(ask: Asking) -> See:
    """A new one: no gate goes by it yet, so it is in force at once."""
    id_ = ask.form.get("id", "").strip()
    if not id_:
        raise ActionFailed(say(ask.lang, "Give the policy a name."))
    listed = await ask("policy.list", after="", limit=200)
    if any(each.id == id_ for each in listed.policies):
        raise ActionFailed(say(ask.lang, "There is a policy of this name already: edit that one."))
    await ask("policy.put", id=id_, body=_body(ask), despite_freeze=ask.form.get("despite_freeze"))
    return See(f"/policies/{id_}", said=_N("The policy is there: gates can be added under it."))


@page("/policies/{policy}", needs="policy.show")
async def policy(ask: Asking) -> Page:
    """One policy: what is in force, as text to be edited, checked, tried out and published."""
    return await _policy(ask)


def _zone(shown: Any) -> str:
    """Of a policy as it is shown."""
    return str(shown.body.get("time_zone", CITY_ZONE))


async def _policy(ask: Asking, **more: Any) -> Page:
    id_, version = ask.path["policy"], ask.query.number("from", 0)
    held = await ask("policy.show", id=id_)
    start = await ask("policy.show", id=id_, version=version) if version else held
    history = await ask("policy.history", id=id_, after=ask.query.get("after"))
    text = ask.form.get("text", _text(start.body))
    zone = _zone(held)
    checked = None
    if "text" in ask.form or version:
        checked = await _checked(ask, id_, text)
    shown = {
        "id": id_,
        "held": held,
        "start": start,
        "text": text,
        "zone": zone,
        "checked": checked,
        "gates": await _gates(ask, id_),
        "line": await _line(ask, id_),
        "versions": history.versions,
        "more": url(f"/policies/{id_}", after=history.next) if history.next else "",
        "replayed": None,
        "taps": [],
        "since": field_of(ask.now_ms - 7 * DAY_MS, zone),
        "until": "",
    }
    return Page("policy.html", **shown | more)


def _text(body: dict[str, Any]) -> str:
    try:
        return text_of(checked_policy(body, 1))
    except ActionFailed:  # an earlier version let it be put
        return toml_text.write(body)


async def _gates(ask: Asking, id_: str) -> list[dict[str, Any]]:
    if not ask.may("gate.list"):
        return []
    rows = (await ask("gate.list")).rows
    return [{"id": row["id"], "title": title_of(row, ask.lang)} for row in rows if row["policy"] == id_]


async def _line(ask: Asking, id_: str) -> Any:
    """What is under way of it; None: nothing."""
    if not ask.may("rollout.list"):
        return None
    listed = (await ask("rollout.list", policy=id_, state="open")).rollouts
    return next((each for each in listed if each.state in UNDER_WAY), None)


# --- checking ---------------------------------------------------------------------------------------------------


def _body(ask: Asking) -> dict[str, Any]:
    """Raises ActionFailed."""
    try:
        return toml_text.read(ask.form.get("text", ""))
    except toml_text.NotText as problem:
        raise ActionFailed(f"{say(ask.lang, 'This is no TOML:')} {in_words(ask.lang, str(problem))}") from None


async def _checked(ask: Asking, id_: str, text: str) -> dict[str, Any]:
    """What `_checked.html` shows: what is wrong, or what it would change."""
    try:
        body = toml_text.read(text)
    except toml_text.NotText as problem:
        return {"wrong": f"{say(ask.lang, 'This is no TOML:')} {in_words(ask.lang, str(problem))}"}
    try:
        found = await ask("policy.check", id=id_, body=body, choices="choices" in ask.form)
        different = await ask("policy.diff", id=id_, body=body)
    except (ActionFailed, Refused) as problem:
        return {"wrong": str(problem)}
    return {"wrong": "", "rules": found.rules, "gates": found.gates, "lines": different.lines}


@form("/policies/{policy}/check", needs="policy.check")
async def check(ask: Asking) -> Answer:
    """The page with what the check found; while somebody types, that part of it alone."""
    if "fragment" not in ask.form:
        return await _policy(ask)
    checked = await _checked(ask, ask.path["policy"], ask.form.get("text", ""))
    return web.Response(text=render(ask.lang, "_checked.html", {"checked": checked}), content_type="text/html")


@form("/policies/{policy}/replay", needs="policy.replay", again=policy)
async def replay(ask: Asking) -> Page:
    """Past taps through the text as it stands: who would have been treated differently."""
    id_ = ask.path["policy"]
    zone = _zone(await ask("policy.show", id=id_))
    since_ms = moment_ms("since", ask.form.get("since", ""), zone)
    until_ms = moment_ms("until", ask.form.get("until", ""), zone) or None
    found = await ask("policy.replay", id=id_, body=_body(ask), since_ms=since_ms, until_ms=until_ms, show=SHOWN)
    taps = list(ask.items)
    return await _policy(ask, replayed=found, taps=taps)


# --- publishing -------------------------------------------------------------------------------------------------


@form("/policies/{policy}/publish", needs="policy.put", again=policy)
async def publish(ask: Asking) -> See:
    """By stages, at once or at a date."""
    id_ = ask.path["policy"]
    zone = _zone(await ask("policy.show", id=id_))
    at_ms = moment_ms("at", ask.form.get("at", ""), zone) if ask.form.get("begins") == "date" else 0
    if ask.form.get("begins") == "date" and not at_ms:
        raise ActionFailed(say(ask.lang, "Say at which date it begins."))
    started = await ask(
        "rollout.start",
        policy=id_,
        body=_body(ask),
        choices="choices" in ask.form,
        first=ask.form.all("first"),
        title=ask.form.get("title"),
        not_before_ms=at_ms,
        soak_minutes=ask.form.number("soak_minutes"),
        by_hand="by_hand" in ask.form,
        halt_points=ask.form.number("halt_points"),
        halt_taps=ask.form.number("halt_taps"),
        goes_back="goes_back" in ask.form,
        draft=ask.form.get("begins") == "draft",
        despite_freeze=ask.form.get("despite_freeze"),
    )
    return See(f"/rollouts/{started.id}", said=_N("The rollout is there: this page shows how far it is."))


# --- history ----------------------------------------------------------------------------------------------------


@page("/policies/{policy}/versions/{version}", needs="policy.history")
async def version(ask: Asking) -> Page:
    """One version as it was, and what differs from what is in force."""
    id_, number = ask.path["policy"], _number(ask)
    shown = await ask("policy.show", id=id_, version=number)
    held = await ask("policy.show", id=id_)
    different = await ask("policy.diff", id=id_, version=number, to=held.version)
    return Page(
        "policy_version.html",
        id=id_,
        shown=shown,
        held=held,
        text=_text(shown.body),
        different=different,
        zone=_zone(held),
    )


@form("/policies/{policy}/versions/{version}/back", needs="policy.put", again=version)
async def back(ask: Asking) -> See:
    """Its content in force everywhere again, at once, as a newer version."""
    id_ = ask.path["policy"]
    shown = await ask("policy.show", id=id_, version=_number(ask))
    body = checked_policy(shown.body, 1)
    plain = toml_text.spare(body)
    plain.pop("version", None)
    await ask("policy.put", id=id_, body=plain, despite_freeze=ask.form.get("despite_freeze"))
    return See(f"/policies/{id_}", said=_N("The old content is in force again, as a newer version."))


def _number(ask: Asking) -> int:
    try:
        return int(ask.path["version"])
    except ValueError:
        raise ActionFailed(say(ask.lang, "There is no such version.")) from None
