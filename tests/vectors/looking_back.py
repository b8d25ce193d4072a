"""Rules that ask what was before: limits, intervals, anti-passback, occupancy, a choice (SPEC §8.2, §8.6)."""

from typing import Any

from tests.vectors.deciding import DENIED, ENTRY, GRANTED, HOUR, LAST, MEMBERS, OPEN, after, at, decided, held, mark
from tests.vectors.scenario import NOW

Json = dict[str, Any]
MINUTE = 60_000
DAY = 24 * HOUR
TWICE: Json = {"kind": "limit", "id": "twice", "most": 2}
SOON: Json = {"kind": "interval", "id": "rest", "minutes": 30}
ONCE_IN: Json = {"kind": "passback", "id": "no-passback"}
CEILING: Json = {"kind": "occupancy", "id": "ceiling", "most": 40}
THERE = {"venue": "gym", "gate": "gym-door"}
BESIDE = {"gate": "pool-side-door"}


def kept_out(
    name: str,
    rule: str,
    guard: Json,
    told: list[Json],
    reason: str,
    own: list[Json] | None = None,
    zone: str = "Asia/Taipei",
    **tap: Any,
) -> None:
    """One guard before a rule that admits anybody; reason `ok` = it does not keep out."""
    policy: Json = {"version": 3, "rules": [guard, MEMBERS], "time_zone": zone}
    looks_back = guard["kind"] != "occupancy"
    is_in = reason in ("ok", "admitted-again")
    expect = (GRANTED, reason, "members") if is_in else (DENIED, reason, guard["id"])
    meant = {"counts": looks_back} if is_in else None
    decided(name, rule, expect, policy, ENTRY, after(None, own or [], told), "8.6", meant, **tap)


def build() -> None:
    _limits()
    _windows()
    _periods_and_visits()
    _scopes()
    _intervals()
    _passback()
    _resets()
    _occupancy()
    _unknown()
    _order_and_conditions()
    _choice()
    _repeats()


def entries(*moments: int, **fields: Any) -> list[Json]:
    return [mark(at_ms, sequence=number, **fields) for number, at_ms in enumerate(moments, 1)]


def _limits() -> None:
    one, two = entries(NOW - 1), entries(NOW - HOUR, NOW - 1)
    kept_out("limit-below", "Fewer than `most` entries.", TWICE, one, "ok")
    kept_out("limit-reached", "At `most` entries.", TWICE, two, "limit-reached")
    kept_out("limit-exceeded", "Or beyond.", TWICE, [*two, *entries(NOW - 2)], "limit-reached")
    kept_out("limit-of-nobody-yet", "Without any mark nothing is reached.", TWICE, [], "ok")
    kept_out("limit-exits-do-not-count", "Only entries count.", TWICE, [*one, mark(NOW - 5, "out")], "ok")
    kept_out(
        "limit-unsure-does-not-count", "A mark without a direction does not.", TWICE, [*one, mark(NOW - 5, "")], "ok"
    )
    kept_out(
        "limit-own-and-told", "This gate's marks and central's add up.", TWICE, one, "limit-reached", entries(NOW - 9)
    )
    of = {**TWICE, "of": ["members"]}
    mixed = [*one, mark(NOW - 9, rule="lane-swimming")]
    kept_out("limit-of-others", "Only entries by the rules `of` count.", of, mixed, "ok")
    kept_out("limit-of-these", "They do.", of, two, "limit-reached")
    kept_out("limit-of-any", "Where none are named, entries by any.", TWICE, mixed, "limit-reached")


