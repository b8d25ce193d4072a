"""Decisions that ask nothing of the past (SPEC §8.1, §8.2, §8.4), and what all vectors of decisions are made of."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from tests.vectors.reference_decide import decide
from tests.vectors.scenario import NOW, SUBJECT, scenario

Json = dict[str, Any]
BOOT, OTHER_BOOT = "b0" * 8, "b1" * 8
HOUR = 3_600_000
OPEN = {day: ["09:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri")}
MEMBERS = {"kind": "admit", "id": "members"}
POLICY: Json = {"version": 3, "rules": [MEMBERS]}
ENTRY: Json = {"subject": SUBJECT, "card": 1, "state": 0, "classes": [], "from_ms": 0, "until_ms": 0, "flags": []}
TAP: Json = {
    "at_ms": NOW,
    "boot_id": BOOT,
    "monotonic_ms": 500_000,
    "clock": 0,
    "direction": "in",
    "staleness": "fresh",
    "problem": None,
    "venue": "pool",
    "gate": "pool-door",
    "is_apart": False,
    "inside": None,
    "choice": "",
}
LAST: Json = {
    "at_ms": NOW - 4_000,
    "boot_id": BOOT,
    "monotonic_ms": 496_000,
    "sequence": 40,
    "epoch": "a1a2a3a4a5a6a7a8",
    "direction": "in",
    "decision": "granted",
    "reason": "ok",
    "rule": "members",
}
GRANTED, DENIED = "granted", "denied"


def at(text: str, zone: str = "Asia/Taipei", fold: int = 0) -> int:
    """UTC milliseconds of a local time."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).timestamp()) * 1_000


def held(*names: str, from_ms: int = 0, until_ms: int = 0, **changes: Any) -> Json:
    """An entry with these classes."""
    return {**ENTRY, "classes": [{"name": n, "from_ms": from_ms, "until_ms": until_ms} for n in names], **changes}


def after(last: Json | None = None, own: Sequence[Json] = (), told: Sequence[Json] = (), **fields: Any) -> Json:
    """A history."""
    nothing = {"reserved": 0, "lapse_ms": 0, "notes": []}
    return {"last": last, "own": list(own), "told": list(told), **nothing, **fields}


def mark(at_ms: int, direction: str = "in", rule: str = "members", sequence: int = 1, **fields: Any) -> Json:
    """A tap that counted, at this gate."""
    here = {"venue": TAP["venue"], "gate": TAP["gate"], "direction": direction, "rule": rule, "points": 0, "due": 0}
    return {"at_ms": at_ms, **here, "epoch": LAST["epoch"], "sequence": sequence, **fields}


def decided(
    name: str,
    rule: str,
    expect: tuple[str, str, str] | tuple[str, str, str, bool],
    policy: Json | None = POLICY,
    entry: Json | None = ENTRY,
    history: Json | None = None,
    spec: str = "8.2",
    meant: Json | None = None,
    **tap: Any,
) -> None:
    """One decision. `meant`: what else is in the answer, where it is not nothing."""
    given = {"policy": policy, "entry": entry, "history": history, "tap": {**TAP, **tap}}
    outcome, reason, by, repeats = (*expect, False)[:4]
    answer = {"outcome": outcome, "reason": reason, "rule": by, "repeats": repeats}
    answer |= {"direction": given["tap"]["direction"], "points": 0, "due": 0, "counts": False, "notes": []}
    answer |= meant or {}
    worked_out = decide(**given)
    if worked_out != answer:
        raise AssertionError(f"{name}: {worked_out}, {answer} was meant")
    scenario(f"decide-{name}", spec, rule, {"do": "decide", **given}, answer)


def build() -> None:
    _guards()
    _order_of_guards()
    _rules()
    _hours()
    _zones()
    _untrusted_clock()
    _repeats()
    _leaving()


