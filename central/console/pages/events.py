"""Events: a list that can be searched, one event with its proof, and why it was decided so."""

import base64
from typing import Any

from central.access.reach import Forbidden
from central.actions.action import ActionFailed
from central.actions.custody.event_search import GRANTING
from central.console.column_words import COLUMNS
from central.console.page import _N, Answer, Asking, Page, go, page
from central.console.pages.sync_log import download, file_name, is_event, span_of, wanted_of, zone_of
from central.console.rendering import reason_text, url
from central.console.sync_words import (
    CLOCKS,
    DECISIONS,
    EVENT_OUTCOMES,
    FINDINGS,
    KINDS,
    OUTCOMES,
    PASSAGES,
    PERSONAL,
    STEPS,
)
from central.console.titles import choices, venues_of
from central.console.words import say
from protocol.errors import Refused
from protocol.reasons import Reason

AT_ONCE = 50
FILTERS = ("text", "venue", "gate", "device", "kind", "decision", "reason", "outcome", "since", "until")
EXPLAINED = frozenset({"tap"})


@page("/sync-log/events", needs="event.list")
async def events(ask: Asking) -> Answer:
    """The newest first; live as long as nobody has turned a page."""
    wanted = wanted_of(ask, FILTERS)
    if is_event(wanted["text"]):
        return go(url("/sync-log/event", event=wanted["text"]))
    after, found = ask.query.get("after", ""), None
    try:
        asked = {name: wanted[name] for name in FILTERS[:8]}
        found = await ask("event.list", **asked, **span_of(ask, wanted), after=after, limit=AT_ONCE)
    except ActionFailed as failure:
        ask.problem = str(failure)
    venues = await venues_of(ask)
    every = ("", say(ask.lang, _N("Everything")))
    return Page(
        "events.html",
        live=found is not None and not after,
        status=200 if found is not None else 422,
        rows=found.events if found else [],
        found=found,
        wanted=wanted,
        is_filtered=any(wanted.values()),
        more=url("/sync-log/events", **wanted, after=found.next) if found and found.next else "",
        first=url("/sync-log/events", **wanted) if after else "",
        venues=venues,
        kinds=KINDS,
        passages=PASSAGES,
        decisions=DECISIONS,
        outcomes=OUTCOMES,
        kind_choices=[every, *((name, say(ask.lang, text)) for name, text in KINDS.items())],
        decision_choices=[every, *((name, say(ask.lang, text)) for name, (_, text) in DECISIONS.items())],
        reason_choices=[every, *_reasons(ask.lang)],
        outcome_choices=[every, *((name, say(ask.lang, OUTCOMES[name][1])) for name in EVENT_OUTCOMES)],
        venue_choices=choices(say(ask.lang, _N("Every venue")), ((each.id, each.title) for each in venues.values())),
    )


@page("/sync-log/event", needs="event.show")
async def event(ask: Asking) -> Page:
    """Every step of its check is shown. Why it was decided so is shown on demand: that names a person."""
    name, batch = ask.query.get("event", ""), ask.query.get("batch", "")
    shown = await ask("event.show", event=name, batch=batch)
    venues = await venues_of(ask)
    can_explain = shown.event.kind in EXPLAINED and shown.event.outcome != "forked" and ask.may("explain")
    why = await _explained(ask, name) if can_explain and "why" in ask.query else None
    return Page(
        "event.html",
        columns=COLUMNS,
        shown=shown,
        row=shown.event,
        batch=batch,
        command=f"tapgate-central verify {file_name(_proof_name(shown.event.event))} --root root.public",
        zone=zone_of(shown.event.venue, venues),
        venues=venues,
        kinds=KINDS,
        passages=PASSAGES,
        decisions=DECISIONS,
        outcomes=OUTCOMES,
        steps=STEPS,
        findings=FINDINGS,
        clocks=CLOCKS,
        personal_texts=PERSONAL,
        can_explain=can_explain,
        why=why,
        has_person=shown.personal == "held" and ask.caller.sees_all,
    )


@page("/sync-log/proof", needs="proof.make")
async def proof(ask: Asking) -> Answer:
    """The file, which `tapgate-central verify FILE` checks anywhere."""
    asked: dict[str, Any] = {name: ask.query.get(name, "") for name in ("event", "batch")}
    made = await ask("proof.make", **asked, personal="personal" in ask.query)
    return download(base64.b64decode(made.file), _proof_name(made.event))


def _proof_name(event: str) -> str:
    return f"{event}.proof"


async def _explained(ask: Asking, name: str) -> Any:
    try:
        return await ask("explain", event=name)
    except (ActionFailed, Forbidden, Refused) as failure:
        ask.problem = str(failure)
        return None


def _reasons(lang: str) -> list[tuple[str, str]]:
    """Those that deny first: they are looked for more often."""
    order = sorted(Reason, key=lambda reason: reason in GRANTING)
    return [(reason.value, f"{reason_text(lang, reason)} ({reason.value})") for reason in order]
