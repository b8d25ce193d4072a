"""Venues and gates: what there is, adding more, and a gate's configuration: checked, published by stages, gone back."""

from typing import Any

from aiohttp import web

from central import toml_text
from central.actions.action import ActionFailed
from central.console.failure_words import in_words
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.rendering import render
from central.console.titles import choices, title_of, venues_of
from central.console.words import say
from protocol.errors import Refused

KINDS = (
    ("door", _N("Door")),
    ("turnstile", _N("Turnstile")),
    ("kiosk", _N("Kiosk")),
    ("counter", _N("Counter")),
)


VENUES_A_PAGE = 12


@page("/gates", needs="gate.list", nav=(_N("Venues and gates"), 42))
async def gates(ask: Asking) -> Page:
    """Venues with their gates, some venues at a time."""
    every, after = (await ask("venue.list")).rows, ask.query.get("after", "")
    shown = [row for row in every if str(row["id"]) > after][: VENUES_A_PAGE + 1]
    venues = shown[:VENUES_A_PAGE]
    by_venue: dict[str, list[dict[str, Any]]] = {str(row["id"]): [] for row in venues}
    for row in (await ask("gate.list", venues=sorted(by_venue))).rows if venues else ():
        by_venue[str(row["venue"])].append(row | {"title": title_of(row, ask.lang)})
    return Page(
        "gates.html",
        venues=[row | {"title": title_of(row, ask.lang), "gates": by_venue[str(row["id"])]} for row in venues],
        offered=[(row["id"], title_of(row, ask.lang)) for row in every],
        more={"after": venues[-1]["id"]} if len(shown) > VENUES_A_PAGE else None,
        first={} if after else None,
        domains=(await ask("domain.list")).rows if ask.may("domain.list") else [],
        policies=[each.id for each in (await ask("policy.list")).policies] if ask.may("gate.add") else [],
        kinds=_kinds(ask),
        kind_titles=dict(_kinds(ask)),
    )


def _kinds(ask: Asking) -> list[tuple[str, str]]:
    return [(kind, say(ask.lang, title)) for kind, title in KINDS]


@form("/gates/domains", needs="domain.add", again=gates)
async def add_domain(ask: Asking) -> See:
    """Within it people are recognisable: one key, one list."""
    await ask("domain.add", id=ask.form.get("domain", "").strip(), title=ask.form.get("title", ""))
    return See("/gates", said=_N("The domain is there."))


@form("/gates/venues", needs="venue.add", again=gates)
async def add_venue(ask: Asking) -> See:
    """A place of a domain."""
    fields = ("domain", "title_zh", "title_en", "time_zone", "closes_at")
    given = {name: ask.form[name].strip() for name in fields if ask.form.get(name)}
    await ask("venue.add", id=ask.form.get("venue", "").strip(), **given)
    return See("/gates", said=_N("The venue is there: add its gates."))


@form("/gates/gates", needs="gate.add", again=gates)
async def add_gate(ask: Asking) -> See:
    """One access point; a device is invited to it next."""
    fields = ("venue", "policy", "kind", "direction", "title_zh", "title_en")
    given = {name: ask.form[name].strip() for name in fields if ask.form.get(name)}
    id_ = ask.form.get("gate", "").strip()
    await ask("gate.add", id=id_, **given)
    return See(f"/gates/{id_}", said=_N("The gate is there: invite its device."))


@form("/gates/venues/{venue}/closing", needs="venue.set", again=gates)
async def set_closing(ask: Asking) -> See:
    """When a venue closes: who is inside then, is not any more."""
    await ask("venue.set", id=ask.path["venue"], closes_at=ask.form.get("closes_at", ""))
    return See("/gates", said=_N("The closing time holds for whoever comes in from now on."))


# --- one gate -----------------------------------------------------------------------------------------------------


@page("/gates/{gate}", needs="gate.config.show")
async def gate(ask: Asking) -> Page:
    """Its configuration as text to be edited, checked and published; its devices; every version that it had."""
    id_ = ask.path["gate"]
    held = await ask("gate.config.show", gate=id_)
    row = (await ask("gate.list", id=id_)).rows[0]
    venue = (await venues_of(ask))[str(row["venue"])]
    text = ask.form.get("text", toml_text.write(held.body))
    others = [each for each in (await ask("gate.list", venues=[row["venue"]])).rows if each["id"] != id_]
    return Page(
        "gate.html",
        id=id_,
        row=row | {"title": title_of(row, ask.lang)},
        kind=dict(_kinds(ask))[str(row["kind"])],
        venue=venue,
        held=held,
        text=text,
        checked=await _checked(ask, id_, text) if "text" in ask.form else None,
        others=[{"id": each["id"], "title": title_of(each, ask.lang)} for each in others],
        devices=(await ask("device.list", gate=id_)).devices,
        versions=(await ask("gate.config.history", gate=id_)).versions,
    )


async def _checked(ask: Asking, gate: str, text: str) -> dict[str, Any]:
    """What `_config_checked.html` shows: what is wrong, or what it would change."""
    try:
        body = toml_text.read(text)
        found = await ask("gate.config.check", body=body, gates=[gate], whole=True)
    except toml_text.NotText as problem:
        return {"wrong": f"{say(ask.lang, 'This is no TOML:')} {in_words(ask.lang, str(problem))}"}
    except (ActionFailed, Refused) as problem:
        return {"wrong": str(problem)}
    return {"wrong": "", "changed": found.gates[0].changed, "lines": found.gates[0].lines}


@form("/gates/{gate}/check", needs="gate.config.check")
async def check(ask: Asking) -> Answer:
    """The page with what the check found; while somebody types, that part of it alone."""
    if "fragment" not in ask.form:
        return await gate(ask)
    checked = await _checked(ask, ask.path["gate"], ask.form.get("text", ""))
    return web.Response(text=render(ask.lang, "_config_checked.html", {"checked": checked}), content_type="text/html")


@form("/gates/{gate}/publish", needs="gate.config.put", again=gate)
async def publish(ask: Asking) -> See:
    """At this gate, or at this one first and then at others of the venue."""
    id_ = ask.path["gate"]
    try:
        body = toml_text.read(ask.form.get("text", ""))
    except toml_text.NotText as problem:
        raise ActionFailed(f"{say(ask.lang, 'This is no TOML:')} {in_words(ask.lang, str(problem))}") from None
    others = ask.form.all("others")
    despite = ask.form.get("despite_freeze")
    if not others:
        await ask("gate.config.put", gates=[id_], body=body, whole=True, despite_freeze=despite)
        return See(f"/gates/{id_}", said=_N("The configuration is in force; a connected gate has it within seconds."))
    titles = ("title_zh", "title_en", "direction")
    shared = {name: value for name, value in body.items() if name not in titles}
    started = await ask("rollout.start", gates=[id_, *others], first=[id_], body=shared, despite_freeze=despite)
    return See(f"/rollouts/{started.id}", said=_N("The rollout is there: this page shows how far it is."))


@form("/gates/{gate}/back", needs="gate.config.back", again=gate)
async def back(ask: Asking) -> See:
    """The content of an old version in force again, as a newer one."""
    values = {"version": ask.form.number("version"), "despite_freeze": ask.form.get("despite_freeze")}
    await ask("gate.config.back", gate=ask.path["gate"], **values)
    return See(f"/gates/{ask.path['gate']}", said=_N("The old content is in force again, as a newer version."))


def venue_choices(ask: Asking, venues: dict[str, Any]) -> list[tuple[str, str]]:
    """For a field that names a venue."""
    return choices(say(ask.lang, "Choose a venue"), ((each.id, each.title) for each in venues.values()))
