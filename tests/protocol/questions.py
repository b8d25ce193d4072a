"""Random questions to `decide`, as JSON that both implementations read: policies of every kind of rule that can work,
entries, histories and taps around the same few moments, so that edges are met often."""

import datetime as dt
from typing import Any

from hypothesis import strategies as st

from tests.vectors.deciding import BOOT, OTHER_BOOT, at

Json = dict[str, Any]
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CLASSES = ("citizen", "senior", "staff")
IDS = tuple(f"rule-{number}" for number in range(6))
EPOCHS = ("a1" * 8, "a2" * 8)
VENUES, GATES = ("pool", "gym"), ("pool-door", "side-door")
ANCHORS = [at(text) for text in ("2026-03-27T00:00", "2026-03-28T12:00", "2026-03-29T00:00", "2026-03-30T09:15")]
ANCHORS += [at("2026-03-29T03:00", "Europe/Berlin"), at("2026-03-30T00:00", "Europe/Berlin")]
OFFSETS = [0, -1, 1, 1_000, -30 * MINUTE, 1 - 30 * MINUTE, -HOUR, -HOUR - 1, -90 * MINUTE, 2 * HOUR, -DAY, -5 * DAY]
LONG_OFFSETS = [*OFFSETS, -31 * DAY, 1 - 31 * DAY, -28 * DAY, -60 * DAY]
MOMENTS = st.integers(at("2026-03-27T00:00"), at("2026-03-31T00:00")) | st.builds(
    int.__add__, st.sampled_from(ANCHORS), st.sampled_from(OFFSETS)
)
PAST = st.builds(int.__add__, st.sampled_from(ANCHORS), st.sampled_from(LONG_OFFSETS)) | MOMENTS

# --- policies -----------------------------------------------------------------------------------------------------

SPAN = st.sampled_from(["00:00-02:30", "02:30-03:00", "08:00-12:00", "13:30-17:00", "20:00-26:00"])
SPANS = st.lists(SPAN, max_size=3, unique=True).map(sorted)
DATES = st.dates(dt.date(2026, 3, 26), dt.date(2026, 3, 31)).map(dt.date.isoformat)
DAYS = ("mon", "tue", "fri", "sat", "sun", "holiday", "workday")
SCHEDULES = st.fixed_dictionaries({}, optional=dict.fromkeys(DAYS, SPANS))
CONDITIONS: dict[str, Any] = {
    "classes": st.lists(st.sampled_from(CLASSES), max_size=2),
    "schedule": st.sampled_from(["a", "b"]),
    "opens_early_minutes": st.sampled_from([0, 30, 1_440]),
    "last_entry_minutes": st.sampled_from([0, 45]),
    "valid_from": DATES,
    "valid_until": DATES,
}
UNKNOWN = {"when_unknown": st.sampled_from(["admit", "refuse"])}
BACK = {**UNKNOWN, "scope": st.sampled_from(["gate", "venue", "domain"])}
TIMES = st.sampled_from(["00:00", "02:30", "04:00", "12:00", "23:59"])


def _rule(kind: str, needs: Json | None = None, **may: Any) -> st.SearchStrategy[Json]:
    """Most rules have no conditions, so that those after them and what they ask are met."""
    given = st.fixed_dictionaries({"kind": st.just(kind), **(needs or {})}, optional=may)
    conditions = st.just({}) | st.just({}) | st.just({}) | st.fixed_dictionaries({}, optional=CONDITIONS)
    return st.builds(lambda one, other: {**one, **other}, given, conditions)