def _windows() -> None:
    for per, begins, now in (
        ("day", "2026-11-23T00:00", "2026-11-23T23:59:59"),
        ("week", "2026-11-23T00:00", "2026-11-29T23:59:59"),
        ("month", "2026-11-01T00:00", "2026-11-30T23:59:59"),
    ):
        limit = {**TWICE, "per": per, "most": 1}
        first, rule = at(begins), f"A {per} begins at its local midnight."
        kept_out(f"limit-{per}-first-moment", rule, limit, entries(first), "limit-reached", at_ms=at(now))
        kept_out(f"limit-{per}-moment-before", "Not before.", limit, entries(first - 1), "ok", at_ms=at(now))
    weekly = {**TWICE, "per": "week", "most": 1}
    rule = "A week begins on Monday, also across the year's end."
    kept_out(
        "limit-week-over-new-year",
        rule,
        weekly,
        entries(at("2026-12-28T00:00")),
        "limit-reached",
        at_ms=at("2027-01-03T23:00"),
    )
    kept_out("limit-week-anew", rule, weekly, entries(at("2027-01-03T23:59:59")), "ok", at_ms=at("2027-01-04T00:00"))
    monthly, leap = {**TWICE, "per": "month", "most": 1}, at("2028-02-29T12:00")
    kept_out(
        "limit-leap-day",
        "The leap day is February's.",
        monthly,
        entries(at("2028-02-01T00:00")),
        "limit-reached",
        at_ms=leap,
    )
    kept_out(
        "limit-after-leap-day", "March begins after it.", monthly, entries(leap), "ok", at_ms=at("2028-03-01T00:00")
    )
    daily, berlin = {**TWICE, "most": 1}, "Europe/Berlin"
    long_day = entries(at("2026-10-25T00:00", berlin))
    rule = "A day of 25 hours is one day."
    kept_out(
        "limit-long-day", rule, daily, long_day, "limit-reached", zone=berlin, at_ms=at("2026-10-25T23:59:59", berlin)
    )
    kept_out("limit-long-day-over", rule, daily, long_day, "ok", zone=berlin, at_ms=at("2026-10-26T00:00", berlin))
    rule = "Where midnight is skipped the day begins with the leap."
    leap_day, beirut = at("2026-03-29T01:00", "Asia/Beirut"), "Asia/Beirut"
    kept_out("limit-no-midnight", rule, daily, entries(leap_day), "limit-reached", zone=beirut, at_ms=leap_day + HOUR)
    kept_out("limit-no-midnight-before", rule, daily, entries(leap_day - 1), "ok", zone=beirut, at_ms=leap_day + HOUR)
    rule = "The day is the venue's, here still Sunday while it is Monday in UTC."
    west = "America/Los_Angeles"
    kept_out(
        "limit-day-west", rule, daily, entries(at("2026-11-22T00:00", west)), "limit-reached", zone=west, at_ms=NOW
    )


def _periods_and_visits() -> None:
    season = {**TWICE, "per": "period", "most": 1, "valid_from": "2018-11-03", "valid_until": "2026-11-24"}
    begins = at("2018-11-03T00:00")
    kept_out("limit-period-first-moment", "A period begins with the rule.", season, entries(begins), "limit-reached")
    kept_out("limit-period-moment-before", "Not before.", season, entries(begins - 1), "ok")
    rule = "And ends with it."
    kept_out("limit-period-over", rule, season, entries(begins), "ok", at_ms=at("2026-11-24T00:00"))
    visit = {**TWICE, "per": "visit", "most": 1}
    came, left = mark(NOW - 2 * HOUR), mark(NOW - HOUR, "out", "", 2)
    kept_out("limit-visit-inside", "A visit lasts to the next exit.", visit, [came], "limit-reached")
    kept_out("limit-visit-over", "And no longer.", visit, [came, left], "ok")
    kept_out("limit-visit-overnight", "Midnight does not end it.", visit, [mark(NOW - 3 * DAY)], "limit-reached")
    kept_out("limit-visit-order", "The order of telling does not matter.", visit, [left, came], "ok")
    again = mark(left["at_ms"], sequence=3)
    rule = "Of two marks at one instant the one of the larger sequence is the newer."
    kept_out("limit-visit-one-instant", rule, visit, [again, left], "limit-reached")
    kept_out("limit-visit-one-instant-turned", rule, visit, [{**again, "sequence": 1}, left], "ok")
    month = 31 * DAY
    kept_out(
        "limit-visit-almost-forgotten", "It is kept for 31 days.", visit, entries(NOW - month + 1), "limit-reached"
    )
    kept_out("limit-visit-forgotten", "Then it is forgotten.", visit, entries(NOW - month), "ok")