def _guards() -> None:
    decided("ok", "The first rule whose conditions hold decides.", (GRANTED, "ok", "members"))
    for problem in ("uid-random", "uid-placeholder", "uid-incomplete", "uid-unreadable"):
        decided(problem, "A UID that cannot be used is denied.", (DENIED, problem, ""), problem=problem)
    decided("no-policy", "Without a policy nobody enters.", (DENIED, "list-missing", ""), policy=None)
    decided("no-list", "Without a list nobody enters.", (DENIED, "list-missing", ""), staleness="missing")
    decided("list-too-old", "Past the close age nobody enters.", (DENIED, "list-too-old", ""), staleness="close")
    decided("list-warns", "Past the warn age people still enter.", (GRANTED, "ok", "members"), staleness="warn")
    decided("unknown-card", "A card that is not on the list is denied.", (DENIED, "unknown-card", ""), entry=None)
    for number, state in ((1, "blocked"), (2, "lost"), (3, "replaced")):
        entry = {**ENTRY, "state": number}
        decided(f"card-{state}", "A card's state denies it.", (DENIED, f"card-{state}", ""), entry=entry)
    for number, name in ((2, "behind"), (3, "ahead")):
        rule = "Without a clock no date can be judged."
        decided(f"clock-{name}", rule, (DENIED, "clock-untrusted", ""), clock=number)
    decided("clock-unconfirmed", "An unconfirmed clock is good enough.", (GRANTED, "ok", "members"), clock=1)
    edges = held(from_ms=NOW, until_ms=NOW + HOUR) | {"from_ms": NOW, "until_ms": NOW + HOUR}
    decided("not-yet-valid", "Before its first moment.", (DENIED, "not-yet-valid", ""), entry=edges, at_ms=NOW - 1)
    decided("valid-from-the-first-moment", "From its first moment.", (GRANTED, "ok", "members"), entry=edges)
    late = NOW + HOUR - 1
    decided("valid-until-the-last-moment", "To its last.", (GRANTED, "ok", "members"), entry=edges, at_ms=late)
    decided("expired", "The end is excluded.", (DENIED, "expired", ""), entry=edges, at_ms=NOW + HOUR)
    rule = "Within a closure nobody enters whom it does not admit."
    decided("closure", rule, (DENIED, "closed", ""), is_closed=True)
    rule = "What is wrong with the card is said first."
    decided("closure-expired", rule, (DENIED, "expired", ""), entry=edges, at_ms=NOW + HOUR, is_closed=True)
    rule = "A closure is said before the age of the list."
    blind = "Whoever says that it is closed has judged by what clock: a closing by staff needs none."
    ignoring = {**POLICY, "untrusted_clock": "ignore-dates"}
    decided("closure-without-a-clock", blind, (DENIED, "closed", ""), ignoring, clock=2, is_closed=True)
    first = "A clock that denies comes first."
    decided("closure-clock-first", first, (DENIED, "clock-untrusted", ""), clock=3, is_closed=True)
    decided("closure-before-stale", rule, (DENIED, "closed", ""), staleness="restrict", is_closed=True)
    leaving = {"direction": "out", "is_closed": True}
    decided("closure-leaving", "Who is inside can always leave.", (GRANTED, "leaving", ""), **leaving)
    restricted = {**POLICY, "restricted": ["staff", "nobody-has-it"]}
    for name, entry, expect, rule in (
        ("without-the-class", held("citizen"), (DENIED, "list-stale", ""), "Past the restrict age others wait."),
        ("with-the-class", held("staff"), (GRANTED, "ok", "members"), "Restricted classes still enter."),
        (
            "with-the-class-ended",
            held("staff", until_ms=NOW),
            (DENIED, "list-stale", ""),
            "A class that has ended opens nothing.",
        ),
        ("with-no-class", ENTRY, (DENIED, "list-stale", ""), "Being on the list is not enough."),
    ):
        decided(f"restricted-{name}", rule, expect, policy=restricted, entry=entry, staleness="restrict")
    rule = "A policy that names no restricted class admits nobody then."
    decided("restricted-to-nobody", rule, (DENIED, "list-stale", ""), entry=held("staff"), staleness="restrict")


def _order_of_guards() -> None:
    """Everything is wrong at once; what is mended one by one shows the order."""
    wrong: Json = {
        "policy": {**POLICY, "rules": [{**MEMBERS, "classes": ["senior"]}]},
        "entry": held("citizen", state=1) | {"from_ms": NOW + HOUR},
        "staleness": "close",
        "clock": 2,
        "problem": "uid-random",
    }
    mended: list[tuple[Json, str]] = [
        ({}, "uid-random"),
        ({"problem": None}, "list-too-old"),
        ({"staleness": "restrict"}, "card-blocked"),
        ({"entry": held("citizen") | {"from_ms": NOW + HOUR}}, "clock-untrusted"),
        ({"clock": 0}, "not-yet-valid"),
        ({"entry": held("citizen")}, "list-stale"),
        ({"staleness": "fresh"}, "class-not-admitted"),
    ]
    for number, (change, reason) in enumerate(mended):
        wrong |= change
        rule = "Of several reasons the first in the order of the guards is given."
        decided(f"order-{number}-{reason}", rule, (DENIED, reason, ""), **wrong)
    rule = "A missing list is told before an unknown card."
    decided("order-missing-before-unknown", rule, (DENIED, "list-missing", ""), entry=None, staleness="missing")
    rule = "An old list is told before an unknown card: the card may be on a newer one."
    decided("order-too-old-before-unknown", rule, (DENIED, "list-too-old", ""), entry=None, staleness="close")


