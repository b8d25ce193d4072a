"""What an entry and an exit cost, and who pays it (SPEC §8.7)."""

from typing import Any

from tests.vectors.deciding import DENIED, ENTRY, GRANTED, HOUR, LAST, OPEN, after, at, decided, mark
from tests.vectors.scenario import NOW

Json = dict[str, Any]
DAY = 24 * HOUR
PAYING = {"kind": "admit", "id": "members", "tariff": "t"}


def charged(
    name: str,
    rule: str,
    tariff: Json,
    points: int,
    due: int,
    told: list[Json] | None = None,
    own: list[Json] | None = None,
    reserved: int = 0,
    lapse_ms: int = NOW + DAY,
    direction: str = "in",
    by: str = "members",
    policy: Json | None = None,
    **tap: Any,
) -> None:
    """One entry or exit at a tariff."""
    policy = {"version": 3, "rules": [PAYING], "tariffs": {"t": tariff}, **(policy or {})}
    history = after(None, own or [], told or [], reserved=reserved, lapse_ms=lapse_ms)
    expect = (GRANTED, "ok", "members") if direction == "in" else (GRANTED, "leaving", by)
    meant = {"points": points, "due": due, "counts": True}
    decided(f"charge-{name}", rule, expect, policy, ENTRY, history, "8.7", meant, direction=direction, **tap)


def build() -> None:
    _prices()
    _first_days()
    _points()
    _caps()
    _short()
    _hours()
    _repeats()


def _prices() -> None:
    entry = mark(NOW - HOUR)
    charged("nothing", "A tariff without a price is free.", {}, 0, 0)
    charged("fixed", "A price is due.", {"price": 60}, 0, 60)
    charged("fixed-again", "At each entry.", {"price": 60}, 0, 60, [entry])
    daily = {"price": 60, "per": "day"}
    charged("day-first", "One price for a local day.", daily, 0, 60)
    charged("day-again", "The other entries of the day are free.", daily, 0, 0, [entry])
    midnight = at("2026-11-23T00:00")
    charged("day-first-moment", "The day begins at local midnight.", daily, 0, 0, [mark(midnight)])
    charged("day-moment-before", "Not before.", daily, 0, 60, [mark(midnight - 1)])
    charged(
        "day-by-another-rule", "Entries at another price do not pay for it.", daily, 0, 60, [mark(NOW - HOUR, rule="x")]
    )
    charged("day-exits", "Nor do exits.", daily, 0, 60, [mark(NOW - HOUR, "out")])
    others = {"rules": [PAYING, {**PAYING, "id": "evening"}]}
    rule = "All rules that admit at a tariff are one to it."
    charged("day-by-its-other-rule", rule, daily, 0, 0, [mark(NOW - HOUR, rule="evening")], policy=others)
    ended = {"rules": [PAYING, {**PAYING, "id": "evening", "valid_until": "2026-11-01"}]}
    rule = "Also those that are not in force any more."
    charged("day-by-its-ended-rule", rule, daily, 0, 0, [mark(NOW - HOUR, rule="evening")], policy=ended)
    rule = "Without a clock an entry costs what the gate's own time says."
    lenient = {"untrusted_clock": "ignore-dates"}
    charged("fixed-without-a-clock", rule, {"price": 60}, 0, 60, policy=lenient, clock=2)


