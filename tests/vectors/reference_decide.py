"""What a gate must answer, worked out from SPEC §8 without any plan or cache: one question at a time."""

import datetime as dt
from typing import Any

from tests.vectors import reference_past
from tests.vectors.reference_time import instant_ms, local_date
from tests.vectors.reference_time import spans as _spans

STATES = {1: "card-blocked", 2: "card-lost", 3: "card-replaced"}
Json = dict[str, Any]


def decide(policy: Json | None, entry: Json | None, history: Json | None, tap: Json) -> Json:
    known = {**NOTHING, **(history or {})}
    first = known["last"] if policy and _in_window(policy, known["last"], tap) else None
    answer = _alone(policy, entry, _as_if_never(known, first), tap)
    if first and _same(answer, first):
        again = {"reason": first["reason"], "rule": first["rule"], "direction": first["direction"]}
        return {**answer, **again, "points": 0, "due": 0, "counts": False, "repeats": True}
    return answer


NOTHING: Json = {"last": None, "own": [], "told": [], "reserved": 0, "lapse_ms": 0, "notes": []}


def _in_window(policy: Json, last: Json | None, tap: Json) -> bool:
    """§8.4"""
    if last is None or last["direction"] != tap["direction"] or (_is_kiosk(policy) and tap["direction"] == "in"):
        return False
    clock = "monotonic_ms" if last["boot_id"] == tap["boot_id"] else "at_ms"
    return 0 <= tap[clock] - last[clock] < policy.get("repeat_window_s", 10) * 1000


def _as_if_never(known: Json, first: Json | None) -> Json:
    """It left no mark and took no points: what central counts of it would still be reserved."""
    if first is None:
        return known
    own, told = ([mark for mark in known[whose] if _name(mark) != _name(first)] for whose in ("own", "told"))
    back = sum(mark["points"] for mark in known["told"] if _name(mark) == _name(first))
    return {**known, "own": own, "told": told, "back": back}


def _same(answer: Json, first: Json) -> bool:
    if answer["outcome"] != first["decision"]:
        return False
    return bool(answer["outcome"] == "granted" or answer["reason"] == first["reason"])


def _name(named: Json) -> tuple[bytes, int]:
    return bytes.fromhex(named["epoch"]), named["sequence"]


def _denied(reason: str, rule: str = "") -> Json:
    nothing = {"direction": "in", "points": 0, "due": 0, "counts": False, "notes": [], "repeats": False}
    return {"outcome": "denied", "reason": reason, "rule": rule, **nothing}


def _granted(reason: str, rule: str = "", direction: str = "in", **more: Any) -> Json:
    plain = {"points": 0, "due": 0, "counts": False, "notes": [], "repeats": False}
    return {"outcome": "granted", "reason": reason, "rule": rule, "direction": direction, **plain, **more}


def _alone(policy: Json | None, entry: Json | None, known: Json, tap: Json) -> Json:
    if tap["direction"] == "out":
        return _leaving(policy, known, tap)
    if policy and _is_kiosk(policy):
        return _session(policy, entry, known, tap)
    guard = _guard(policy, entry, tap)
    if guard:
        return _denied(guard)
    assert policy is not None
    assert entry is not None
    return _by_rules(policy, entry, known, tap)


def _is_kiosk(policy: Json) -> bool:
    return policy.get("session") is not None


def _dated(tap: Json) -> bool:
    return bool(tap["clock"] < 2)


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
    if tap.get("is_closed", False):
        return "closed"
    if tap["staleness"] == "restrict" and not _classes(entry, tap) & set(policy.get("restricted", ())):
        return "list-stale"
    return ""


def says_who(policy: Json | None, entry: Json | None, tap: Json) -> str:
    """§7.14: why a card does not speak for its holder; empty = it does."""
    calm = "fresh" if tap["staleness"] == "restrict" else tap["staleness"]
    found = _guard(policy, entry, {**tap, "is_closed": False, "staleness": calm})
    return found or ("" if _dated(tap) else "clock-untrusted")


def _classes(entry: Json, tap: Json) -> set[str]:
    return {
        grant["name"]
        for grant in entry["classes"]
        if tap["clock"] >= 2
        or (grant["from_ms"] <= tap["at_ms"] and (grant["until_ms"] == 0 or tap["at_ms"] < grant["until_ms"]))
    }