def _rules() -> None:
    senior = {"kind": "admit", "id": "seniors", "classes": ["senior", "caring"]}
    closed = {"kind": "refuse", "id": "renovation", "valid_from": "2026-11-23", "valid_until": "2026-11-24"}
    both: Json = {**POLICY, "rules": [closed, senior]}
    seniors = held("senior")
    rule = "A refusing rule that stands first decides."
    decided("closed", rule, (DENIED, "closed", "renovation"), both, seniors, spec="8.1")
    rule = "A rule holds from the first local moment of its first date."
    decided("rule-first-moment", rule, (DENIED, "closed", "renovation"), both, seniors, at_ms=at("2026-11-23T00:00"))
    rule = "Not before."
    before = at("2026-11-22T23:59:59")
    decided("rule-moment-before", rule, (GRANTED, "ok", "seniors"), both, seniors, at_ms=before)
    rule = "Its last date is excluded."
    decided("rule-past-its-end", rule, (GRANTED, "ok", "seniors"), both, seniors, at_ms=at("2026-11-24T00:00"))
    turned: Json = {**POLICY, "rules": [senior, closed]}
    rule = "A refusing rule that stands later is not reached."
    decided("first-rule-wins", rule, (GRANTED, "ok", "seniors"), turned, seniors, spec="8.1")
    only: Json = {**POLICY, "rules": [senior]}
    rule = "A class that no rule speaks of is not admitted."
    decided("class-not-admitted", rule, (DENIED, "class-not-admitted", ""), only, held("citizen"))
    rule = "Nor is a card without classes."
    decided("no-class", rule, (DENIED, "class-not-admitted", ""), only, ENTRY)
    decided("one-class-of-many", "Any class will do.", (GRANTED, "ok", "seniors"), only, held("citizen", "caring"))
    lapsed = held("senior", "citizen", until_ms=NOW)
    decided("class-lapsed", "Every class has ended.", (DENIED, "class-lapsed", ""), only, lapsed)
    unborn = held("senior", from_ms=NOW + 1)
    decided("class-not-begun", "A class not begun counts as none.", (DENIED, "class-lapsed", ""), only, unborn)
    mixed = {**ENTRY, "classes": [*lapsed["classes"], *held("student")["classes"]]}
    rule = "One class in force, and the reason is that it is not admitted."
    decided("some-classes-lapsed", rule, (DENIED, "class-not-admitted", ""), only, mixed)
    rule = "A lapsed class does not keep out who is admitted without one."
    decided("lapsed-yet-admitted", rule, (GRANTED, "ok", "members"), POLICY, lapsed)
    for reason in ("class-not-admitted", "outside-hours"):
        refuse = {"kind": "refuse", "id": "no-students", "classes": ["student"], "reason": reason}
        policy: Json = {**POLICY, "rules": [refuse, MEMBERS]}
        rule = "A refusing rule tells its own reason."
        decided(f"refused-{reason}", rule, (DENIED, reason, "no-students"), policy, held("student"), spec="8.1")
    rule = "And refuses only the classes that it names."
    decided("refused-others-not", rule, (GRANTED, "ok", "members"), policy, held("citizen"), spec="8.1")
    twice: Json = {**POLICY, "rules": [{**senior, "classes": ["senior", "senior"]}], "restricted": ["senior", "senior"]}
    rule = "Naming a class twice is naming it once."
    decided("class-named-twice", rule, (GRANTED, "ok", "seniors"), twice, seniors, staleness="restrict")


def scheduled(schedule: Json, *rules: Json, **fields: Any) -> Json:
    """A policy of one schedule and, if no rules are given, one that admits in it."""
    admit = {"kind": "admit", "id": "opening", "schedule": "s"}
    return {"version": 3, "rules": list(rules or (admit,)), "schedules": {"s": schedule}, **fields}


