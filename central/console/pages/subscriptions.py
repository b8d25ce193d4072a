"""Events to others: who is told of what, how far, what went wrong, and what was given up."""

import datetime as dt
from typing import Any

from central.actions.action import ActionFailed
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.pages.accounts import proof_of
from central.console.rendering import url
from central.console.titles import venues_of
from central.console.words import say
from central.neighbours.events.kinds import (
    ADMIT,
    HOLD_READY,
    NO_SIGN_OUT,
    OVERDUE,
    PASSAGE,
    POINTS_EXPIRING,
    TAP,
    UNDO,
)
from protocol.time_zones import CITY

AT_ONCE = 50
TYPES = {
    TAP: _N("Card taps"),
    ADMIT: _N("Let in by staff"),
    PASSAGE: _N("Passages"),
    UNDO: _N("Taps taken back"),
    HOLD_READY: _N("Notice: a hold is ready"),
    OVERDUE: _N("Notice: something is overdue"),
    NO_SIGN_OUT: _N("Notice: nobody signed out"),
    POINTS_EXPIRING: _N("Notice: points are about to expire"),
}
STATES = {"active": ("good", _N("Is told")), "paused": ("off", _N("Paused")), "dead": ("bad", _N("Given up"))}


@page("/subscriptions", needs="subscription.list", nav=(_N("Events to others"), 84))
async def subscriptions(ask: Asking) -> Page:
    """Every one of them, with what is wrong."""
    listed = await ask("subscription.list")
    return Page(
        "subscriptions.html",
        live=True,
        every_s=5.0,
        rows=listed.subscriptions,
        types=TYPES,
        states=STATES,
        venues=await venues_of(ask),
    )


@form("/subscriptions", needs="subscription.add", again=subscriptions)
async def added(ask: Asking) -> Page:
    """The secret is shown on the page that answers, and on no other."""
    made = await ask(
        "subscription.add",
        id=ask.form.get("id", "").strip(),
        types=ask.form.all("types"),
        webhook=ask.form.get("webhook", "").strip(),
        reader=ask.form.get("reader", "").strip(),
        venues=ask.form.all("venues"),
        pseudonyms=bool(ask.form.get("pseudonyms")),
        **proof_of(ask),
    )
    return Page("subscription_secret.html", id=made.subscription.id, secret=made.secret, until_ms=0)


@page("/subscriptions/{id}", needs="subscription.show")
async def subscription(ask: Asking) -> Page:
    """One of them, and its dead letters."""
    return await _shown(ask, None)


@form("/subscriptions/{id}/test", needs="subscription.test", again=subscription)
async def tested(ask: Asking) -> Page:
    """What became of it stands on the page that answers."""
    return await _shown(ask, await ask("subscription.test", id=ask.path["id"]))


@form("/subscriptions/{id}/pause", needs="subscription.pause", again=subscription)
async def paused(ask: Asking) -> See:
    """Until it is resumed."""
    await ask("subscription.pause", id=ask.path["id"])
    return See(f"/subscriptions/{ask.path['id']}", _N("Nothing is sent until it is resumed. Nothing is lost."))


@form("/subscriptions/{id}/resume", needs="subscription.resume", again=subscription)
async def resumed(ask: Asking) -> See:
    """Where it stopped."""
    await ask("subscription.resume", id=ask.path["id"])
    return See(f"/subscriptions/{ask.path['id']}", _N("It is told again, from where it stopped."))


@form("/subscriptions/{id}/rotate", needs="subscription.rotate", again=subscription)
async def rotated(ask: Asking) -> Page:
    """The secret is shown on the page that answers, and on no other."""
    made = await ask("subscription.rotate", id=ask.path["id"], **proof_of(ask))
    return Page("subscription_secret.html", id=made.id, secret=made.secret, until_ms=made.previous_until_ms)


@form("/subscriptions/{id}/replay", needs="subscription.replay", again=subscription)
async def replayed(ask: Asking) -> See:
    """Everything since a moment, or the dead letters."""
    dead = bool(ask.form.get("dead"))
    since_ms = 0 if dead else _instant(ask, ask.form.get("since", "").strip())
    await ask("subscription.replay", id=ask.path["id"], dead=dead, since_ms=since_ms)
    return See(f"/subscriptions/{ask.path['id']}", _N("It is sent again, with the same names as before."))


@form("/subscriptions/{id}/remove", needs="subscription.remove", again=subscription)
async def removed(ask: Asking) -> Answer:
    """For good."""
    await ask("subscription.remove", id=ask.path["id"])
    return See("/subscriptions", _N("This system is told nothing more."))


async def _shown(ask: Asking, test: Any) -> Page:
    shown = await ask("subscription.show", id=ask.path["id"])
    after = ask.query.get("after", "")
    dead = await ask("subscription.dead", id=ask.path["id"], after=after, limit=AT_ONCE)
    path = f"/subscriptions/{ask.path['id']}"
    return Page(
        "subscription.html",
        live=True,
        every_s=5.0,
        shown=shown.subscription,
        letters=dead.letters,
        more=url(path, after=dead.next) if dead.next else "",
        first=url(path) if after else "",
        test=test,
        types=TYPES,
        states=STATES,
        venues=await venues_of(ask),
    )


def _instant(ask: Asking, text: str) -> int:
    """Local, as the browser's field for a date and time has it."""
    try:
        return int(dt.datetime.fromisoformat(text).replace(tzinfo=CITY).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise ActionFailed(say(ask.lang, "State a date and a time.")) from None
