"""What a gate must answer, worked out from SPEC §8 without any plan or cache: one question at a time."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

UTC = dt.UTC
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
STATES = {1: "card-blocked", 2: "card-lost", 3: "card-replaced"}
Json = dict[str, Any]


def instant_ms(zone: str, local: dt.datetime) -> int:
    """The first instant that this local time names; a skipped one by the offset that held before the gap."""
    offsets = {
        (local.replace(tzinfo=UTC) + dt.timedelta(hours=hours)).astimezone(ZoneInfo(zone)).utcoffset()
        for hours in range(-40, 41)
    }
    guesses = [local.replace(tzinfo=UTC) - offset for offset in offsets if offset is not None]
    named = [guess for guess in guesses if guess.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == local]
    if named:
        return _ms(min(named))
    before = (local.replace(tzinfo=UTC) - dt.timedelta(hours=40)).astimezone(ZoneInfo(zone)).utcoffset()
    assert before is not None
    return _ms(local.replace(tzinfo=UTC) - before)


def _ms(moment: dt.datetime) -> int:
    return (moment - dt.datetime(1970, 1, 1, tzinfo=UTC)) // dt.timedelta(milliseconds=1)


def decide(policy: Json | None, entry: Json | None, history: Json | None, tap: Json) -> Json:
    answer = _fresh(policy, entry, tap)
    if policy and history and _repeats(policy, history, tap, answer):
        return {**answer, "reason": history["reason"], "rule": history["rule"], "repeats": True}
    return {**answer, "repeats": False}


def _repeats(policy: Json, history: Json, tap: Json, answer: Json) -> bool:
    clock = "monotonic_ms" if history["boot_id"] == tap["boot_id"] else "at_ms"
    elapsed_ms = tap[clock] - history[clock]
    same_outcome = answer["outcome"] == history["decision"]
    same_reason = answer["outcome"] == "granted" or answer["reason"] == history["reason"]
    within = 0 <= elapsed_ms < policy.get("repeat_window_s", 10) * 1000
    return history["direction"] == tap["direction"] and within and same_outcome and same_reason


def _answer(outcome: str, reason: str, rule: str = "") -> Json:
    return {"outcome": outcome, "reason": reason, "rule": rule}


def _fresh(policy: Json | None, entry: Json | None, tap: Json) -> Json:
    if tap["direction"] == "out":
        return _answer("granted", "leaving")
    guard = _guard(policy, entry, tap)
    if guard:
        return _answer("denied", guard)
    assert policy is not None
    assert entry is not None
    return _by_rules(policy, entry, tap)


def _guard(policy: Json | None, entry: Json | None, tap: Json) -> str:
    if tap["problem"]:
        return str(tap["problem"])
    if policy is None or tap["staleness"] == "missing":
        return "list-missing"
    if tap["staleness"] == "close":
        return "list-too-old"
    if entry is None:
        return "unknown-card"
    if entry["state"] in STATES:
        return STATES[entry["state"]]
    dated = tap["clock"] < 2
    if not dated and policy.get("untrusted_clock", "deny") == "deny":
        return "clock-untrusted"
    if dated and tap["at_ms"] < entry["from_ms"]:
        return "not-yet-valid"
    if dated and entry["until_ms"] and tap["at_ms"] >= entry["until_ms"]:
        return "expired"
    if tap["staleness"] == "restrict" and not _classes(entry, tap) & set(policy.get("restricted", ())):
        return "list-stale"
    return ""


def _classes(entry: Json, tap: Json) -> set[str]:
    return {
        grant["name"]
        for grant in entry["classes"]
        if tap["clock"] >= 2
        or (grant["from_ms"] <= tap["at_ms"] and (grant["until_ms"] == 0 or tap["at_ms"] < grant["until_ms"]))
    }


def _by_rules(policy: Json, entry: Json, tap: Json) -> Json:
    classes, dated = _classes(entry, tap), tap["clock"] < 2
    zone = policy.get("time_zone", "Asia/Taipei")
    today = dt.datetime.fromtimestamp(tap["at_ms"] // 1000, ZoneInfo(zone)).date()
    speaking = []
    for rule in policy["rules"]:
        speaks = not rule.get("classes") or bool(classes & set(rule["classes"]))
        begun = not rule.get("valid_from") or rule["valid_from"] <= today.isoformat()
        ended = rule.get("valid_until") and rule["valid_until"] <= today.isoformat()
        if speaks and begun and not ended:
            speaking.append(rule)
    for rule in speaking:
        hours = rule.get("schedule")
        if hours and not dated and rule["kind"] == "refuse":
            continue
        if hours and dated and not _open(policy, zone, hours, today, tap["at_ms"]):
            continue
        if rule["kind"] == "admit":
            return _answer("granted", "ok", rule["id"])
        return _answer("denied", rule.get("reason", "closed"), rule["id"])
    admitting = [rule["id"] for rule in speaking if rule["kind"] == "admit"]
    if dated and admitting:
        return _answer("denied", "outside-hours", admitting[0])
    lapsed = dated and entry["classes"] and not classes
    return _answer("denied", "class-lapsed" if lapsed else "class-not-admitted")


def _open(policy: Json, zone: str, schedule: str, today: dt.date, at_ms: int) -> bool:
    for day in (today - dt.timedelta(days=1), today):
        for span in _spans(policy, policy["schedules"][schedule], day):
            start, end = (int(edge[:2]) * 60 + int(edge[3:]) for edge in span.split("-"))
            midnight = dt.datetime(day.year, day.month, day.day)
            if (
                instant_ms(zone, midnight + dt.timedelta(minutes=start))
                <= at_ms
                < instant_ms(zone, midnight + dt.timedelta(minutes=end))
            ):
                return True
    return False


def _spans(policy: Json, schedule: Json, day: dt.date) -> list[str]:
    calendar = policy.get("calendar", {})
    if day.isoformat() in calendar.get("holidays", ()) and "holiday" in schedule:
        return list(schedule["holiday"])
    if day.isoformat() in calendar.get("workdays", ()):
        return list(schedule.get("workday", schedule.get("mon", ())))
    return list(schedule.get(DAYS[day.weekday()], ()))