def _hours() -> None:
    in_hours, out_of_hours = (GRANTED, "ok", "opening"), (DENIED, "outside-hours", "opening")
    weekdays = scheduled(OPEN)
    for name, when, expect, rule in (
        ("first-moment", "2026-11-23T09:00", in_hours, "A span holds from its first moment."),
        ("before", "2026-11-23T08:59:59", out_of_hours, "Not before."),
        ("last-moment", "2026-11-23T16:59:59", in_hours, "Until its last."),
        ("end", "2026-11-23T17:00", out_of_hours, "Its end is excluded."),
        ("closed-day", "2026-11-22T10:00", out_of_hours, "A day not named is closed: other hours would admit."),
    ):
        decided(f"hours-{name}", rule, expect, weekdays, spec="8.1", at_ms=at(when))
    calendar = {"holidays": ["2026-11-23", "2026-11-24"], "workdays": ["2026-11-28", "2026-11-29"]}
    holiday = scheduled({**OPEN, "holiday": ["10:00-12:00"]}, calendar=calendar)
    plain = scheduled(OPEN, calendar=calendar)
    none = scheduled({**OPEN, "holiday": []}, calendar=calendar)
    special = scheduled({**OPEN, "mon": ["08:00-12:00"], "workday": ["13:00-15:00"]}, calendar=calendar)
    like_monday = scheduled({**OPEN, "mon": ["08:00-12:00"]}, calendar=calendar)
    for name, policy, when, expect, rule in (
        ("holiday-own-hours", holiday, "2026-11-23T11:00", in_hours, "A holiday has its own hours."),
        ("holiday-not-the-weekdays", holiday, "2026-11-23T09:30", out_of_hours, "And not its weekday's."),
        ("holiday-not-given", plain, "2026-11-23T09:30", in_hours, "Where none are given, the weekday's hold."),
        ("holiday-closed", none, "2026-11-23T11:00", out_of_hours, "Given and empty means closed."),
        ("workday-own-hours", special, "2026-11-28T14:00", in_hours, "A make-up workday has its own hours."),
        ("workday-not-mondays", special, "2026-11-28T09:00", out_of_hours, "And not Monday's."),
        ("workday-like-monday", like_monday, "2026-11-28T08:30", in_hours, "Where none are given, Monday's hold."),
        ("workday-like-monday-end", like_monday, "2026-11-28T12:00", out_of_hours, "To their end."),
    ):
        decided(name, rule, expect, policy, spec="8.1", at_ms=at(when))
    night = scheduled({"fri": ["20:00-26:00"], "sun": ["00:00-48:00"]})
    late = {"kind": "admit", "id": "opening", "schedule": "s", "valid_from": "2026-11-28"}
    ending = {**late, "valid_from": "2026-11-20", "valid_until": "2026-11-28"}
    for name, policy, when, expect, rule in (
        ("before-midnight", night, "2026-11-27T23:59:59", in_hours, "A span runs past midnight."),
        ("after-midnight", night, "2026-11-28T01:59:59", in_hours, "Into the next day."),
        ("after-its-end", night, "2026-11-28T02:00", out_of_hours, "To its end."),
        ("not-the-night-before", night, "2026-11-27T01:00", out_of_hours, "It belongs to the day it begins on."),
        ("until-48", night, "2026-11-30T23:59:59", in_hours, "48:00 is the end of the next day."),
        ("past-48", night, "2026-12-01T00:00", out_of_hours, "And no later."),
        (
            "rule-begins-at-midnight",
            scheduled(night["schedules"]["s"], late),
            "2026-11-28T01:00",
            in_hours,
            "A rule's dates are those of the tap, not of the span's first day.",
        ),
        (
            "rule-ends-at-midnight",
            scheduled(night["schedules"]["s"], ending),
            "2026-11-28T01:00",
            (DENIED, "class-not-admitted", ""),
            "A rule's end cuts a span at midnight.",
        ),
        (
            "holiday-carries-over",
            scheduled({**OPEN, "holiday": ["22:00-25:00"]}, calendar={"holidays": ["2026-11-27"]}),
            "2026-11-28T00:30",
            in_hours,
            "What runs past midnight is the hours of the day before, holiday or not.",
        ),
        (
            "holiday-does-not-cut",
            scheduled({"fri": ["20:00-26:00"], "holiday": []}, calendar={"holidays": ["2026-11-28"]}),
            "2026-11-28T01:00",
            in_hours,
            "A holiday does not cut the night before it.",
        ),
    ):
        decided(f"night-{name}", rule, expect, policy, spec="8.1", at_ms=at(when))
    noon = {"kind": "refuse", "id": "lunch", "schedule": "s", "reason": "outside-hours"}
    lunch = scheduled({"mon": ["12:00-13:00"]}, noon, MEMBERS)
    for name, when, expect in (
        ("refusing", "2026-11-23T12:30", (DENIED, "outside-hours", "lunch")),
        ("not-refusing", "2026-11-23T13:00", (GRANTED, "ok", "members")),
    ):
        rule = "A refusing rule with a schedule refuses in its hours only."
        decided(f"schedule-{name}", rule, expect, lunch, spec="8.1", at_ms=at(when))
    two = scheduled(OPEN, {"kind": "admit", "id": "seniors", "classes": ["senior"], "schedule": "s"}, MEMBERS)
    rule = "A rule whose hours do not hold is passed over."
    decided(
        "next-rule", rule, (GRANTED, "ok", "members"), two, held("senior"), spec="8.1", at_ms=at("2026-11-23T20:00")
    )