def _scopes() -> None:
    here, beside, there = mark(NOW - HOUR), mark(NOW - HOUR, **BESIDE), mark(NOW - HOUR, **THERE)
    once = {**TWICE, "most": 1}
    for scope, found in (("gate", [here]), ("venue", [here, beside]), ("domain", [here, beside, there])):
        for place, one in (("here", here), ("beside", beside), ("there", there)):
            rule = f"The scope {scope} counts the marks of this {scope}."
            counts = one in found
            limit, passback = {**once, "scope": scope}, {**ONCE_IN, "scope": scope}
            interval = {**SOON, "minutes": 61, "scope": scope}
            for guard, reason in ((limit, "limit-reached"), (interval, "too-soon"), (passback, "already-inside")):
                kept_out(f"scope-{guard['kind']}-{scope}-{place}", rule, guard, [one], reason if counts else "ok")
    visit = {**once, "per": "visit", "scope": "venue"}
    left_there = [mark(NOW - HOUR), mark(NOW - 1, "out", **THERE)]
    kept_out("scope-visit", "Only an exit of the scope ends a visit.", visit, left_there, "limit-reached")


def _intervals() -> None:
    length = 30 * MINUTE
    kept_out("interval-just-within", "Less than so long ago.", SOON, entries(NOW - length + 1), "too-soon")
    kept_out("interval-at-its-length", "At its length it is over.", SOON, entries(NOW - length), "ok")
    kept_out("interval-at-once", "Not in the same moment.", SOON, entries(NOW), "too-soon")
    two = entries(NOW - length + 1, NOW - 5 * HOUR)
    kept_out("interval-of-the-newest", "The newest entry counts.", SOON, two, "too-soon")
    kept_out("interval-after-an-exit", "An exit is no entry.", SOON, [mark(NOW - 1, "out")], "ok")
    rule = "An entry ahead of this gate's clock is less than so long ago."
    kept_out("interval-ahead", rule, SOON, entries(NOW + 90_000), "too-soon")
    longest = {**SOON, "minutes": 44_640}
    kept_out("interval-longest", "31 days at the most.", longest, entries(NOW - 31 * DAY + 1), "too-soon")
    kept_out("interval-longest-over", "And no longer.", longest, entries(NOW - 31 * DAY), "ok")


def _passback() -> None:
    came, left = mark(NOW - 2 * HOUR), mark(NOW - HOUR, "out", "", 2)
    kept_out("passback-inside", "Who is inside does not come in.", ONCE_IN, [came], "already-inside")
    kept_out("passback-outside", "Who left does.", ONCE_IN, [came, left], "ok")
    kept_out("passback-order", "The order of telling does not matter.", ONCE_IN, [left, came], "ok")
    kept_out("passback-never-came", "Who was never there does.", ONCE_IN, [], "ok")
    unsure = mark(NOW - 1, "", sequence=3)
    kept_out(
        "passback-unsure-between",
        "A mark without a direction tells nothing.",
        ONCE_IN,
        [came, unsure],
        "already-inside",
    )
    together = {**left, "at_ms": came["at_ms"]}
    rule = "Of two marks at one instant the one of the larger sequence is the newer."
    kept_out("passback-one-instant", rule, ONCE_IN, [together, came], "ok")
    kept_out("passback-one-instant-turned", rule, ONCE_IN, [together, {**came, "sequence": 3}], "already-inside")
    rule = "At one instant the epoch comes before the sequence."
    kept_out("passback-one-instant-epochs", rule, ONCE_IN, [together, {**came, "epoch": "ff" * 8}], "already-inside")
    soft = {**ONCE_IN, "mode": "soft"}
    kept_out("passback-soft-inside", "A soft one lets in and says so.", soft, [came], "admitted-again")
    kept_out("passback-soft-outside", "Where there is something to say.", soft, [came, left], "ok")
    timed = {**ONCE_IN, "forgive_minutes": 90}
    since = NOW - 90 * MINUTE
    kept_out(
        "passback-not-forgiven", "Before its time nothing is forgiven.", timed, entries(since + 1), "already-inside"
    )
    kept_out("passback-forgiven", "At its value it is.", timed, entries(since), "ok")
    month = NOW - 31 * DAY
    kept_out(
        "passback-almost-forgotten", "Without a value it takes 31 days.", ONCE_IN, entries(month + 1), "already-inside"
    )
    kept_out("passback-forgotten", "And no longer.", ONCE_IN, entries(month), "ok")
    rule = "What refuses later refuses, however soft the rule before it."
    closed = {"kind": "refuse", "id": "closed-day"}
    policy: Json = {"version": 3, "rules": [soft, closed]}
    decided(
        "passback-soft-then-closed",
        rule,
        (DENIED, "closed", "closed-day"),
        policy,
        history=after(told=[came]),
        spec="8.6",
    )
    rule = "Of two soft ones either may say it."
    policy = {"version": 3, "rules": [soft, {**soft, "id": "also-soft", "scope": "gate"}, MEMBERS]}
    beside = after(told=[{**came, **BESIDE}])
    expect = (GRANTED, "admitted-again", "members")
    decided("passback-two-soft", rule, expect, policy, history=beside, spec="8.6", meant={"counts": True})