def _by_rules(policy: Json, entry: Json, known: Json, tap: Json) -> Json:
    """§8.2, from "Then the first rule whose conditions hold decides"."""
    classes, dated = _classes(entry, tap), _dated(tap)
    today = local_date(policy, tap["at_ms"])
    speaking = [rule for rule in policy["rules"] if _speaks(rule, classes, today) and _may_be_chosen(rule, tap)]
    again = False
    for rule in speaking:
        admits = rule["kind"] == "admit"
        if not dated and not admits and (rule.get("schedule") or rule["kind"] != "refuse"):
            continue
        if dated and rule.get("schedule") and not _open(policy, rule, today, tap["at_ms"]):
            continue
        if admits:
            return _admitted(policy, rule, entry, known, tap, "admitted-again" if again else "ok")
        if rule["kind"] == "refuse":
            return _denied(rule.get("reason", "closed"), rule["id"])
        reason = reference_past.refuses(policy, rule, _marks(known), tap)
        if rule.get("mode") == "soft":
            again = again or reason == "already-inside"
        elif reason:
            return _denied(reason, rule["id"])
    admitting = [rule["id"] for rule in speaking if rule["kind"] == "admit"]
    if dated and admitting:
        return _denied("outside-hours", admitting[0])
    lapsed = dated and entry["classes"] and not classes
    return _denied("class-lapsed" if lapsed else "class-not-admitted")


def _speaks(rule: Json, classes: set[str], today: dt.date) -> bool:
    begun = not rule.get("valid_from") or rule["valid_from"] <= today.isoformat()
    ended = rule.get("valid_until") and rule["valid_until"] <= today.isoformat()
    return begun and not ended and (not rule.get("classes") or bool(classes & set(rule["classes"])))


def _may_be_chosen(rule: Json, tap: Json) -> bool:
    return rule["kind"] != "admit" or tap["choice"] in ("", rule["id"])


def _admitted(policy: Json, rule: Json, entry: Json, known: Json, tap: Json, reason: str) -> Json:
    charge = {"points": 0, "due": 0}
    if rule.get("tariff"):
        charge = reference_past.entry_charge(policy, rule["tariff"], known, tap)
        tariff = policy["tariffs"][rule["tariff"]]
        if tariff.get("pay") == "points" and tariff.get("short") == "deny" and charge["due"]:
            return _denied("points-short", rule["id"])
    counts, notes = reference_past.looks_back(policy), _notices(entry, known)
    return _granted(reason, rule["id"], "in", **charge, counts=counts, notes=notes)


def _notices(entry: Json | None, known: Json) -> list[list[Any]]:
    """§8.9"""
    flags = entry["flags"] if entry else []
    return [[flag, 1] for flag in flags] + [list(note) for note in known["notes"]]


def _marks(known: Json) -> list[Json]:
    return [*known["told"], *known["own"]]


def _leaving(policy: Json | None, known: Json, tap: Json) -> Json:
    if not policy or not reference_past.looks_back(policy):
        return _granted("leaving", direction="out")
    rule, charge = reference_past.exit_charge(policy, known, tap) if _dated(tap) else ("", {"points": 0, "due": 0})
    return _granted("leaving", rule, "out", **charge, counts=True, notes=[list(note) for note in known["notes"]])


def _session(policy: Json, entry: Json | None, known: Json, tap: Json) -> Json:
    """§8.8"""
    if tap["problem"]:
        return _denied(tap["problem"])
    session, notes = policy["session"], _notices(entry, known)
    young = [m for m in _marks(known) if tap["at_ms"] - m["at_ms"] < session.get("longest_hours", 16) * 3_600_000]
    newest = reference_past.newest(young) if _dated(tap) else None
    if newest:
        reason = {"in": "signed-in", "out": "signed-out", "": "recorded"}[newest["direction"]]
        if 0 <= tap["at_ms"] - newest["at_ms"] < session.get("double_tap_s", 60) * 1_000:
            return _granted(reason, newest["rule"], newest["direction"], notes=notes, repeats=True)
        if newest["direction"] == "in":
            return _granted("signed-out", newest["rule"], "out", counts=True, notes=notes)
    guard = _guard(policy, entry, tap)
    if guard:
        return _denied(guard)
    assert entry is not None
    fresh = _by_rules(policy, entry, known, tap)
    if fresh["outcome"] == "denied":
        return fresh
    if tap["is_apart"] or not _dated(tap) or (newest and not newest["direction"]):
        return _granted("recorded", fresh["rule"], "", counts=True, notes=notes)
    return _granted("signed-in", fresh["rule"], "in", counts=True, notes=notes)


def _open(policy: Json, rule: Json, today: dt.date, at_ms: int) -> bool:
    zone = policy.get("time_zone", "Asia/Taipei")
    early_ms, last_ms = (rule.get(field, 0) * 60_000 for field in ("opens_early_minutes", "last_entry_minutes"))
    for day in (today - dt.timedelta(days=1), today, today + dt.timedelta(days=1)):
        for span in _spans(policy, policy["schedules"][rule["schedule"]], day):
            start, end = (int(edge[:2]) * 60 + int(edge[3:]) for edge in span.split("-"))
            midnight = dt.datetime(day.year, day.month, day.day)
            opens_ms = instant_ms(zone, midnight + dt.timedelta(minutes=start)) - early_ms
            if opens_ms <= at_ms < instant_ms(zone, midnight + dt.timedelta(minutes=end)) - last_ms:
                return True
    return False