def _zones() -> None:
    in_hours, out_of_hours = (GRANTED, "ok", "opening"), (DENIED, "outside-hours", "opening")

    def zoned(name: str, zone: str, hours: Json, at_ms: int, expect: tuple[str, str, str], rule: str) -> None:
        decided(f"zone-{name}", rule, expect, scheduled(hours, time_zone=zone), spec="8.1", at_ms=at_ms)

    berlin = "Europe/Berlin"
    across, gap, edge = {"sun": ["01:00-04:00"]}, {"sun": ["02:15-02:45"]}, {"sun": ["02:30-03:00"]}
    night = {"sat": ["22:00-27:00"]}
    spring = at("2026-03-29T01:59:59", berlin)
    rule = "Hours hold by the local clock, which leaps from 02:00 to 03:00 here."
    zoned("spring-before-the-leap", berlin, across, spring, in_hours, rule)
    zoned("spring-after-the-leap", berlin, across, spring + 1_000, in_hours, rule)
    zoned("spring-end", berlin, across, at("2026-03-29T04:00", berlin), out_of_hours, rule)
    zoned("spring-last-moment", berlin, across, at("2026-03-29T03:59:59", berlin), in_hours, rule)
    rule = "A skipped local time is told by the offset before the gap: 02:15 is 03:15."
    zoned("spring-skipped-span", berlin, gap, at("2026-03-29T03:15", berlin), in_hours, rule)
    zoned("spring-skipped-span-before", berlin, gap, at("2026-03-29T03:14:59", berlin), out_of_hours, rule)
    zoned("spring-skipped-span-end", berlin, gap, at("2026-03-29T03:45", berlin), out_of_hours, rule)
    rule = "A span that so ends before it begins is empty."
    zoned("spring-span-turned-over", berlin, edge, at("2026-03-29T03:00", berlin), out_of_hours, rule)
    zoned("spring-span-turned-over-later", berlin, edge, at("2026-03-29T03:30", berlin), out_of_hours, rule)
    rule = "A night runs to its local end, though it is an hour shorter."
    zoned("spring-night-last-moment", berlin, night, at("2026-03-29T01:59:59", berlin), in_hours, rule)
    zoned("spring-night-end", berlin, night, at("2026-03-29T03:00", berlin), out_of_hours, rule)
    autumn = {"sun": ["02:30-04:00"]}
    first, second = at("2026-10-25T02:30", berlin), at("2026-10-25T02:30", berlin, fold=1)
    rule = "A local time that occurs twice means its first occurrence."
    zoned("autumn-opens-the-first-time", berlin, autumn, first, in_hours, rule)
    zoned("autumn-before-the-first-time", berlin, autumn, first - 1_000, out_of_hours, rule)
    zoned("autumn-stays-open", berlin, autumn, second - 1_800_000, in_hours, "And the span goes on from there.")
    closing = {"sun": ["00:00-02:30"]}
    zoned("autumn-closes-the-first-time", berlin, closing, first, out_of_hours, rule)
    zoned("autumn-stays-closed", berlin, closing, second - 1_800_000, out_of_hours, rule)
    rule = "The weekday is the local one, here Monday while it is Sunday in UTC."
    early = at("2026-11-23T00:30")
    zoned("local-weekday", "Asia/Taipei", {"mon": ["00:00-01:00"]}, early, in_hours, rule)
    rule = "And here Sunday while it is Monday in UTC."
    zoned("local-weekday-west", "America/Los_Angeles", {"sun": ["00:00-24:00"]}, early + 9 * HOUR, in_hours, rule)
    beirut = "Asia/Beirut"
    rule = "A day whose midnight is skipped begins with the leap."
    leap = at("2026-03-29T01:00", beirut)
    zoned("no-midnight", beirut, {"sun": ["00:00-24:00"]}, leap, in_hours, rule)
    zoned("no-midnight-the-day-before", beirut, {"sun": ["00:00-24:00"]}, leap - 1_000, out_of_hours, rule)
    rule = "Zones of half and quarter hours are as good as any."
    zoned(
        "quarter-hour",
        "Asia/Kathmandu",
        {"mon": ["09:00-10:00"]},
        at("2026-11-23T09:00", "Asia/Kathmandu"),
        in_hours,
        rule,
    )
    rule = "A decision about the last moment that a message can name is still one."
    zoned("last-moment-of-all", "Pacific/Kiritimati", {}, 253_370_764_799_999, out_of_hours, rule)
    rule = "So is one about the first."
    zoned("first-moment-of-all", "America/Los_Angeles", {}, 0, out_of_hours, rule)


