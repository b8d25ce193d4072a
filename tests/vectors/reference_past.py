"""What rules ask of earlier taps and what a tap costs, worked out from SPEC §8.6 and §8.7: dates are compared as dates,
and every mark is looked at anew for every question."""

import datetime as dt
from typing import Any

from tests.vectors.reference_time import instant_ms, local_date

Json = dict[str, Any]
MINUTE, HOUR = 60_000, 3_600_000
FORGOTTEN = 31 * 24 * HOUR


def looks_back(policy: Json) -> bool:
    kinds = {rule["kind"] for rule in policy["rules"]}
    priced = any(rule.get("tariff") for rule in policy["rules"])
    return bool(kinds & {"limit", "interval", "passback"}) or priced or policy.get("session") is not None


def newest(marks: list[Json]) -> Json | None:
    """The latest; of two at one instant the one of the larger (epoch, sequence)."""
    by_age = sorted(marks, key=_order)
    return by_age[-1] if by_age else None


def _order(mark: Json) -> tuple[int, bytes, int]:
    return mark["at_ms"], bytes.fromhex(mark["epoch"]), mark["sequence"]


# --- §8.6 ----------------------------------------------------------------------------------------------------------


def refuses(policy: Json, rule: Json, marks: list[Json], tap: Json) -> str:
    """The reason with which a rule that looks back refuses; empty where it does not."""
    unknown = rule.get("when_unknown", "admit") == "refuse"
    if rule["kind"] == "occupancy":
        if tap["inside"] is None:
            return "history-unknown" if unknown else ""
        return "full" if tap["inside"] >= rule["most"] else ""
    scope = rule.get("scope", "domain")
    seen = [mark for mark in marks if scope == "domain" or mark[scope] == tap[scope]]
    ask = {"limit": _limit_reached, "interval": _too_soon, "passback": _already_inside}[rule["kind"]]
    reason = ask(policy, rule, seen, tap)
    if not reason and unknown and tap["is_apart"] and scope != "gate":
        return "history-unknown"
    return reason


def _limit_reached(policy: Json, rule: Json, seen: list[Json], tap: Json) -> str:
    entries = [mark for mark in seen if mark["direction"] == "in"]
    if rule.get("of"):
        entries = [mark for mark in entries if mark["rule"] in rule["of"]]
    if rule.get("per", "day") == "visit":
        left = newest([mark for mark in seen if mark["direction"] == "out"])
        entries = [mark for mark in entries if left is None or _order(mark) > _order(left)]
        counted = [mark for mark in entries if tap["at_ms"] - mark["at_ms"] < FORGOTTEN]
    else:
        counted = [mark for mark in entries if _in_period(policy, rule, mark, tap)]
    return "limit-reached" if len(counted) >= rule["most"] else ""


def _in_period(policy: Json, rule: Json, mark: Json, tap: Json) -> bool:
    then, today = local_date(policy, mark["at_ms"]), local_date(policy, tap["at_ms"])
    match rule.get("per", "day"):
        case "day":
            return then >= today
        case "week":
            return then >= today or then.isocalendar()[:2] == today.isocalendar()[:2]
        case "month":
            return (then.year, then.month) >= (today.year, today.month)
        case _:
            return then.isoformat() >= rule["valid_from"]


def _too_soon(_policy: Json, rule: Json, seen: list[Json], tap: Json) -> str:
    entries = [mark["at_ms"] for mark in seen if mark["direction"] == "in"]
    return "too-soon" if entries and tap["at_ms"] - max(entries) < rule["minutes"] * MINUTE else ""


def _already_inside(policy: Json, rule: Json, seen: list[Json], tap: Json) -> str:
    last = newest([mark for mark in seen if mark["direction"] in ("in", "out")])
    if last is None or last["direction"] == "out":
        return ""
    forgiven_ms = rule.get("forgive_minutes", 0) * MINUTE or FORGOTTEN
    if tap["at_ms"] - last["at_ms"] >= forgiven_ms:
        return ""
    return "" if rule.get("resets_at") and _was_reset(policy, rule["resets_at"], last, tap) else "already-inside"


