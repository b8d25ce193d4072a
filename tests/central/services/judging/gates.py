"""Gates that decide for themselves, as central later hears of them; and policies of every kind to decide by."""

import datetime as dt
import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from central.entry_history import HeldEntry
from central.services.judging.seen import DENIED, Circumstances, Lately, Seen
from protocol.allowlist import CardState, Entry, Grant
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap, decide
from protocol.history import History, LastTap, Mark, with_tap
from protocol.messages import Clock, Direction, Held, Outcome, encode
from protocol.policy import Admit, Interval, Limit, Occupancy, Passback, Policy, Refuse, Rule, Schedule, Session, Tariff

NOON_MS = 1_790_222_400_000
"""12:00 in Taipei on Thursday, 24 September 2026."""
MINUTE_MS = 60_000
SUBJECT, TOKEN = b"s" * 16, b"t" * 16
ACTIVE = Entry(SUBJECT, 1, CardState.ACTIVE, (Grant("citizen"),))

_ids = st.sampled_from(("a", "b"))
_scopes = st.sampled_from(("gate", "venue", "domain"))
_unknown = st.sampled_from(("admit", "refuse"))
_schedules = st.sampled_from((None, None, "open"))
_looks_back: tuple[st.SearchStrategy[Rule], ...] = (
    st.builds(
        Limit,
        id=st.just("limit"),
        most=st.integers(1, 3),
        per=st.sampled_from(("day", "week", "month", "visit")),
        scope=_scopes,
        when_unknown=_unknown,
        schedule=_schedules,
    ),
    st.builds(Interval, id=st.just("interval"), minutes=st.integers(1, 90), scope=_scopes, when_unknown=_unknown),
    st.builds(
        Passback,
        id=st.just("passback"),
        mode=st.sampled_from(("hard", "soft")),
        scope=_scopes,
        forgive_minutes=st.sampled_from((0, 30)),
        resets_at=st.sampled_from((None, "13:00")),
        when_unknown=_unknown,
    ),
    st.builds(Occupancy, id=st.just("full"), most=st.integers(1, 5)),
    st.builds(Refuse, id=st.just("refuse"), schedule=st.just("lunch")),
)
_prices = st.builds(
    Tariff,
    price=st.integers(1, 50),
    per=st.sampled_from(("entry", "day", "started-hour")),
    pay=st.sampled_from(("due", "points")),
    short=st.sampled_from(("due", "later")),
    first_day_price=st.sampled_from((None, 0)),
)
SCHEDULES = {
    "open": Schedule(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("08:00-21:00",))),
    "lunch": Schedule(**dict.fromkeys(("mon", "tue", "wed", "thu", "fri", "sat", "sun"), ("12:30-13:00",))),
}


@st.composite
def policies(draw: st.DrawFn, with_sessions: bool = True) -> Policy:
    guards = draw(st.lists(st.one_of(*_looks_back), max_size=3, unique_by=lambda rule: rule.id))
    session = draw(st.sampled_from((None, None, Session()))) if with_sessions else None
    tariff = draw(st.one_of(st.none(), _prices)) if session is None else None
    last = Admit(id="a", tariff="t" if tariff else None, schedule=draw(_schedules))
    second = Admit(id="b", classes=("citizen",))
    tariffs = {"t": tariff} if tariff else {}
    return Policy(1, (*guards, last, second), schedules=SCHEDULES, tariffs=tariffs, session=session)


@dataclass
class Gate:
    """One gate of one member: what it decided and what it then knew."""

    name: str
    venue: str
    policy: CompiledPolicy
    direction: Direction = Direction.IN
    entry: Entry | None = ACTIVE
    epoch: bytes = b""
    history: History = field(default_factory=History)
    sequence: int = 0
    choice: str = ""

    def __post_init__(self) -> None:
        self.epoch = self.epoch or self.name.encode().ljust(8, b"\0")

    def tap(self, at_ms: int, told: tuple[Mark, ...] = (), **known: Any) -> tuple[Decision, Seen | None]:
        """`told`: marks of others that it knows. Returns what central sees of it, where it was granted."""
        self.sequence += 1
        history = History(self.history.last, self.history.own, told, known.pop("reserved", 0), at_ms * 2)
        tap = Tap(
            *(at_ms, bytes(8), at_ms, known.pop("clock", Clock.TRUSTED), self.direction, Staleness.FRESH),
            venue=self.venue,
            gate=self.name,
            choice=self.choice,
            **known,
        )
        decision = decide(self.policy, self.entry, history, tap)
        if decision.outcome is not Outcome.GRANTED or decision.repeats is not None:
            return decision, None
        name = self.epoch, self.sequence
        mark = Mark(
            *(at_ms, self.venue, self.name, decision.direction, decision.rule, decision.points, decision.due), *name
        )
        last = LastTap(
            *(at_ms, bytes(8), at_ms, self.sequence, self.epoch, decision.direction),
            *(decision.outcome, decision.reason, decision.rule),
        )
        self.history = with_tap(self.history, last, mark if decision.counts else None)
        return decision, self.seen(mark, decision.reason, tap.clock)

    def denied(self, at_ms: int, reason: str, rule: str = "", **changes: Any) -> Seen:
        """What central sees of a tap that it denied, where the list and the policy stayed as they are."""
        mark = Mark(at_ms, self.venue, self.name, self.direction.value, rule, 0, 0, self.epoch, self.sequence)
        one = self.seen(mark, reason, fate=DENIED, received_ms=at_ms + 1_000)
        assert one.told is not None
        lately = Lately((self.entry,), (self.policy,), 1, 1)
        return one._replace(told=one.told._replace(lately=lately), **changes)

    def seen(self, mark: Mark, reason: str, clock: Clock = Clock.TRUSTED, **changes: Any) -> Seen:
        held = HeldEntry(1, TOKEN, encode(self.entry) if self.entry else b"")
        told = Circumstances(
            clock, Held(0, 1, 1, 1), mark.at_ms + 1_000, held, held, self.policy, self.policy.looks_back
        )
        one = Seen(self.name, mark, mark.at_ms, "tap", reason, 1, "counts", False, token=TOKEN, told=told)
        return one._replace(**changes)


@st.composite
def days(draw: st.DrawFn, gates: int = 3) -> list[tuple[int, int]]:
    """Taps: minutes after noon, rising, and the number of the gate."""
    steps = draw(st.lists(st.tuples(st.integers(1, 400), st.integers(0, gates - 1)), min_size=1, max_size=14))
    found, minute = [], 0
    for step, gate in steps:
        minute += step
        found.append((NOON_MS + minute * MINUTE_MS, gate))
    return found


def date(at_ms: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC)


def shuffled(items: list[Any], seed: int) -> list[Any]:
    other = list(items)
    random.Random(seed).shuffle(other)
    return other