def _untrusted_clock() -> None:
    lenient: Json = {**scheduled(OPEN), "untrusted_clock": "ignore-dates"}
    night = {"at_ms": at("2026-11-23T03:00"), "clock": 2}
    decided("ignored-hours", "Hours are passed over.", (GRANTED, "ok", "opening"), lenient, **night)
    ended = {**ENTRY, "until_ms": 1}
    decided("ignored-end", "A card's dates are passed over.", (GRANTED, "ok", "opening"), lenient, ended, clock=3)
    senior: Json = {**lenient, "rules": [{"kind": "admit", "id": "seniors", "classes": ["senior"]}]}
    old = held("senior", until_ms=1)
    decided("ignored-class-end", "Classes' dates are passed over.", (GRANTED, "ok", "seniors"), senior, old, clock=2)
    rule = "Without a clock no class can be called lapsed."
    other = held("citizen", until_ms=1)
    decided("ignored-nobody-lapses", rule, (DENIED, "class-not-admitted", ""), senior, other, clock=2)
    lunch = {"kind": "refuse", "id": "lunch", "schedule": "s"}
    rule = "A refusing rule with a schedule is passed over."
    policy: Json = {**scheduled(OPEN, lunch, MEMBERS), "untrusted_clock": "ignore-dates"}
    decided("ignored-scheduled-refusal", rule, (GRANTED, "ok", "members"), policy, clock=2)
    banned: Json = {**lenient, "rules": [{"kind": "refuse", "id": "banned", "classes": ["banned"]}, MEMBERS]}
    rule = "A refusing rule without one is not."
    decided("ignored-not-a-plain-refusal", rule, (DENIED, "closed", "banned"), banned, held("banned"), clock=2)
    dated: Json = {**lenient, "rules": [{**MEMBERS, "valid_until": "2026-11-23"}]}
    rule = "The rules' own dates still count."
    decided("ignored-not-a-rules-dates", rule, (DENIED, "class-not-admitted", ""), dated, clock=2)
    rule = "A blocked card stays blocked."
    decided("ignored-not-a-state", rule, (DENIED, "card-blocked", ""), lenient, {**ENTRY, "state": 1}, clock=2)
    stale: Json = {**senior, "restricted": ["senior"]}
    rule = "Restricted classes go by name alone."
    decided("ignored-restricted", rule, (GRANTED, "ok", "seniors"), stale, old, clock=2, staleness="restrict")
    rule = "Ignoring dates is for untrusted clocks only."
    decided("not-ignored-when-trusted", rule, (DENIED, "expired", ""), lenient, ended, clock=1)