def _first_days() -> None:
    tariff = {"price": 100, "first_day_price": 0}
    midnight = at("2026-11-23T00:00")
    charged("first-day", "The first day has a price of its own.", tariff, 0, 0)
    charged("first-day-again", "For all of its entries.", tariff, 0, 0, [mark(NOW - HOUR)])
    charged("first-day-first-moment", "It begins at local midnight.", tariff, 0, 0, [mark(midnight)])
    charged("first-day-over", "Later days have the other one.", tariff, 0, 100, [mark(midnight - 1)])
    charged("first-day-exits", "Exits make no first day.", tariff, 0, 0, [mark(midnight - 1, "out")])
    charged("first-day-elsewhere", "Nor do entries at another tariff.", tariff, 0, 0, [mark(midnight - 1, rule="x")])
    season = {**tariff, "since": "2026-11-20"}
    begins = at("2026-11-20T00:00")
    charged("first-day-since", "Entries before the season do not count.", season, 0, 0, [mark(begins - 1)])
    charged("first-day-since-its-first-moment", "From its first moment.", season, 0, 100, [mark(begins)])
    coming = {**tariff, "since": "2026-11-24"}
    charged("first-day-not-yet", "Before the season no day is a first one.", coming, 0, 100)
    today = {**tariff, "since": "2026-11-23"}
    charged("first-day-of-the-season", "Its first day can be.", today, 0, 0)
    both = {**tariff, "first_day_price": 30, "per": "day"}
    charged("first-day-per-day", "A first day may cost, once.", both, 0, 30)
    charged("first-day-per-day-again", "And be free then.", both, 0, 0, [mark(NOW - HOUR)])


def _points() -> None:
    hour = {"price": 25, "pay": "points"}
    charged("points", "Points are taken first.", hour, 25, 0, reserved=100)
    charged("points-exactly", "As far as they go.", hour, 25, 0, reserved=25)
    charged("points-split", "And the rest is due.", hour, 10, 15, reserved=10)
    charged("points-none", "All of it where none are reserved.", hour, 0, 25)
    charged("points-last-moment", "A reservation holds to its last moment.", hour, 25, 0, reserved=25, lapse_ms=NOW + 1)
    charged("points-lapsed", "Its end is excluded.", hour, 0, 25, reserved=25, lapse_ms=NOW)
    spent = mark(NOW - HOUR, points=20)
    charged(
        "points-own-spent", "What this gate spent and central does not count is gone.", hour, 5, 20, [], [spent], 25
    )
    charged("points-told-spent", "What central counts is gone from what it reserves.", hour, 25, 0, [spent], [], 25)
    rule = "Points that were taken elsewhere by another rule are spent as well."
    charged("points-own-spent-otherwise", rule, hour, 5, 20, [], [{**spent, "rule": "x"}], 25)
    charged("points-of-a-free-entry", "What costs nothing takes none.", {**hour, "price": 0}, 0, 0, reserved=25)
    charged("points-of-cash", "What is due takes none.", {"price": 25}, 0, 25, reserved=25)


def _caps() -> None:
    use = {"price": 100, "pay": "points", "cap_use": 85}
    charged("cap-use", "At most so many points for one use.", use, 85, 15, reserved=200)
    charged("cap-use-not-reached", "A lower price is below it.", {**use, "price": 84}, 84, 0, reserved=200)
    charged("cap-use-exactly", "At the cap all is paid.", {**use, "price": 85}, 85, 0, reserved=200)
    charged("cap-use-of-nothing", "A cap of 0 leaves all due.", {**use, "cap_use": 0}, 0, 100, reserved=200)
    day = {"price": 25, "pay": "points", "cap_day": 60}
    midnight, month = at("2026-11-23T00:00"), at("2026-11-01T00:00")
    spent = mark(midnight, points=50)
    charged("cap-day", "At most so many a day.", day, 10, 15, [spent], reserved=200)
    charged(
        "cap-day-before", "A day begins at local midnight.", day, 25, 0, [mark(midnight - 1, points=50)], reserved=200
    )
    charged("cap-day-own", "This gate's own count too.", day, 10, 15, [], [spent], reserved=250)
    charged("cap-day-reached", "Beyond it all is due.", day, 0, 25, [{**spent, "points": 60}], reserved=200)
    charged("cap-day-exceeded", "However far beyond.", day, 0, 25, [{**spent, "points": 90}], reserved=200)
    charged("cap-day-exits", "What an exit took counts.", day, 10, 15, [{**spent, "direction": "out"}], reserved=200)
    charged("cap-day-elsewhere", "At this tariff.", day, 25, 0, [{**spent, "rule": "x"}], reserved=200)
    monthly = {"price": 25, "pay": "points", "cap_month": 480}
    spent = mark(month, points=470)
    charged("cap-month", "At most so many a month.", monthly, 10, 15, [spent], reserved=200)
    before = mark(month - 1, points=470)
    charged("cap-month-before", "A month begins with its first local moment.", monthly, 25, 0, [before], reserved=200)
    all_caps = {"price": 100, "pay": "points", "cap_use": 85, "cap_day": 70, "cap_month": 60}
    charged("cap-lowest", "The lowest of all counts.", all_caps, 60, 40, reserved=200)
    charged("cap-above-what-is-reserved", "And never more than is reserved.", all_caps, 20, 80, reserved=20)