def _was_reset(policy: Json, resets_at: str, last: Json, tap: Json) -> bool:
    """Any day's reset after the entry and not after the tap. Every day between the two is looked at."""
    day, until = local_date(policy, last["at_ms"]), local_date(policy, tap["at_ms"])
    while day <= until:
        clock = dt.time(int(resets_at[:2]), int(resets_at[3:]))
        reset_ms = instant_ms(policy.get("time_zone", "Asia/Taipei"), dt.datetime.combine(day, clock))
        if last["at_ms"] < reset_ms <= tap["at_ms"]:
            return True
        day += dt.timedelta(days=1)
    return False


# --- §8.7 ----------------------------------------------------------------------------------------------------------


def entry_charge(policy: Json, name: str, known: Json, tap: Json) -> Json:
    tariff, today = policy["tariffs"][name], local_date(policy, tap["at_ms"])
    at_it = _at_tariff(policy, name, known)
    days = [local_date(policy, mark["at_ms"]) for mark in at_it if mark["direction"] == "in"]
    if tariff.get("per") == "day" and any(day >= today for day in days):
        return {"points": 0, "due": 0}
    price = tariff.get("price", 0)
    if tariff.get("first_day_price") is not None:
        season = dt.date.fromisoformat(tariff["since"]) if tariff.get("since") else dt.date.min
        first_day = min([today, *(day for day in days if day >= season)])
        if today >= season and first_day == today:
            price = tariff["first_day_price"]
    return _paid(policy, tariff, at_it, known, tap, price, 0)


def exit_charge(policy: Json, known: Json, tap: Json) -> tuple[str, Json]:
    """(the rule of the entry, what is charged); no rule where nothing is."""
    nothing = "", {"points": 0, "due": 0}
    marks = [*known["told"], *known["own"]]
    entry = newest([mark for mark in marks if mark["direction"] and mark["venue"] == tap["venue"]])
    if entry is None or entry["direction"] != "in" or tap["at_ms"] - entry["at_ms"] >= FORGOTTEN:
        return nothing
    admitted = [rule for rule in policy["rules"] if rule["kind"] == "admit" and rule["id"] == entry["rule"]]
    name = admitted[0].get("tariff") if admitted else None
    if not name or policy["tariffs"][name].get("per") != "started-hour":
        return nothing
    hour, price = 1, 0
    while entry["at_ms"] + hour * HOUR < tap["at_ms"]:
        hour, price = hour + 1, price + entry["points"] + entry["due"]
    paid = _paid(policy, policy["tariffs"][name], _at_tariff(policy, name, known), known, tap, price, entry["points"])
    return (entry["rule"] if price else ""), paid


def _at_tariff(policy: Json, name: str, known: Json) -> list[Json]:
    rules = {rule["id"] for rule in policy["rules"] if rule["kind"] == "admit" and rule.get("tariff") == name}
    return [mark for mark in (*known["told"], *known["own"]) if mark["rule"] in rules]


def _paid(policy: Json, tariff: Json, at_it: list[Json], known: Json, tap: Json, price: int, used: int) -> Json:
    """Points one by one, while every limit leaves another one."""
    if tariff.get("pay", "due") == "due":
        return {"points": 0, "due": price}
    today = local_date(policy, tap["at_ms"])
    of_day = sum(m["points"] for m in at_it if local_date(policy, m["at_ms"]) >= today)
    of_month = sum(m["points"] for m in at_it if local_date(policy, m["at_ms"]) >= today.replace(day=1))
    left = (known["reserved"] if tap["at_ms"] < known["lapse_ms"] else 0) + known.get("back", 0)
    left -= sum(mark["points"] for mark in known["own"])
    if tariff.get("short") == "later":
        left += tariff.get("later_cap", 0)
    points = 0
    while points < price and points < left:
        caps = ((tariff.get("cap_use"), used), (tariff.get("cap_day"), of_day), (tariff.get("cap_month"), of_month))
        if any(cap is not None and spent + points >= cap for cap, spent in caps):
            break
        points += 1
    return {"points": points, "due": price - points}
