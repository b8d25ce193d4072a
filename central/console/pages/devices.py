"""Devices: the fleet at a glance, and one device with everything that is known of it and what can be done about it."""

from functools import partial
from typing import Any

from aiohttp import web

from central.console.gate_states import BADGES, why
from central.console.page import _N, Asking, Page, See, form, page
from central.console.pages.joining import TOKEN_MS, qr
from central.console.titles import choices, venues_of
from central.console.words import say

AT_ONCE = 100
PARTS = {
    "allowlist": _N("Allowlist"),
    "policy": _N("Policy"),
    "config": _N("Configuration"),
    "domain-key": _N("Domain key"),
    "profiles": _N("Reader profiles"),
    "names": _N("Names for the screen"),
    "bind": _N("Session to bind a card"),
    "consents": _N("Notices of consent"),
}
CLOCKS = {
    "trusted": _N("right"),
    "unconfirmed": _N("not confirmed yet"),
    "behind": _N("behind the signed time"),
    "ahead": _N("ahead of the signed time"),
}
READERS = {
    "ready": _N("ready"),
    "starting": _N("starting"),
    "absent": _N("not there"),
    "wedged": _N("stuck"),
    "recovering": _N("being recovered"),
}
BUNDLES = {
    "asked": ("busy", _N("waits for its answer")),
    "arrived": ("good", _N("arrived")),
    "failed": ("bad", _N("could not be made")),
    "given-up": ("off", _N("never answered")),
    "forgotten": ("off", _N("no longer kept")),
}
SKEW_MS = 120_000
"""SPEC §8.3: so far off, a clock is not trusted."""


def _said(ask: Asking) -> dict[str, Any]:
    """What both pages say of states and clocks."""
    return {"badges": BADGES, "why": partial(why, ask.lang), "skew_ms": SKEW_MS}


@page("/devices", needs="device.list", nav=(_N("Devices"), 43))
async def devices(ask: Asking) -> Page:
    """The fleet by gate: how each does, and what is behind where."""
    places = await venues_of(ask)
    venue, stands = ask.query.get("venue", ""), ask.query.get("stands", "")
    after = ask.query.get("after", "")
    listed = await ask(
        "device.list",
        venue=venue if venue in places else "",
        stands=stands if stands in BADGES else "",
        after=after,
        most=AT_ONCE,
    )
    last = listed.devices[-1].device if listed.devices and listed.more else ""
    return Page(
        "devices.html",
        live=True,
        every_s=3.0,
        devices=listed.devices,
        more={"venue": venue, "stands": stands, "after": last} if last else None,
        first={"venue": venue, "stands": stands} if after else None,
        places=places,
        venue=venue,
        stands=stands,
        venues=choices("", ((each.id, each.title) for each in places.values())),
        states=_states(ask.lang),
        is_filtered=bool(venue or stands or after),
        **_said(ask),
    )


def _states(lang: str) -> list[tuple[str, str]]:
    """Options of the filter."""
    every = _N("Every state")
    return [("", say(lang, every)), *((key, say(lang, told)) for key, (_, told) in BADGES.items())]


@page("/devices/{device}", needs="device.show")
async def device(ask: Asking) -> Page:
    """Everything of one: live above, what can be done below."""
    shown = await ask("device.show", device=ask.path["device"])
    places = await venues_of(ask)
    gates = await _other_gates(ask, shown) if ask.may("device.move") and shown.device.state == "active" else []
    place = places.get(shown.device.venue)
    return Page(
        "device.html",
        live=True,
        shown=shown,
        device=shown.device,
        gates=gates,
        place=place.title if place else shown.device.venue,
        zone=place.zone if place else "",
        readers=READERS,
        bundles=BUNDLES,
        parts=PARTS,
        clocks=CLOCKS,
        **_said(ask),
    )


async def _other_gates(ask: Asking, shown: Any) -> list[tuple[str, str]]:
    """Gates of the device's domain that the caller may move it to, by their names."""
    domains = {str(row["id"]): row["domain"] for row in (await ask("venue.list")).rows}
    rows = (await ask("gate.list")).rows
    found = ((str(row["id"]), str(row["venue"])) for row in rows if domains.get(str(row["venue"])) == shown.domain)
    return choices("", ((gate, f"{venue} / {gate}") for gate, venue in found if gate != shown.device.gate))


@form("/devices/{device}/move", needs="device.move", again=device)
async def move(ask: Asking) -> See:
    """To another gate of its domain."""
    name = ask.path["device"]
    done = await ask("device.move", device=name, gate=ask.form.get("gate", ""), why=ask.form.get("why", ""))
    said = _N("It serves %(gate)s now, as soon as it hears of it.")
    if done.beside:
        said = _N("It serves %(gate)s now, as soon as it hears of it. Another device serves that gate, too.")
    return See(f"/devices/{name}", said=said, values={"gate": done.to_gate})


@form("/devices/{device}/replace", needs="device.replace", again=device)
async def replace(ask: Asking) -> Page:
    """An invitation for the one that takes its place; the join token stands nowhere but on this page."""
    made = await ask("device.replace", device=ask.path["device"])
    until_ms = ask.now_ms + TOKEN_MS
    command = f"sudo tapgate-edge enrol {made.token}"
    return Page("device_replacing.html", made=made, command=command, qr=qr(made.token), until_ms=until_ms)


@form("/devices/{device}/revoke", needs="device.revoke", again=device)
async def revoke(ask: Asking) -> See:
    """Final."""
    await ask("device.revoke", device=ask.path["device"], why=ask.form.get("why", ""))
    return See(f"/devices/{ask.path['device']}", said=_N("The device is revoked."))


@form("/devices/{device}/ban", needs="device.ban", again=device)
async def ban(ask: Asking) -> See:
    """Final, and for its keys, too."""
    await ask("device.ban", device=ask.path["device"], why=ask.form.get("why", ""))
    return See(f"/devices/{ask.path['device']}", said=_N("The device is banned."))


@form("/devices/{device}/bundle", needs="bundle.ask", again=device)
async def ask_for_bundle(ask: Asking) -> See:
    """It arrives on the same page."""
    asked = await ask("bundle.ask", device=ask.path["device"])
    said = _N("The device is asked: the bundle appears below.") if asked.is_new else _N("It was asked already.")
    return See(f"/devices/{ask.path['device']}", said=said)


@page("/devices/{device}/bundles/{bundle}", needs="bundle.fetch")
async def bundle(ask: Asking) -> web.Response:
    """The archive as the device sent it."""
    found = await ask("bundle.fetch", bundle=ask.path["bundle"])
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"', "Cache-Control": "no-store"}
    return web.Response(body=found.content, content_type="application/gzip", headers=headers)
