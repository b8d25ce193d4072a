"""Volunteers: what a person must settle, teams, their months, one session, and honour cards."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

from central.actions.action import ActionFailed
from central.console.csv_out import csv_response
from central.console.local_times import field_of
from central.console.page import _N, Answer, Asking, Page, See, form, page
from central.console.rendering import url
from central.console.titles import choices, title_of
from central.console.words import say
from central.neighbours.vols.roc import month_slashed
from central.neighbours.vols.sheet import sheet_table
from protocol.time_zones import CITY_ZONE

AT_ONCE = 50
FIRST_MONTHS = 24

STATES = {
    "counted": ("good", _N("Counted")),
    "not-counting": ("off", _N("Kept, not counted")),
    "void": ("off", _N("Void")),
    "open": ("busy", _N("Signed in")),
    "review": ("warn", _N("To be settled")),
}
WHY = {
    "no-sign-out": _N("Nobody signed out"),
    "no-sign-in": _N("Nobody signed in"),
    "odd-tap": _N("A tap too many or too few"),
    "two-teams": _N("Signed in to two teams"),
    "no-team": _N("Of no team"),
    "overlap": _N("Overlaps another session"),
    "no-time": _N("It has no time"),
    "other-team": _N("Went to another team"),
    "no-longer-known": _N("Not known any more"),
    "void": _N("Void"),
    "review": _N("To be settled"),
    "open": _N("Signed in"),
}
MONTHS = {
    "open": ("warn", _N("Not approved")),
    "approved": ("busy", _N("Approved")),
    "changed": ("warn", _N("Changed since it was approved")),
    "locked": ("good", _N("Locked")),
}
HONOURS = {
    "valid": ("good", _N("Valid")),
    "due": ("warn", _N("Due")),
    "lapsed": ("off", _N("Lapsed")),
    "none": ("off", _N("None")),
}
WEEKDAYS = {
    "mon": _N("Mon"),
    "tue": _N("Tue"),
    "wed": _N("Wed"),
    "thu": _N("Thu"),
    "fri": _N("Fri"),
    "sat": _N("Sat"),
    "sun": _N("Sun"),
}
AMOUNTS = (
    ("people", _N("People served")),
    ("transport", _N("Transport allowance")),
    ("meal", _N("Meal allowance")),
    ("people_abroad", _N("Foreign visitors")),
    ("people_home", _N("Local visitors")),
)
SHEET_COLUMNS = (
    *("adjustments", "minutes", "rounded_minutes", "not_counting_minutes", "sessions"),
    *(name for name, _ in AMOUNTS),
)


async def _teams(ask: Asking) -> dict[str, Any]:
    """The caller's teams by name: each as it is listed, with the title in the language."""
    listed = (await ask("volunteer.team.list")).teams
    return {team.id: {"of": team, "title": _title(team, ask.lang), "zone": team.time_zone} for team in listed}


def _title(team: Any, lang: str) -> str:
    return title_of({"id": team.id, "title_zh": team.title_zh, "title_en": team.title_en}, lang)


def _team_choices(ask: Asking, teams: dict[str, Any], first: str) -> list[tuple[str, str]]:
    return choices(say(ask.lang, first), [(name, team["title"]) for name, team in teams.items()])


@page("/volunteers", needs="volunteer.review", nav=(_N("Volunteers"), 70))
async def review(ask: Asking) -> Page:
    """The queue of what only a person can tell."""
    wanted = {name: ask.query.get(name, "") for name in ("team", "month", "member")}
    listed = await ask("volunteer.review", **wanted, after=ask.query.get("after", ""), limit=AT_ONCE)
    teams = await _teams(ask)
    return Page(
        "volunteers.html",
        live=True,
        every_s=5,
        rows=listed.sessions,
        more=url("/volunteers", **wanted, after=listed.next) if listed.more else "",
        first=url("/volunteers", **wanted) if ask.query.get("after") else "",
        wanted=wanted,
        teams=teams,
        team_choices=_team_choices(ask, teams, _N("Every team")),
        states=STATES,
        why=WHY,
    )


# --- one session ------------------------------------------------------------------------------------------------