def _resets() -> None:
    nightly, reset = {**ONCE_IN, "resets_at": "04:00"}, at("2026-11-23T04:00")
    kept_out(
        "reset-before-it",
        "Before the reset who came is inside.",
        nightly,
        entries(reset - HOUR),
        "already-inside",
        at_ms=reset - 1,
    )
    kept_out("reset-at-it", "At the reset everybody is outside.", nightly, entries(reset - 1), "ok", at_ms=reset)
    kept_out(
        "reset-came-with-it",
        "Who came at that instant came after it.",
        nightly,
        entries(reset),
        "already-inside",
        at_ms=reset + 1,
    )
    kept_out(
        "reset-since-yesterday",
        "Yesterday's reset counts before today's.",
        nightly,
        entries(reset - DAY - 1),
        "ok",
        at_ms=reset - 1,
    )
    kept_out(
        "reset-not-since",
        "Without one between nothing is forgotten.",
        nightly,
        entries(reset - DAY),
        "already-inside",
        at_ms=reset - 1,
    )
    kept_out(
        "reset-days-ago", "Any of the days between will do.", nightly, entries(reset - 9 * DAY), "ok", at_ms=reset - 1
    )
    berlin, skipped = "Europe/Berlin", {**ONCE_IN, "resets_at": "02:30"}
    leap = at("2026-03-29T03:30", berlin)
    rule = "A reset at a skipped time is told by the offset before the gap: 02:30 is 03:30."
    kept_out("reset-skipped-before", rule, skipped, entries(leap - HOUR), "already-inside", zone=berlin, at_ms=leap - 1)
    kept_out("reset-skipped", rule, skipped, entries(leap - HOUR), "ok", zone=berlin, at_ms=leap)
    first = at("2026-10-25T02:30", berlin)
    rule = "A reset at a time that occurs twice is at its first."
    kept_out("reset-twice-first", rule, skipped, entries(first - 1), "ok", zone=berlin, at_ms=first)
    kept_out("reset-twice-second", rule, skipped, entries(first + 1), "already-inside", zone=berlin, at_ms=first + HOUR)


def _occupancy() -> None:
    kept_out("occupancy-below", "Below the ceiling there is room.", CEILING, [], "ok", inside=39)
    kept_out("occupancy-full", "At the ceiling there is none.", CEILING, [], "full", inside=40)
    kept_out("occupancy-beyond", "Nor beyond.", CEILING, [], "full", inside=41)
    kept_out("occupancy-untold", "Where nobody can tell, people come in.", CEILING, [], "ok", inside=None)
    careful = {**CEILING, "when_unknown": "refuse"}
    kept_out("occupancy-untold-refused", "Unless the rule refuses then.", careful, [], "history-unknown", inside=None)
    kept_out("occupancy-apart-but-told", "What can be told is told.", careful, [], "ok", inside=1, is_apart=True)
    staff = {"kind": "admit", "id": "staff", "classes": ["staff"]}
    policy: Json = {"version": 3, "rules": [staff, CEILING, MEMBERS]}
    rule = "Who is admitted before the ceiling comes in."
    decided("occupancy-staff", rule, (GRANTED, "ok", "staff"), policy, held("staff"), spec="8.6", inside=40)
    rule = "A ceiling alone leaves no marks, and the way out is free."
    out = (GRANTED, "leaving", "")
    decided("occupancy-leaving", rule, out, policy, spec="8.6", inside=40, direction="out")