ADMITS = _rule("admit", tariff=st.sampled_from(["s", "t"]))
LIMITS = _rule(
    "limit",
    {"most": st.integers(1, 3)},
    per=st.sampled_from(["day", "week", "month", "period", "visit"]),
    of=st.lists(st.sampled_from(IDS), max_size=2),
    **BACK,
)
PASSBACKS = _rule(
    "passback",
    mode=st.sampled_from(["hard", "soft"]),
    forgive_minutes=st.sampled_from([0, 30, 60, 90, 44_640]),
    resets_at=TIMES,
    **BACK,
)
REFUSALS = _rule(
    "refuse",
    {"classes": st.lists(st.sampled_from(CLASSES), max_size=2)},
    reason=st.sampled_from(["closed", "outside-hours"]),
)
RULES = st.one_of(
    ADMITS,
    _rule(
        "refuse",
        {"classes": st.lists(st.sampled_from(CLASSES), max_size=2)},
        reason=st.sampled_from(["closed", "outside-hours"]),
    ),
    LIMITS,
    _rule("interval", {"minutes": st.sampled_from([1, 30, 60, 44_640])}, **BACK),
    PASSBACKS,
    _rule("occupancy", {"most": st.sampled_from([1, 5])}, **UNKNOWN),
)
CAPS = st.none() | st.sampled_from([0, 10, 25, 60])
TARIFFS = st.fixed_dictionaries(
    {"price": st.sampled_from([0, 1, 25, 60])},
    optional={
        "per": st.sampled_from(["entry", "day", "started-hour"]),
        "first_day_price": st.sampled_from([0, 10, 30]),
        "since": DATES,
        "pay": st.sampled_from(["due", "points", "points"]),
        "short": st.sampled_from(["due", "later", "deny"]),
        "later_cap": st.sampled_from([0, 5, 40]),
        "cap_use": CAPS,
        "cap_day": CAPS,
        "cap_month": CAPS,
    },
)
SESSIONS = st.fixed_dictionaries(
    {}, optional={"double_tap_s": st.sampled_from([1, 60, 3_600]), "longest_hours": st.sampled_from([1, 16, 48])}
)


def workable(policy: Json) -> Json:
    """What §8.1 would refuse is left out."""
    rules = [dict(rule, id=IDS[number]) for number, rule in enumerate(policy["rules"])]
    admitting = {rule["id"] for rule in rules if rule["kind"] == "admit"}
    for rule in rules:
        if "schedule" not in rule:
            rule.pop("opens_early_minutes", None), rule.pop("last_entry_minutes", None)
        if policy["session"] is not None:
            rule.pop("tariff", None)
        if rule["kind"] == "limit":
            rule["of"] = [name for name in rule.get("of", []) if name in admitting]
            if rule.get("per") == "period":
                rule.setdefault("valid_from", "2026-03-26")
        if rule.get("valid_from") and rule.get("valid_until") and rule["valid_from"] >= rule["valid_until"]:
            del rule["valid_until"]
    tariffs = {
        name: dict(policy["tariffs"][name]) for name in ("s", "t") if any(r.get("tariff") == name for r in rules)
    }
    for tariff in tariffs.values():
        for cap in ("cap_use", "cap_day", "cap_month"):
            if tariff.get("short") == "deny" and tariff.get(cap) is not None:
                tariff[cap] = 60
    return {**policy, "rules": rules, "tariffs": tariffs}


GUARDED = st.tuples(st.lists(RULES, max_size=len(IDS) - 1), ADMITS | RULES).map(lambda parts: [*parts[0], parts[1]])
POLICIES = st.fixed_dictionaries(
    {
        "version": st.just(1),
        "rules": GUARDED,
        "schedules": st.fixed_dictionaries({"a": SCHEDULES, "b": SCHEDULES}),
        "tariffs": st.fixed_dictionaries({"s": TARIFFS, "t": TARIFFS}),
        "calendar": st.fixed_dictionaries(
            {
                "holidays": st.lists(st.sampled_from(["2026-03-27", "2026-03-28"]), max_size=2),
                "workdays": st.lists(st.sampled_from(["2026-03-29", "2026-03-30"]), max_size=2),
            }
        ),
        "time_zone": st.sampled_from(["Asia/Taipei", "Europe/Berlin", "Asia/Beirut", "America/St_Johns"]),
        "repeat_window_s": st.sampled_from([0, 10, 3_600]),
        "untrusted_clock": st.sampled_from(["deny", "ignore-dates"]),
        "restricted": st.lists(st.sampled_from([*CLASSES, "unnamed"]), max_size=2),
        "session": st.none() | st.none() | st.none() | SESSIONS,
    }
).map(workable)

# --- entries ------------------------------------------------------------------------------------------------------