@page("/volunteers/sessions/{session}", needs="volunteer.sessions")
async def session(ask: Asking) -> Page:
    """As it is booked, and what can be said about it."""
    rows = (await ask("volunteer.sessions", session=ask.path["session"])).sessions
    if not rows:
        raise ActionFailed(say(ask.lang, "There is no such session among yours."))
    newest = max(rows, key=lambda row: (not row.month, row.month))
    teams = await _teams(ask)
    zone = teams[newest.team]["zone"] if newest.team in teams else CITY_ZONE
    team_choices = _team_choices(ask, teams, _N("As it is"))
    return Page(
        "volunteer_session.html",
        rows=rows,
        row=newest,
        teams=teams,
        zone=zone,
        began=field_of(newest.in_ms, zone),
        ended=field_of(newest.out_ms or newest.shift_end_ms, zone),
        team_choices=team_choices,
        others=[(value, text) for value, text in team_choices if value not in ("", newest.team)],
        states=STATES,
        why=WHY,
        amounts=AMOUNTS,
    )


@form("/volunteers/sessions/{session}/settle", needs="volunteer.settle", again=session)
async def settle(ask: Asking) -> See:
    """Hours, or void."""
    outcome, texts = ask.form.get("outcome", ""), {}
    if outcome == "hours":
        texts = {"from": ask.form.get("from", ""), "until": ask.form.get("until", "")}
    names = ("team", "activity", "why")
    values = {name: ask.form.get(name, "") for name in names} | texts
    await ask("volunteer.settle", session=ask.path["session"], outcome=outcome, **values)
    said = _N("It is booked.") if outcome == "hours" else _N("It is void.")
    return See(f"/volunteers/sessions/{ask.path['session']}", said)


@form("/volunteers/sessions/{session}/reassign", needs="volunteer.reassign", again=session)
async def reassign(ask: Asking) -> See:
    """To the team that it was for."""
    values = {name: ask.form.get(name, "") for name in ("team", "activity", "why")}
    await ask("volunteer.reassign", session=ask.path["session"], **values)
    return See(f"/volunteers/sessions/{ask.path['session']}", _N("It is of that team now."))


@form("/volunteers/sessions/{session}/served", needs="volunteer.served", again=session)
async def served(ask: Asking) -> See:
    """What the ministry's sheet asks of a session."""
    values: dict[str, Any] = {name: ask.form.get(name) or None for name, _ in AMOUNTS}
    await ask("volunteer.served", session=ask.path["session"], **values, remark=ask.form.get("remark", ""))
    return See(f"/volunteers/sessions/{ask.path['session']}", _N("The numbers are kept."))


# --- teams and months -------------------------------------------------------------------------------------------


@page("/volunteers/teams", needs="volunteer.team.list")
async def teams_page(ask: Asking) -> Page:
    """The caller's teams."""
    return Page("volunteer_teams.html", teams=await _teams(ask))


@page("/volunteers/teams/{team}", needs="volunteer.team.show")
async def team(ask: Asking) -> Page:
    """A team, its months, and its newest sessions."""
    name = ask.path["team"]
    shown = await ask("volunteer.team.show", id=name)
    months = await ask("volunteer.months", team=name, before=ask.query.get("before", ""), limit=FIRST_MONTHS)
    zone = ZoneInfo((await _teams(ask)).get(name, {"zone": CITY_ZONE})["zone"])
    today = dt.datetime.fromtimestamp(ask.now_ms / 1_000, zone)
    month = ask.query.get("month", "") or f"{today:%Y-%m}"
    listed = await ask("volunteer.sessions", team=name, month=month, after=ask.query.get("after", ""), limit=AT_ONCE)
    more = url(f"/volunteers/teams/{name}", month=month, after=listed.next) if listed.more else ""
    return Page(
        "volunteer_team.html",
        team=shown,
        body=shown.body,
        title_of_team=title_of({"id": name, **shown.body}, ask.lang),
        months=months.months,
        earlier=url(f"/volunteers/teams/{name}", before=months.next) if months.more else "",
        month=month,
        rows=listed.sessions,
        more=more,
        first=url(f"/volunteers/teams/{name}", month=month) if ask.query.get("after") else "",
        zone=zone.key,
        weekdays=WEEKDAYS,
        states=STATES,
        why=WHY,
        month_states=MONTHS,
    )


