"""The audit log: who did what, from where, and what was different after it."""

import datetime as dt
from typing import Any

from central.actions.registry import ACTIONS
from central.console.changes import differing, named
from central.console.page import _N, Asking, Page, form, page
from central.console.rendering import url
from central.console.words import say
from protocol.time_zones import CITY

AT_ONCE = 50
FILTERS = ("account", "action", "target", "kind", "since", "until")
KINDS = {
    "": _N("Everything"),
    "changes": _N("Changes"),
    "refused": _N("What was refused"),
    "looks": _N("Looks at personal data"),
    "signing": _N("Signing in and out"),
}
OUTCOMES = {
    "done": ("good", _N("done")),
    "failed": ("warn", _N("not done")),
    "refused": ("bad", _N("refused")),
    "looked": ("off", _N("looked at")),
    "unknown": ("warn", _N("end unknown")),
}


@page("/audit", needs="audit.list", nav=(_N("Audit log"), 82))
async def audit(ask: Asking) -> Page:
    """A page of it, the newest first."""
    wanted = {name: ask.query.get(name, "").strip() for name in FILTERS}
    before = max(ask.query.number("before", 0) or 0, 0)
    until_ms = _ms(wanted["until"], 1)
    kind = wanted["kind"] if wanted["kind"] in KINDS else ""
    listed = await ask(
        "audit.list",
        account=wanted["account"],
        action=wanted["action"],
        target=wanted["target"],
        kind=kind,
        since_ms=_ms(wanted["since"], 0),
        until_ms=until_ms,
        before=before,
        limit=AT_ONCE,
    )
    return Page(
        "audit.html",
        rows=[_shown(entry) for entry in listed.entries],
        wanted=wanted | {"kind": kind},
        filters=[name for name in FILTERS if wanted[name]],
        more=url("/audit", **wanted, before=listed.entries[-1].number) if listed.more else "",
        first=url("/audit", **wanted) if before else "",
        kinds=[(value, say(ask.lang, text)) for value, text in KINDS.items()],
        outcomes=OUTCOMES,
        actions=[*sorted(ACTIONS), "sign-in", "sign-out"],
        verified=None,
        problems=[],
    )


@form("/audit/verify", needs="audit.verify", again=audit)
async def verify(ask: Asking) -> Page:
    """The whole chain, checked in front of the person."""
    verified = await ask("audit.verify")
    problems = ask.items
    shown = await audit(ask)
    shown.data |= {"verified": verified, "problems": problems}
    return shown


def _shown(entry: Any) -> dict[str, Any]:
    return {
        "entry": entry,
        "params": named(entry.params, CITY),
        "changes": differing(entry.was, entry.now, CITY),
        "answer": named(entry.answer, CITY) if isinstance(entry.answer, dict) else [],
    }


def _ms(day: str, days_later: int) -> int:
    """Midnight of a day in the console's zone; 0 where it is none."""
    try:
        date = dt.date.fromisoformat(day) + dt.timedelta(days=days_later)
        midnight = dt.datetime.combine(date, dt.time(), CITY).timestamp()
    except (ValueError, OverflowError):
        return 0
    return max(int(midnight * 1000), 0)
