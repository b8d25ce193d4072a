"""Points: what a member has, month by month, what the plans give, and closing a month."""

import datetime as dt
from typing import Any

import msgspec

from central.actions.action import ActionFailed
from central.console.column_words import ACCOUNTS
from central.console.failure_words import in_words
from central.console.page import _N, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import choices
from central.console.words import say
from protocol.time_zones import CITY

AT_ONCE = 100
WHAT = {
    "month": _N("Given for the month"),
    "earned": _N("Earned"),
    "granted": _N("Granted"),
    "adjusted": _N("Adjusted"),
    "spent": _N("Spent"),
    "redeemed": _N("Redeemed"),
    "expired": _N("Expired"),
}


async def _domains(ask: Asking) -> list[tuple[str, str]]:
    rows = (await ask("domain.list")).rows
    return [(str(row["id"]), str(row["title"] or row["id"])) for row in rows]


def _this_month(ask: Asking) -> str:
    return f"{dt.datetime.fromtimestamp(ask.now_ms / 1_000, CITY):%Y-%m}"


def _of(ask: Asking, domains: list[tuple[str, str]]) -> dict[str, str]:
    """Member, domain and month, out of the address or the form that was sent."""
    given = {name: (ask.form.get(name) or ask.query.get(name, "")).strip() for name in ("member", "domain", "month")}
    given["domain"] = given["domain"] or (domains[0][0] if len(domains) == 1 else "")
    given["month"] = given["month"] or _this_month(ask)
    return given


@page("/points", needs="points.balance", nav=(_N("Points"), 74))
async def points(ask: Asking) -> Page:
    """A member's balance, what of it expires when, and every posting of a month."""
    domains = await _domains(ask)
    of = _of(ask, domains)
    balance: Any = None
    statement: Any = None
    if of["member"] and of["domain"]:
        balance = await ask("points.balance", member=of["member"], domain=of["domain"])
        statement = await ask("points.statement", **of, after=ask.query.get("after", ""), limit=AT_ONCE)
    more = url("/points", **of, after=statement.next) if statement is not None and statement.more else ""
    return Page(
        "points.html",
        of=of,
        balance=balance,
        statement=statement,
        accounts=ACCOUNTS,
        more=more,
        first=url("/points", **of) if ask.query.get("after") else "",
        domain_choices=choices(say(ask.lang, "Choose a domain"), domains),
        what=WHAT,
    )


async def _state(ask: Asking, action: str, said: str) -> See:
    names = ("member", "domain", "points", "why", "until", "of")
    taken = {"points.redeem": names[:4], "points.grant": names[:5], "points.adjust": names}[action]
    values = {name: ask.form.get(name, "").strip() for name in taken}
    await ask(action, **values)
    back = {name: values[name] for name in ("member", "domain")}
    return See(url("/points", **back).removeprefix("/console"), said)


@form("/points/redeem", needs="points.redeem", again=points)
async def redeem(ask: Asking) -> See:
    """Exchanged for what the city pays."""
    return await _state(ask, "points.redeem", _N("The points are redeemed."))


@form("/points/grant", needs="points.grant", again=points)
async def grant(ask: Asking) -> See:
    """Given by a named person."""
    return await _state(ask, "points.grant", _N("The points are granted."))


@form("/points/adjust", needs="points.adjust", again=points)
async def adjust(ask: Asking) -> See:
    """Corrected beside what was booked."""
    return await _state(ask, "points.adjust", _N("The points are adjusted."))


@page("/points/months", needs="points.totals")
async def months(ask: Asking) -> Page:
    """What a month moved, by account, and its closing; only on demand, an open month is added up member by member."""
    domains = await _domains(ask)
    of = _of(ask, domains)
    totals: Any = None
    lost: list[Any] = []
    if of["domain"] and (ask.query.get("add") or ask.problem):
        totals = await ask("points.totals", domain=of["domain"], month=of["month"])
        lost = (await ask("points.overspent", domain=of["domain"])).rows
    return Page(
        "points_months.html",
        of=of,
        totals=totals,
        lost=lost[:AT_ONCE],
        lost_count=len(lost),
        is_over=of["month"] < _this_month(ask),
        domain_choices=choices(say(ask.lang, "Choose a domain"), domains),
    )


@form("/points/months/close", needs="points.close", again=months)
async def close(ask: Asking) -> See:
    """Nothing in it changes any more."""
    of = {name: ask.form.get(name, "") for name in ("domain", "month")}
    await ask("points.close", **of)
    return See(url("/points/months", **of, add="1").removeprefix("/console"), _N("The month is closed."))


@page("/points/plans", needs="points.plan.list")
async def plans(ask: Asking) -> Page:
    """What is given to whom, by domain."""
    listed = (await ask("points.plan.list")).plans
    shown = {each.id: (await ask("points.plan.show", id=each.id)).body for each in listed}
    return Page("points_plans.html", plans=listed, bodies=shown, texts={name: _text(shown[name]) for name in shown})


@form("/points/plans", needs="points.plan.put", again=plans)
async def put_plan(ask: Asking) -> See:
    """In force from now on; what months gave already stays."""
    try:
        body = msgspec.to_builtins(msgspec.toml.decode(ask.form.get("body", "")))
    except (msgspec.MsgspecError, ValueError) as error:
        why = in_words(ask.lang, str(error))
        raise ActionFailed(say(ask.lang, "The plan cannot be read as TOML: %(why)s") % {"why": why}) from None
    done = await ask("points.plan.put", id=ask.form.get("id", "").strip(), body=body)
    return See("/points/plans", _N("The plan %(plan)s is in force."), {"plan": done.id})


def _text(body: dict[str, object]) -> str:
    """As TOML, without what is not stated."""
    lines = []
    for name, value in body.items():
        if isinstance(value, list):
            rows = [_pairs(row) for row in value]
            lines.append(f"{name} = [" + "".join(f"\n  {{{row}}}," for row in rows) + ("\n]" if rows else "]"))
        elif value is not None:
            lines.append(f"{name} = {_value(value)}")
    return "\n".join(lines)


def _pairs(row: dict[str, object]) -> str:
    return ", ".join(f'"{key}" = {_value(each)}' for key, each in row.items() if each is not None)


def _value(value: object) -> str:
    return msgspec.json.encode(value).decode()