def _repeats() -> None:
    """Within the window of 10 s, unless said otherwise."""
    repeat, anew = (GRANTED, "ok", "members", True), (GRANTED, "ok", "members")
    cases: list[tuple[str, Json, Json, Json, tuple[Any, ...], str]] = [
        ("within", {}, {}, {}, repeat, "A second tap gets the same answer, marked."),
        ("at-once", {}, {"monotonic_ms": 500_000}, {}, repeat, "Even in the same millisecond."),
        ("just-within", {}, {"monotonic_ms": 490_001}, {}, repeat, "Less than the window."),
        ("at-the-window", {}, {"monotonic_ms": 490_000}, {}, anew, "Not at it."),
        ("no-window", {"repeat_window_s": 0}, {"monotonic_ms": 500_000}, {}, anew, "A window of 0 repeats nothing."),
        ("wall-clock-jumped-back", {}, {"at_ms": NOW + HOUR}, {}, repeat, "Within a boot the monotonic clock counts."),
        ("wall-clock-jumped-on", {}, {"at_ms": NOW - HOUR}, {}, repeat, "Within a boot the monotonic clock counts."),
        (
            "other-boot",
            {},
            {"boot_id": OTHER_BOOT, "monotonic_ms": 9_999_999},
            {},
            repeat,
            "Across boots the wall clock counts.",
        ),
        ("other-boot-later", {}, {"boot_id": OTHER_BOOT, "at_ms": NOW - 10_000}, {}, anew, "Across boots likewise."),
        (
            "other-boot-clock-back",
            {},
            {"boot_id": OTHER_BOOT, "at_ms": NOW + 1},
            {},
            anew,
            "A first tap that lies ahead is no first tap.",
        ),
        ("monotonic-ahead", {}, {"monotonic_ms": 500_001}, {}, anew, "A first tap that lies ahead is no first tap."),
        ("other-direction", {}, {"direction": "out", "reason": "leaving", "rule": ""}, {}, anew, "Directions differ."),
        (
            "by-another-rule",
            {},
            {"rule": "yesterday"},
            {},
            (GRANTED, "ok", "yesterday", True),
            "A repeat gives the first answer, rule and all.",
        ),
    ]
    for name, policy, history, tap, expect, rule in cases:
        decided(
            f"repeat-{name}", rule, expect, {**POLICY, **policy}, history=after({**LAST, **history}), spec="8.4", **tap
        )
    denied = {**LAST, "decision": "denied", "reason": "unknown-card", "rule": ""}
    rule = "A revocation in between wins over a granted answer."
    blocked = {**ENTRY, "state": 1}
    decided("repeat-revoked", rule, (DENIED, "card-blocked", ""), entry=blocked, history=after(LAST), spec="8.4")
    rule = "An enrolment in between wins over a denied one."
    decided("repeat-enrolled", rule, anew, history=after(denied), spec="8.4")
    rule = "A denial is repeated while its reason stays."
    decided("repeat-denied", rule, (DENIED, "unknown-card", "", True), entry=None, history=after(denied), spec="8.4")
    rule = "Another reason is another answer."
    decided("repeat-other-reason", rule, (DENIED, "card-blocked", ""), entry=blocked, history=after(denied), spec="8.4")
    rule = "Without a policy there is no window."
    missing = {**denied, "reason": "list-missing"}
    decided("repeat-no-policy", rule, (DENIED, "list-missing", ""), None, history=after(missing), spec="8.4")
    rule = "A list that grew too old in between is told."
    decided("repeat-too-old", rule, (DENIED, "list-too-old", ""), history=after(LAST), spec="8.4", staleness="close")
    first = {**LAST, "monotonic_ms": 489_000, "at_ms": NOW - 11_000}
    rule = "A repeat does not lengthen the window: it is the first tap that counts."
    decided("repeat-of-repeats", rule, anew, history=after(first), spec="8.4")


def _leaving() -> None:
    out = (GRANTED, "leaving", "")
    for name, given in (
        ("member", {}),
        ("unknown-card", {"entry": None}),
        ("blocked-card", {"entry": {**ENTRY, "state": 2}}),
        ("no-policy-no-list", {"policy": None, "entry": None, "staleness": "missing"}),
        ("list-too-old", {"staleness": "close"}),
        ("clock-untrusted", {"clock": 3}),
        ("unreadable-card", {"problem": "uid-unreadable", "entry": None}),
        ("closed-day", {"policy": {**POLICY, "rules": [{"kind": "refuse", "id": "closed"}]}}),
        ("after-coming-in", {"history": after(LAST)}),
    ):
        decided(f"leaving-{name}", "The way out is always granted.", out, direction="out", **given)
    again = {**LAST, "direction": "out", "reason": "leaving", "rule": ""}
    rule = "Leaving twice is leaving once."
    decided("leaving-again", rule, (*out, True), history=after(again), spec="8.4", direction="out")
