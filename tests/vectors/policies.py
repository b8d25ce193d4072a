"""Policies that cannot work, and maps that are no policies (SPEC §8.1)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.deciding import MEMBERS, OPEN
from tests.vectors.scenario import scenario

Json = dict[str, Any]


def build() -> None:
    _unsatisfiable()
    _malformed()


def _unsatisfiable() -> None:
    good = {"version": 1, "rules": [{"kind": "admit", "id": "pool-hours", "schedule": "s"}], "schedules": {"s": OPEN}}
    for name, change, names, rule in (
        ("rule-twice", {"rules": [MEMBERS, MEMBERS]}, "members", "A rule's id stands once."),
        ("no-such-schedule", {"schedules": {}}, "pool-hours", "A rule's schedule exists."),
        (
            "ends-before-it-begins",
            {"rules": [{**MEMBERS, "valid_from": "2026-12-02", "valid_until": "2026-12-01"}]},
            "members",
            "A rule ends after it begins.",
        ),
        (
            "ends-as-it-begins",
            {"rules": [{**MEMBERS, "valid_from": "2026-12-02", "valid_until": "2026-12-02"}]},
            "members",
            "The end is excluded, so such a rule never holds.",
        ),
        ("no-such-zone", {"time_zone": "Asia/Atlantis"}, "Asia/Atlantis", "A time zone exists."),
        ("zone-outside", {"time_zone": "../../etc/passwd"}, "passwd", "A time zone is no path."),
        ("zone-of-the-machine", {"time_zone": "localtime"}, "localtime", "A time zone is the same everywhere."),
        ("span-backwards", {"schedules": {"s": {"mon": ["17:00-09:00"]}}}, "s", "A span ends after it begins."),
        ("span-empty", {"schedules": {"s": {"tue": ["09:00-09:00"]}}}, "tue", "A span is not empty."),
        ("span-too-long", {"schedules": {"s": {"mon": ["09:00-48:01"]}}}, "s", "At most to the next day's end."),
        ("span-begins-tomorrow", {"schedules": {"s": {"mon": ["24:00-25:00"]}}}, "s", "It begins on its day."),
        ("span-of-minute-60", {"schedules": {"s": {"mon": ["09:60-10:00"]}}}, "s", "Minutes are 00 to 59."),
        (
            "spans-overlap",
            {"schedules": {"s": {"holiday": ["09:00-12:00", "11:59-13:00"]}}},
            "holiday",
            "Spans of a day do not overlap.",
        ),
        (
            "holiday-and-workday",
            {"calendar": {"holidays": ["2026-02-14"], "workdays": ["2026-02-14"]}},
            "2026-02-14",
            "A day is one or the other.",
        ),
        (
            "too-many-classes",
            {"rules": [MEMBERS, {"kind": "admit", "id": "one-too-many", "classes": ["x"]}]}
            | {"restricted": [f"class-{number}" for number in range(256)]},
            "one-too-many",
            "At most 256 classes are named.",
        ),
    ):
        given = {"do": "compile", "policy": {**good, **change}, "named": names}
        scenario(f"policy-{name}", "8.1", rule, given, failure="not-satisfiable")
    _unsatisfiable_pasts()


def _unsatisfiable_pasts() -> None:
    """Rules that look back, tariffs and sessions that cannot work."""
    twice = {"kind": "limit", "id": "twice", "most": 2}
    closed = {"kind": "refuse", "id": "closed-day"}
    paying = {**MEMBERS, "tariff": "hourly"}
    points = {"price": 25, "pay": "points", "short": "deny"}
    for name, policy, names, rule in (
        ("no-such-tariff", {"rules": [paying]}, "members", "A rule's tariff exists."),
        (
            "tariff-of-nobody",
            {"rules": [MEMBERS], "tariffs": {"idle": {}}},
            "idle",
            "Somebody is admitted at a tariff.",
        ),
        (
            "early-without-hours",
            {"rules": [{**MEMBERS, "opens_early_minutes": 1}]},
            "members",
            "There is what to move.",
        ),
        ("last-without-hours", {"rules": [{**MEMBERS, "last_entry_minutes": 1}]}, "members", "There is what to move."),
        ("limit-of-nobody", {"rules": [{**twice, "of": ["ghosts"]}, MEMBERS]}, "twice", "It counts what exists."),
        ("limit-of-a-refusal", {"rules": [{**twice, "of": ["closed-day"]}, closed]}, "twice", "And what admits."),
        ("limit-of-itself", {"rules": [{**twice, "of": ["twice"]}, MEMBERS]}, "twice", "And what admits."),
        ("period-without-beginning", {"rules": [{**twice, "per": "period"}]}, "twice", "A period begins."),
        *(
            (
                f"denies-above-its-{cap.replace('_', '-')}",
                {"rules": [paying], "tariffs": {"hourly": {**points, cap: 24}}},
                "hourly",
                "A tariff that denies can be paid.",
            )
            for cap in ("cap_use", "cap_day", "cap_month")
        ),
        (
            "denies-above-its-cap-on-a-first-day",
            {"rules": [paying], "tariffs": {"hourly": {**points, "price": 24, "first_day_price": 25, "cap_use": 24}}},
            "hourly",
            "A tariff that denies can be paid on a first day too.",
        ),
        (
            "session-with-tariff",
            {"rules": [paying], "tariffs": {"hourly": {"price": 25}}, "session": {}},
            "members",
            "A session charges nothing.",
        ),
        ("guard-twice", {"rules": [twice, {**twice, "per": "week"}, MEMBERS]}, "twice", "Ids stand once in any kind."),
    ):
        given = {"do": "compile", "policy": {"version": 1, **policy}, "named": names}
        scenario(f"policy-{name}", "8.1", rule, given, failure="not-satisfiable")


def _malformed() -> None:
    good = {"version": 1, "rules": [{"kind": "admit", "id": "pool-hours", "schedule": "s"}], "schedules": {"s": OPEN}}
    for name, change, rule in (
        ("no-rules", {"rules": []}, "A policy has rules."),
        ("unknown-kind", {"rules": [{"kind": "perhaps", "id": "a"}]}, "A gate evaluates no kind it does not know."),
        ("unknown-field", {"colour": "red"}, "Maps are strict."),
        ("unknown-reason", {"rules": [{"kind": "refuse", "id": "a", "reason": "ok"}]}, "A refusal has three reasons."),
        ("admit-with-reason", {"rules": [{**MEMBERS, "reason": "closed"}]}, "Only a refusal has a reason."),
        ("no-such-date", {"calendar": {"holidays": ["2026-02-30"]}}, "Dates exist."),
        ("span-with-other-digits", {"schedules": {"s": {"mon": ["٠٨:٠٠-٠٩:٠٠"]}}}, "Digits are ASCII."),
        ("span-with-a-newline", {"schedules": {"s": {"mon": ["08:00-09:00\n"]}}}, "A span is eleven characters."),
        ("span-of-one-digit", {"schedules": {"s": {"mon": ["8:00-9:00"]}}}, "A span is eleven characters."),
        ("too-many-spans", {"schedules": {"s": {"mon": [f"{h:02}:00-{h:02}:30" for h in range(17)]}}}, "16 at most."),
        ("window-too-long", {"repeat_window_s": 3_601}, "A repeat is within the hour."),
        ("window-negative", {"repeat_window_s": -1}, "A window has no negative length."),
        ("window-not-whole", {"repeat_window_s": 1.5}, "Seconds are whole."),
        ("1001-rules", {"rules": [{**MEMBERS, "id": f"r{n}"} for n in range(1_001)]}, "At most 1,000 rules."),
        ("untrusted-clock-unknown", {"untrusted_clock": "allow"}, "Two ways only."),
    ):
        policy = {**good, **change}
        if name == "window-not-whole":
            data = ref.pack({**good, "repeat_window_s": 0}).replace(
                b"\xafrepeat_window_s\x00", b"\xafrepeat_window_s\xca\x3f\xc0\x00\x00"
            )
        else:
            data = ref.message("policy", policy)
        given = {"do": "decode", "message": "policy", "bytes": data.hex()}
        scenario(f"policy-{name}", "8.1", rule, given, failure="malformed")

    _malformed_pasts()


def _malformed_pasts() -> None:
    """Rules that look back, tariffs and sessions that no gate would understand."""
    limit, interval = {"kind": "limit", "id": "a", "most": 1}, {"kind": "interval", "id": "a", "minutes": 1}
    passback, occupancy = {"kind": "passback", "id": "a"}, {"kind": "occupancy", "id": "a", "most": 1}
    for name, guard, rule in (
        ("limit-of-none", {**limit, "most": 0}, "A limit of 0 would be a closed door: say so."),
        ("limit-of-201", {**limit, "most": 201}, "Nobody keeps more than 256 marks."),
        ("limit-without-most", {"kind": "limit", "id": "a"}, "A limit has a number."),
        ("limit-per-year", {**limit, "per": "year"}, "Five windows only."),
        ("limit-of-a-city", {**limit, "scope": "city"}, "Three scopes only."),
        ("limit-asks", {**limit, "when_unknown": "ask"}, "Two ways only."),
        ("limit-with-tariff", {**limit, "tariff": "t"}, "What keeps out charges nothing."),
        ("interval-of-none", {**interval, "minutes": 0}, "An interval has a length."),
        ("interval-too-long", {**interval, "minutes": 44_641}, "31 days at most."),
        ("passback-off", {**passback, "mode": "off"}, "Off is no rule at all."),
        ("passback-too-long", {**passback, "forgive_minutes": 44_641}, "31 days at most."),
        ("passback-resets-at-24", {**passback, "resets_at": "24:00"}, "A time of day is before 24:00."),
        ("passback-resets-at-4", {**passback, "resets_at": "4:00"}, "A time of day has five characters."),
        ("occupancy-of-none", {**occupancy, "most": 0}, "A ceiling of 0 would be a closed door: say so."),
        ("occupancy-of-a-gate", {**occupancy, "scope": "gate"}, "It is the venue that gets full."),
        ("early-too-long", {**MEMBERS, "schedule": "s", "opens_early_minutes": 1_441}, "A day at most."),
        ("early-negative", {**MEMBERS, "schedule": "s", "opens_early_minutes": -1}, "Hours are moved one way."),
    ):
        given = {"do": "decode", "message": "policy"}
        given |= {"bytes": ref.message("policy", {"version": 1, "rules": [guard, MEMBERS]}).hex()}
        scenario(f"policy-{name}", "8.1", rule, given, failure="malformed")
    for name, fields, rule in (
        ("price-negative", {"tariffs": {"t": {"price": -1}}}, "Nobody is paid for coming."),
        ("price-too-high", {"tariffs": {"t": {"price": 1_000_001}}}, "A million at most."),
        ("price-per-hour", {"tariffs": {"t": {"per": "hour"}}}, "Hours are charged when they have started."),
        ("pay-in-cash", {"tariffs": {"t": {"pay": "cash"}}}, "Due or points."),
        ("short-of-nothing", {"tariffs": {"t": {"short": "free"}}}, "Due, later or deny."),
        ("later-cap-negative", {"tariffs": {"t": {"later_cap": -1}}}, "A cap is not below 0."),
        ("apart-at-once", {"apart_s": 9}, "A gate waits for one poll at least."),
        ("double-tap-of-none", {"session": {"double_tap_s": 0}}, "A double tap is never a sign-out."),
        ("session-too-long", {"session": {"longest_hours": 49}}, "48 hours at most."),
    ):
        data = ref.message("policy", {"version": 1, "rules": [MEMBERS], **fields})
        given = {"do": "decode", "message": "policy", "bytes": data.hex()}
        scenario(f"policy-{name}", "8.1", rule, given, failure="malformed")