def _unknown() -> None:
    for guard in (TWICE, SOON, ONCE_IN):
        kind = guard["kind"]
        careful = {**guard, "when_unknown": "refuse"}
        rule = "A gate apart judges by what it has."
        kept_out(f"unknown-{kind}-admits", rule, guard, [], "ok", is_apart=True)
        rule = "Unless the rule refuses then."
        kept_out(f"unknown-{kind}-refuses", rule, careful, [], "history-unknown", is_apart=True)
        rule = "A gate that is not apart knows."
        kept_out(f"unknown-{kind}-known", rule, careful, [], "ok")
        rule = "A gate knows what happened at itself."
        kept_out(f"unknown-{kind}-of-the-gate", rule, {**careful, "scope": "gate"}, [], "ok", is_apart=True)
        rule = "Another gate of the venue it does not."
        kept_out(
            f"unknown-{kind}-of-the-venue", rule, {**careful, "scope": "venue"}, [], "history-unknown", is_apart=True
        )
        reason = {"limit": "limit-reached", "interval": "too-soon", "passback": "already-inside"}[kind]
        rule = "What it knows against somebody stands."
        kept_out(f"unknown-{kind}-and-yet", rule, careful, entries(NOW - 1, NOW - 2), reason, is_apart=True)
    soft = {**ONCE_IN, "mode": "soft", "when_unknown": "refuse"}
    kept_out("unknown-passback-soft", "A soft rule refuses nobody then either.", soft, [], "ok", is_apart=True)


def _order_and_conditions() -> None:
    seniors = {"kind": "admit", "id": "seniors", "classes": ["senior"]}
    policy: Json = {"version": 3, "rules": [seniors, TWICE, MEMBERS]}
    two = after(told=entries(NOW - 2, NOW - 1))
    yes: Json = {"counts": True}
    rule = "A rule that looks back is asked in its place in the order."
    decided("guard-not-reached", rule, (GRANTED, "ok", "seniors"), policy, held("senior"), two, "8.6", yes)
    decided("guard-reached", rule, (DENIED, "limit-reached", "twice"), policy, held("citizen"), two, "8.6")
    students: Json = {"version": 3, "rules": [{**TWICE, "classes": ["student"]}, MEMBERS]}
    rule = "It asks only the classes that it names."
    decided("guard-of-a-class", rule, (DENIED, "limit-reached", "twice"), students, held("student"), two, "8.6")
    decided("guard-of-another-class", rule, (GRANTED, "ok", "members"), students, held("citizen"), two, "8.6", yes)
    hours: Json = {"version": 3, "rules": [{**TWICE, "schedule": "s"}, MEMBERS], "schedules": {"s": OPEN}}
    rule = "It asks only in its hours."
    late = at("2026-11-23T17:00")
    decided("guard-in-its-hours", rule, (DENIED, "limit-reached", "twice"), hours, ENTRY, two, "8.6")
    decided("guard-outside-its-hours", rule, (GRANTED, "ok", "members"), hours, ENTRY, two, "8.6", yes, at_ms=late)
    ended: Json = {"version": 3, "rules": [{**TWICE, "valid_until": "2026-11-23"}, MEMBERS]}
    decided("guard-ended", "And until its end.", (GRANTED, "ok", "members"), ended, ENTRY, two, "8.6", yes)
    lenient: Json = {"version": 3, "rules": [TWICE, MEMBERS], "untrusted_clock": "ignore-dates"}
    rule = "Where the clock cannot be trusted rules that look back are passed over."
    decided("guard-without-a-clock", rule, (GRANTED, "ok", "members"), lenient, ENTRY, two, "8.2", yes, clock=2)
    _moved_hours()


def _moved_hours() -> None:
    swimmers = {"kind": "admit", "id": "opening", "schedule": "s", "opens_early_minutes": 15, "last_entry_minutes": 45}
    in_hours, out_of_hours = (GRANTED, "ok", "opening"), (DENIED, "outside-hours", "opening")
    policy: Json = {"version": 3, "rules": [swimmers], "schedules": {"s": OPEN}}
    midnight: Json = {**policy, "schedules": {"s": {"tue": ["00:00-24:00"]}}}
    short: Json = {**policy, "schedules": {"s": {"mon": ["09:00-09:30"]}}}
    for name, given, when, expect, rule in (
        ("opens-early", policy, "2026-11-23T08:45", in_hours, "Hours open so much earlier."),
        ("opens-no-earlier", policy, "2026-11-23T08:44:59", out_of_hours, "And no earlier."),
        ("last-entry", policy, "2026-11-23T16:14:59", in_hours, "The last entry is so much before their end."),
        ("last-entry-over", policy, "2026-11-23T16:15", out_of_hours, "At that moment it is over."),
        ("opens-the-evening-before", midnight, "2026-11-23T23:45", in_hours, "Early may be the day before."),
        ("last-entry-before-it-opens", short, "2026-11-23T08:40", out_of_hours, "Hours that so end first are none."),
    ):
        decided(f"hours-{name}", rule, expect, given, spec="8.1", at_ms=at(when))


