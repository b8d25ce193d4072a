"""Signing in and out, and what a screen tells beside the answer (SPEC §8.8, §8.9)."""

from typing import Any

from tests.vectors.deciding import (
    DENIED,
    ENTRY,
    GRANTED,
    HOUR,
    LAST,
    MEMBERS,
    OPEN,
    POLICY,
    after,
    at,
    decided,
    held,
    mark,
)
from tests.vectors.scenario import NOW

Json = dict[str, Any]
READERS: Json = {"kind": "admit", "id": "reading-team", "classes": ["volunteer"], "schedule": "shift"}
KIOSK: Json = {"version": 3, "rules": [READERS], "schedules": {"shift": OPEN}, "session": {}}
VOLUNTEER = held("volunteer")
NIGHT = at("2026-11-23T22:00")
WITH = {"venue": "library", "gate": "kiosk-2"}


def signed(
    name: str,
    rule: str,
    expect: tuple[str, str],
    direction: str,
    told: list[Json] | None = None,
    repeats: bool = False,
    policy: Json = KIOSK,
    entry: Json | None = VOLUNTEER,
    **tap: Any,
) -> None:
    meant = {"direction": direction, "counts": not repeats}
    answer = (GRANTED, *expect, repeats)
    decided(f"session-{name}", rule, answer, policy, entry, after(told=told or []), "8.8", meant, **tap)


def build() -> None:
    _turns()
    _double_taps()
    _unknown()
    _denied()
    _around()
    _notices()


IN, OUT, RECORDED = ("signed-in", "reading-team"), ("signed-out", "reading-team"), ("recorded", "reading-team")


def came(ago_ms: int, direction: str = "in", sequence: int = 1, **fields: Any) -> Json:
    return mark(NOW - ago_ms, direction, "reading-team", sequence, **fields)


def _turns() -> None:
    signed("first", "A tap signs in.", IN, "in")
    signed("second", "The next one signs out.", OUT, "out", [came(2 * HOUR)])
    signed("third", "And the next one in.", IN, "in", [came(3 * HOUR), came(2 * HOUR, "out", 2)])
    signed("elsewhere", "At any kiosk of the domain.", OUT, "out", [came(2 * HOUR, **WITH)])
    longest = 16 * HOUR
    signed("almost-forgotten", "For as long as a session may last.", OUT, "out", [came(longest - 1)])
    signed("forgotten", "After that it was forgotten, and another one begins.", IN, "in", [came(longest)])
    brief = {**KIOSK, "session": {"longest_hours": 1}}
    signed("own-longest", "So long as the policy says.", IN, "in", [came(HOUR)], policy=brief)
    night = mark(NIGHT - 2 * HOUR, "in", "reading-team")
    signed("after-hours", "Whatever the rules say now, who is in can sign out.", OUT, "out", [night], at_ms=NIGHT)
    midnight = [mark(at("2026-11-23T22:30"), "in", "reading-team")]
    signed("across-midnight", "A shift may run across midnight.", OUT, "out", midnight, at_ms=at("2026-11-24T01:30"))
    one, other = came(HOUR, "out", 7), came(HOUR, "in", 8)
    rule = "Of two marks at one instant the one of the larger sequence is the newer."
    signed("one-instant", rule, OUT, "out", [other, one])
    signed("one-instant-turned", rule, IN, "in", [{**other, "sequence": 6}, one])
    signed(
        "blocked-since", "A card blocked since signs out.", OUT, "out", [came(HOUR)], entry={**VOLUNTEER, "state": 1}
    )
    signed("removed-since", "A card gone from the list too.", OUT, "out", [came(HOUR)], entry=None)
    signed("stale-list", "Also when the list has grown old.", OUT, "out", [came(HOUR)], staleness="close")
    ahead = came(-30_000)
    signed("came-ahead", "An entry ahead of the clock is ended, too.", OUT, "out", [ahead])


def _double_taps() -> None:
    for direction, (reason, _) in (("in", IN), ("out", OUT), ("", RECORDED)):
        name = direction or "unsure"
        rule = "A double tap is the same again, never the other way."
        signed(f"double-{name}", rule, (reason, "reading-team"), direction, [came(59_999, direction)], True)
    signed("double-at-once", "Even in the same millisecond.", IN, "in", [came(0)], True)
    signed("double-over", "At its length the window is shut.", OUT, "out", [came(60_000)])
    signed("double-out-over", "After an exit as well.", IN, "in", [came(60_000, "out")])
    signed("double-elsewhere", "At whichever kiosk the first one was.", IN, "in", [came(1_000, **WITH)], True)
    blocked = {**VOLUNTEER, "state": 1}
    signed("double-blocked", "Whatever the rules say now.", IN, "in", [came(1_000)], True, entry=blocked)
    quick = {**KIOSK, "session": {"double_tap_s": 5}}
    signed("double-own-window", "So long as the policy says.", OUT, "out", [came(5_000)], policy=quick)
    last = {**LAST, "direction": "in", "reason": "signed-in", "rule": "reading-team"}
    rule = "The window of other gates is not for this one."
    history = after(last, [came(61_000)])
    meant = {"direction": "out", "counts": True}
    decided("session-no-other-window", rule, (GRANTED, *OUT), KIOSK, VOLUNTEER, history, "8.8", meant)