def _short() -> None:
    later = {"price": 25, "pay": "points", "short": "later", "later_cap": 40}
    charged("later", "Ahead of what is reserved, to a cap.", later, 25, 0)
    charged("later-split", "What is beyond the cap is due.", {**later, "later_cap": 10}, 15, 10, reserved=5)
    ahead = mark(NOW - HOUR, points=25)
    charged("later-again", "Over all that central does not count yet.", later, 15, 10, [], [ahead])
    charged("later-spent", "Down to nothing.", later, 0, 25, [], [{**ahead, "points": 40}])
    charged("later-lapsed", "A lapsed reservation pays nothing back.", later, 15, 10, [], [ahead], 100, NOW)
    charged("later-without-cap", "Without a cap nothing is ahead.", {**later, "later_cap": 0}, 0, 25)
    charged("due-with-a-cap", "The cap is for later alone.", {**later, "short": "due"}, 0, 25)
    deny = {"price": 25, "pay": "points", "short": "deny"}
    charged("deny-enough", "Who has enough comes in.", deny, 25, 0, reserved=25)
    charged("deny-free", "Who owes nothing comes in.", {**deny, "price": 0}, 0, 0)
    policy: Json = {"version": 3, "rules": [PAYING], "tariffs": {"t": deny}}
    short = after(reserved=24, lapse_ms=NOW + DAY)
    rule = "Where the tariff denies, who has too few points stays out."
    decided("points-short", rule, (DENIED, "points-short", "members"), policy, history=short, spec="8.7")
    capped: Json = {**policy, "tariffs": {"t": {**deny, "cap_day": 40}}}
    rich = after(told=[mark(NOW - HOUR, points=20)], reserved=500, lapse_ms=NOW + DAY)
    rule = "Also where it is a cap that leaves a rest."
    decided("points-short-by-a-cap", rule, (DENIED, "points-short", "members"), capped, history=rich, spec="8.7")
    cash: Json = {**policy, "rules": [PAYING, {"kind": "admit", "id": "cash"}]}
    rule = "No later rule is tried."
    decided("points-short-is-the-answer", rule, (DENIED, "points-short", "members"), cash, history=short, spec="8.7")