EDGES = st.sampled_from([0, at("2026-03-28T00:00"), at("2026-03-29T12:00")])
GRANTS = st.fixed_dictionaries({"name": st.sampled_from([*CLASSES, "other"]), "from_ms": EDGES, "until_ms": EDGES})
ENTRIES = st.fixed_dictionaries(
    {
        "subject": st.just("5b" * 16),
        "card": st.just(1),
        "state": st.sampled_from([0, 0, 0, 0, 0, 0, 1, 2, 3]),
        "classes": st.lists(GRANTS, max_size=3),
        "from_ms": EDGES,
        "until_ms": EDGES,
        "flags": st.lists(st.sampled_from(["hold-ready", "overdue"]), max_size=2),
    }
)

WELL = st.fixed_dictionaries(
    {
        "subject": st.just("5b" * 16),
        "card": st.just(1),
        "state": st.just(0),
        "classes": st.lists(GRANTS, max_size=3),
        "from_ms": st.just(0),
        "until_ms": st.just(0),
        "flags": st.lists(st.sampled_from(["hold-ready", "overdue"]), max_size=2),
    }
)
"""Entries that no guard of §8.2 keeps out."""

# --- histories ----------------------------------------------------------------------------------------------------

LASTS = st.fixed_dictionaries(
    {
        "at_ms": MOMENTS,
        "boot_id": st.sampled_from([BOOT, OTHER_BOOT]),
        "monotonic_ms": st.integers(480_000, 510_000),
        "sequence": st.integers(0, 7),
        "epoch": st.sampled_from(EPOCHS),
        "direction": st.sampled_from(["in", "in", "out"]),
        "decision": st.sampled_from(["granted", "granted", "denied"]),
        "reason": st.sampled_from(["ok", "outside-hours", "class-not-admitted", "closed", "limit-reached"]),
        "rule": st.sampled_from(IDS),
    }
)
AMOUNTS = st.sampled_from([0, 0, 5, 25])
MARKS = st.fixed_dictionaries(
    {
        "at_ms": PAST,
        "venue": st.sampled_from(VENUES),
        "gate": st.sampled_from(GATES),
        "direction": st.sampled_from(["in", "in", "in", "out", ""]),
        "rule": st.sampled_from([*IDS, ""]),
        "points": AMOUNTS,
        "due": AMOUNTS,
        "epoch": st.sampled_from(EPOCHS),
        "sequence": st.integers(0, 12),
    }
)
NOTES = st.lists(st.tuples(st.sampled_from(["points", "minutes-month"]), st.integers(-5, 900)).map(list), max_size=2)


def _parted(marks: list[Json], cut: int, fields: Json) -> Json:
    return {**fields, "own": marks[:cut], "told": marks[cut:]}


HISTORIES = st.builds(
    _parted,
    st.lists(MARKS, max_size=6, unique_by=lambda each: (each["epoch"], each["sequence"])),
    st.integers(0, 6),
    st.fixed_dictionaries(
        {
            "last": st.none() | LASTS,
            "reserved": st.sampled_from([0, 10, 100]),
            "lapse_ms": st.just(0) | MOMENTS,
            "notes": NOTES,
        }
    ),
)

# --- taps ---------------------------------------------------------------------------------------------------------

HERE: dict[str, Any] = {
    "at_ms": MOMENTS,
    "boot_id": st.just(BOOT),
    "monotonic_ms": st.integers(490_000, 500_000),
    "venue": st.just("pool"),
    "gate": st.just("pool-door"),
    "is_apart": st.sampled_from([False, False, True]),
    "inside": st.none() | st.integers(0, 6),
    "choice": st.sampled_from(["", "", "", "", "", "", *IDS]),
}
TAPS = st.fixed_dictionaries(
    {
        **HERE,
        "clock": st.sampled_from([0, 0, 0, 1, 2, 3]),
        "direction": st.sampled_from(["in", "in", "in", "out"]),
        "staleness": st.sampled_from(["fresh", "fresh", "warn", "restrict", "close", "missing"]),
        "problem": st.sampled_from([None, None, None, "uid-random", "uid-unreadable"]),
        "is_closed": st.sampled_from([False, False, False, True]),
    }
)
GOOD_TAPS = st.fixed_dictionaries(
    {
        **HERE,
        "clock": st.sampled_from([0, 0, 0, 0, 0, 1, 2]),
        "direction": st.sampled_from(["in", "in", "in", "out"]),
        "staleness": st.sampled_from(["fresh", "fresh", "warn"]),
        "problem": st.none(),
    }
)
"""Taps that no guard keeps out, but for some of an untrusted clock."""