def _unknown() -> None:
    signed("apart", "A kiosk that cannot know records.", RECORDED, "", is_apart=True)
    signed(
        "apart-after-an-exit",
        "Also after an exit: the next entry may be elsewhere.",
        RECORDED,
        "",
        [came(HOUR, "out")],
        is_apart=True,
    )
    signed("apart-but-in", "Who is in by what it knows signs out.", OUT, "out", [came(HOUR)], is_apart=True)
    signed(
        "after-unsure",
        "After a mark without a direction it records.",
        RECORDED,
        "",
        [came(2 * HOUR), came(HOUR, "", 2)],
    )
    lenient = {**KIOSK, "untrusted_clock": "ignore-dates"}
    signed("without-a-clock", "Without a clock it records.", RECORDED, "", policy=lenient, clock=2)
    signed("without-a-clock-but-in", "And no mark counts.", RECORDED, "", [came(HOUR)], policy=lenient, clock=3)
    signed("without-a-clock-double", "Nor a double tap.", RECORDED, "", [came(1_000)], policy=lenient, clock=2)


def _denied() -> None:
    def denied(name: str, rule: str, expect: tuple[str, str], entry: Json | None = VOLUNTEER, **more: Any) -> None:
        told = more.pop("told", [])
        decided(f"session-{name}", rule, (DENIED, *expect), KIOSK, entry, after(told=told), "8.8", None, **more)

    denied("outside-hours", "Signing in is judged by the rules.", ("outside-hours", "reading-team"), at_ms=NIGHT)
    denied("other-class", "And by classes.", ("class-not-admitted", ""), held("citizen"))
    denied("unknown-card", "And by the guards.", ("unknown-card", ""), None)
    denied("clock-untrusted", "The clock among them.", ("clock-untrusted", ""), clock=2)
    denied(
        "unreadable",
        "A UID that cannot be used is nobody's.",
        ("uid-random", ""),
        problem="uid-random",
        told=[came(HOUR)],
    )


def _around() -> None:
    guiding = {**READERS, "id": "guiding-team"}
    teams = {**KIOSK, "rules": [READERS, guiding]}
    signed(
        "chosen-team", "A team may be chosen.", ("signed-in", "guiding-team"), "in", policy=teams, choice="guiding-team"
    )
    rule = "Who is in signs out of the team that they signed in to."
    signed("chosen-team-is-too-late", rule, OUT, "out", [came(HOUR)], policy=teams, choice="guiding-team")
    limited = {**KIOSK, "rules": [{"kind": "limit", "id": "once", "most": 1}, READERS]}
    two = [came(2 * HOUR), came(HOUR, "out", 2)]
    decided(
        "session-limit",
        "Rules that look back have their place.",
        (DENIED, "limit-reached", "once"),
        limited,
        VOLUNTEER,
        after(told=two),
        "8.8",
    )
    out: Json = {"direction": "out", "counts": True}
    rule = "A gate of direction `out` lets out, session or not."
    decided(
        "session-at-an-exit",
        rule,
        (GRANTED, "leaving", ""),
        KIOSK,
        None,
        after(told=[came(HOUR)]),
        "8.8",
        out,
        direction="out",
    )


def _notices() -> None:
    notes = [["minutes-month", 754], ["wallpaper", 3]]
    flagged = held("volunteer", flags=["hold-ready", "overdue"])
    flags = [["hold-ready", 1], ["overdue", 1]]
    rule = "The entry's flags, then the notes of the state feed, known or not."
    told = after(notes=notes)
    decided("notices", rule, (GRANTED, "ok", "members"), POLICY, flagged, told, "8.9", {"notes": [*flags, *notes]})
    decided(
        "notices-flags",
        "Flags without notes.",
        (GRANTED, "ok", "members"),
        POLICY,
        flagged,
        None,
        "8.9",
        {"notes": flags},
    )
    decided("notices-none", "Neither.", (GRANTED, "ok", "members"), POLICY, ENTRY, after(), "8.9")
    closed: Json = {**POLICY, "rules": [{"kind": "refuse", "id": "closed-day"}]}
    decided(
        "notices-denied",
        "Who is kept out is told why, and no more.",
        (DENIED, "closed", "closed-day"),
        closed,
        flagged,
        told,
        "8.9",
    )
    expect = (GRANTED, "ok", "members", True)
    decided(
        "notices-repeat",
        "A repeat tells them again.",
        expect,
        POLICY,
        flagged,
        after(LAST, notes=notes),
        "8.9",
        {"notes": [*flags, *notes]},
    )
    rule = "Who leaves is told the notes where the policy looks back."
    looking: Json = {**POLICY, "rules": [{"kind": "passback", "id": "p"}, MEMBERS]}
    leaving = (GRANTED, "leaving", "")
    decided(
        "notices-leaving",
        rule,
        leaving,
        looking,
        flagged,
        told,
        "8.9",
        {"notes": notes, "counts": True},
        direction="out",
    )
    decided(
        "notices-leaving-otherwise", "And nothing elsewhere.", leaving, POLICY, flagged, told, "8.9", direction="out"
    )
    for name, marks, expect, direction in (
        ("in", [], IN, "in"),
        ("out", [came(HOUR)], OUT, "out"),
        ("double", [came(1)], IN, "in"),
    ):
        repeats = name == "double"
        meant = {"direction": direction, "counts": not repeats, "notes": [*flags, *notes]}
        answer = (GRANTED, *expect, repeats)
        history = after(told=marks, notes=notes)
        decided(
            f"notices-session-{name}", "A kiosk tells them at each tap.", answer, KIOSK, flagged, history, "8.9", meant
        )