@form("/volunteers/teams/{team}/sign", needs="volunteer.sign", again=team)
async def sign(ask: Asking) -> See:
    """Somebody signed in, out, or both, by hand."""
    names = ("member", "signed_in", "signed_out", "activity", "why")
    await ask("volunteer.sign", team=ask.path["team"], **{name: ask.form.get(name, "").strip() for name in names})
    return See(f"/volunteers/teams/{ask.path['team']}", _N("It is signed."))


@page("/volunteers/teams/{team}/{month}", needs="volunteer.month")
async def sheet(ask: Asking) -> Page:
    """The sheet of a month: members by days, ready for paper."""
    name, month = ask.path["team"], ask.path["month"]
    shown = await ask("volunteer.month", team=name, month=month)
    of_team = await ask("volunteer.team.show", id=name)
    return Page(
        "volunteer_sheet.html",
        sheet=shown,
        body=of_team.body,
        title_of_team=title_of({"id": name, **of_team.body}, ask.lang),
        days=sorted({day for line in shown.lines for day in line.days}),
        roc_month=month_slashed(month),
        has_adjustments=any(line.adjustments for line in shown.lines),
        amounts=[(field, text) for field, text in AMOUNTS if any(getattr(line, field) for line in shown.lines)],
        month_states=MONTHS,
    )


@page("/volunteers/teams/{team}/{month}/sheet.csv", needs="volunteer.month")
async def sheet_csv(ask: Asking) -> Answer:
    """The same as a table to take along, in minutes; `dates=roc`: as offices here read it."""
    name, month = ask.path["team"], ask.path["month"]
    shown = await ask("volunteer.month", team=name, month=month)
    if ask.query.get("dates") == "roc":
        return await csv_response(ask.request, f"{name}-{month}-roc.csv", *sheet_table(shown.lines))
    days = sorted({day for line in shown.lines for day in line.days})
    columns = ["member", *days, *SHEET_COLUMNS]
    rows = (
        [line.member, *(line.days.get(day, "") for day in days), *(getattr(line, field) for field in SHEET_COLUMNS)]
        for line in shown.lines
    )
    return await csv_response(ask.request, f"{name}-{month}.csv", columns, rows)


@form("/volunteers/teams/{team}/{month}/approve", needs="volunteer.approve", again=sheet)
async def approve(ask: Asking) -> See:
    """It is right as it is."""
    leave = ask.form.get("leave_review", "") == "true"
    await ask("volunteer.approve", team=ask.path["team"], month=ask.path["month"], leave_review=leave)
    return See(f"/volunteers/teams/{ask.path['team']}/{ask.path['month']}", _N("The month is approved."))


@form("/volunteers/teams/{team}/{month}/lock", needs="volunteer.lock", again=sheet)
async def lock(ask: Asking) -> See:
    """For ever."""
    await ask("volunteer.lock", team=ask.path["team"], month=ask.path["month"])
    return See(f"/volunteers/teams/{ask.path['team']}/{ask.path['month']}", _N("The month is locked."))


# --- honour cards -----------------------------------------------------------------------------------------------


@page("/volunteers/honours", needs="volunteer.certificates")
async def honours(ask: Asking) -> Page:
    """Who has the hours for an honour card, and whose card is good until when."""
    member = ask.query.get("member", "").strip()
    found = (await ask("volunteer.certificates", member=member)).certificates
    rules = (await ask("volunteer.rules.show")).body
    return Page(
        "volunteer_honours.html",
        rows=sorted(found, key=lambda one: (list(HONOURS).index(one.state) != 1, one.member)),
        member=member,
        rule=rules["certificate"],
        today=field_of(ask.now_ms)[:10],
        states=HONOURS,
    )


@form("/volunteers/honours", needs="volunteer.certify", again=honours)
async def certify(ask: Asking) -> Answer:
    """One was made out."""
    values = {name: ask.form.get(name, "").strip() for name in ("member", "valid_from", "number")}
    await ask("volunteer.certify", **values)
    return See("/volunteers/honours", _N("The honour card of %(member)s is kept."), {"member": values["member"]})