def _choice() -> None:
    teams = [{"kind": "admit", "id": f"team-{name}", "schedule": name} for name in ("reading", "guiding")]
    closed = {"kind": "refuse", "id": "no-guides", "classes": ["banned"]}
    policy: Json = {
        "version": 3,
        "rules": [*teams[:1], closed, *teams[1:]],
        "schedules": {"reading": OPEN, "guiding": {"mon": ["10:00-12:00"]}},
    }
    rule = "Who chooses nothing gets the first rule whose conditions hold."
    decided("choice-of-none", rule, (GRANTED, "ok", "team-reading"), policy)
    rule = "Who chose gets the rule that was chosen."
    decided("choice", rule, (GRANTED, "ok", "team-guiding"), policy, choice="team-guiding")
    rule = "In its hours only: the other one counts as not there."
    late = at("2026-11-23T12:00")
    decided(
        "choice-outside-hours",
        rule,
        (DENIED, "outside-hours", "team-guiding"),
        policy,
        choice="team-guiding",
        at_ms=late,
    )
    rule = "What refuses refuses whatever was chosen."
    expect = (DENIED, "closed", "no-guides")
    decided("choice-refused", rule, expect, policy, held("banned"), choice="team-guiding")
    rule = "A rule that does not exist admits nobody."
    decided("choice-of-a-stranger", rule, (DENIED, "class-not-admitted", ""), policy, choice="team-singing")
    lenient = {**policy, "untrusted_clock": "ignore-dates"}
    rule = "Also where the clock cannot be trusted."
    decided("choice-without-a-clock", rule, (GRANTED, "ok", "team-guiding"), lenient, choice="team-guiding", clock=2)


def _repeats() -> None:
    """The first tap of a run left a mark; the second is judged as if it had not."""
    first = mark(LAST["at_ms"], sequence=LAST["sequence"])
    again = (GRANTED, "ok", "members", True)
    for guard, reason in ((TWICE, "limit-reached"), (SOON, "too-soon"), (ONCE_IN, "already-inside")):
        kind = guard["kind"]
        once = {**guard, "most": 1} if kind == "limit" else guard
        policy: Json = {"version": 3, "rules": [once, MEMBERS]}
        rule = "A double tap is judged as if the first had left no mark."
        decided(f"repeat-{kind}", rule, again, policy, history=after(LAST, [first]), spec="8.4")
        rule = "Also when central counts that one already."
        decided(f"repeat-{kind}-counted", rule, again, policy, history=after(LAST, [], [first]), spec="8.4")
        late = after({**LAST, "monotonic_ms": 490_000}, [first])
        rule = "After the window the mark is there."
        decided(f"repeat-{kind}-over", rule, (DENIED, reason, guard["id"]), policy, history=late, spec="8.4")
    rule = "What would not be the same is answered as if the first had left no mark."
    short: Json = {
        "version": 3,
        "schedules": {"s": OPEN},
        "rules": [{**TWICE, "most": 1}, {**MEMBERS, "schedule": "s"}],
    }
    expect = (DENIED, "outside-hours", "members")
    closing = at("2026-11-23T17:00")
    decided("repeat-after-closing", rule, expect, short, history=after(LAST, [first]), spec="8.4", at_ms=closing)
    soft: Json = {"version": 3, "rules": [{**ONCE_IN, "mode": "soft"}, MEMBERS]}
    rule = "A double tap is not an entry again."
    decided("repeat-soft", rule, again, soft, history=after(LAST, [first]), spec="8.4")
    left = mark(LAST["at_ms"], "out", "", LAST["sequence"])
    leaving = {**LAST, "direction": "out", "reason": "leaving", "rule": ""}
    policy = {"version": 3, "rules": [ONCE_IN, MEMBERS]}
    rule = "Leaving twice leaves one mark."
    decided(
        "repeat-leaving",
        rule,
        (GRANTED, "leaving", "", True),
        policy,
        history=after(leaving, [left]),
        spec="8.4",
        direction="out",
    )