def _hours() -> None:
    gym = {"price": 25, "per": "started-hour"}
    paid = {"points": 0, "due": 25}

    def left(name: str, rule: str, tariff: Json, came: Json, points: int, due: int, **more: Any) -> None:
        told = [came, *more.pop("also", [])]
        by = "members" if points + due else ""
        charged(f"hours-{name}", rule, tariff, points, due, told, direction="out", by=by, **more)

    charged("hours-entry", "The first hour is charged at the entry.", gym, 0, 25)
    left("within-the-first", "It is paid for.", gym, mark(NOW - HOUR + 1, **paid), 0, 0)
    left("exactly-one", "Exactly an hour is one.", gym, mark(NOW - HOUR, **paid), 0, 0)
    left("second-begun", "The second is charged once it began.", gym, mark(NOW - HOUR - 1, **paid), 0, 25)
    left("third-begun", "Every started hour.", gym, mark(NOW - 2 * HOUR - 1, **paid), 0, 50)
    left("at-once", "Who turns round owes nothing.", gym, mark(NOW, **paid), 0, 0)
    left("came-ahead", "An entry ahead of the clock costs nothing more.", gym, mark(NOW + HOUR, **paid), 0, 0)
    left("free-entry", "Nor does a stay that was free at the door.", gym, mark(NOW - 5 * HOUR), 0, 0)
    left(
        "first-day",
        "An hour costs what the first one did.",
        {**gym, "first_day_price": 10},
        mark(NOW - HOUR - 1, due=10),
        0,
        10,
    )
    left(
        "other-tariff", "Another tariff's stay is not charged here.", gym, mark(NOW - 5 * HOUR, rule="x", due=25), 0, 0
    )
    left("per-entry", "A price for an entry has no hours.", {"price": 60}, mark(NOW - 5 * HOUR, due=60), 0, 0)
    almost, forgotten = mark(NOW - 31 * DAY + 1, **paid), mark(NOW - 31 * DAY, **paid)
    left("almost-forgotten", "An entry is kept for 31 days.", gym, almost, 0, 743 * 25)
    left("forgotten", "And forgotten then.", gym, forgotten, 0, 0)
    came = mark(NOW - HOUR - 1, **paid)
    gone = mark(NOW - 1, "out", "", 2)
    left("left-already", "Who left already owes nothing more.", gym, came, 0, 0, also=[gone])
    elsewhere = {**gone, "venue": "gym", "gate": "gym-door"}
    left("left-elsewhere", "An exit of another venue does not end it.", gym, came, 0, 25, also=[elsewhere])
    left("unsure-since", "A mark without a direction neither.", gym, came, 0, 25, also=[{**gone, "direction": ""}])
    left("entered-elsewhere", "An entry of another venue is not charged here.", gym, {**came, "venue": "gym"}, 0, 0)
    points = {**gym, "pay": "points"}
    by_points = mark(NOW - HOUR - 1, points=25)
    left("points", "Points are taken at the exit too.", points, by_points, 25, 0, reserved=30)
    left("points-split", "And the rest is due.", points, by_points, 10, 15, reserved=10)
    left("points-cap-use", "Entry and exit are one use.", {**points, "cap_use": 40}, by_points, 15, 10, reserved=99)
    left("points-deny", "An exit is never denied.", {**points, "short": "deny"}, by_points, 0, 25)
    lenient = {"untrusted_clock": "ignore-dates"}
    left("without-a-clock", "Without a clock no hour is counted.", gym, came, 0, 0, policy=lenient, clock=2)


def _repeats() -> None:
    deny = {"price": 25, "pay": "points", "short": "deny"}
    policy: Json = {"version": 3, "rules": [PAYING], "tariffs": {"t": deny}, "schedules": {}}
    first = mark(LAST["at_ms"], sequence=LAST["sequence"], points=25)
    again = (GRANTED, "ok", "members", True)
    rule = "A double tap is judged as if the first had taken no points, and takes none."
    own = after(LAST, [first], reserved=25, lapse_ms=NOW + DAY)
    decided("charge-repeat", rule, again, policy, history=own, spec="8.4")
    rule = "Also when central counts that one already, and reserves less."
    told = after(LAST, [], [first], reserved=0, lapse_ms=NOW + DAY)
    decided("charge-repeat-counted", rule, again, policy, history=told, spec="8.4")
    late = after({**LAST, "monotonic_ms": 490_000}, [first], reserved=25, lapse_ms=NOW + DAY)
    rule = "After the window the points are gone."
    decided("charge-repeat-over", rule, (DENIED, "points-short", "members"), policy, history=late, spec="8.4")
    gym: Json = {**policy, "tariffs": {"t": {"price": 25, "per": "started-hour"}}, "schedules": {"s": OPEN}}
    leaving = {**LAST, "direction": "out", "reason": "leaving"}
    stay = [mark(NOW - 2 * HOUR, sequence=3, due=25), mark(LAST["at_ms"], "out", sequence=40, due=25)]
    rule = "An exit is charged once."
    expect = (GRANTED, "leaving", "members", True)
    decided("charge-repeat-leaving", rule, expect, gym, history=after(leaving, stay), spec="8.4", direction="out")
