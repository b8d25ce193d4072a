"""A member who taps through the gates of a domain, under a policy file as operators find it."""

import datetime as dt
import tomllib
from pathlib import Path
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from protocol.allowlist import CardState, Entry, Grant
from protocol.compiled import CompiledPolicy
from protocol.decision import Decision, Staleness, Tap, decide
from protocol.explain import explain
from protocol.history import History, LastTap, Mark, with_tap
from protocol.messages import Clock, Direction, Outcome
from protocol.policy import Calendar, Policy

SERVICES = Path(__file__).parents[2] / "deploy" / "services"
EPOCH = b"\xa1" * 8
SEASON_2018 = Calendar(
    holidays=tuple(
        dt.date.fromisoformat(day)
        for day in (
            *("2018-12-31", "2019-01-01", "2019-02-04", "2019-02-05", "2019-02-06", "2019-02-07", "2019-02-08"),
            *("2019-02-28", "2019-03-01", "2019-04-04", "2019-04-05"),
        )
    ),
    workdays=(dt.date(2018, 12, 22), dt.date(2019, 1, 19), dt.date(2019, 2, 23)),
)
"""Taiwan's public holidays and make-up workdays (all of them Saturdays) from November 2018 to April 2019."""


def body_of(name: str) -> dict[str, Any]:
    return tomllib.loads((SERVICES / f"{name}.toml").read_text(encoding="utf-8"))


def policy_of(name: str, **changes: Any) -> CompiledPolicy:
    """The policy of a service, as central compiles it. `changes`: what an operator put in place of the file's."""
    policy = msgspec.convert(body_of(name) | {"version": 1}, Policy)
    return CompiledPolicy(msgspec.structs.replace(policy, **changes))


def at_ms(text: str, zone: str = "Asia/Taipei") -> int:
    """UTC milliseconds of a local time."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1_000)


class Told(NamedTuple):
    """What the person got."""

    reason: str
    rule: str
    points: int
    due: int


class Visitor:
    """Every gate knows of every tap at the others, as gates do that are connected."""

    def __init__(self, policy: CompiledPolicy, *classes: str, points: int = 0, **entry: Any) -> None:
        self.policy = policy
        grants = tuple(Grant(name) for name in classes)
        self.entry = Entry(bytes(16), 1, CardState.ACTIVE, grants, **entry)
        self.histories: dict[str, History] = {}
        self.points = points
        """What is reserved to each gate, less what was spent anywhere."""
        self.events = 0
        self.inside: int | None = 0

    def history(self, gate: str) -> History:
        """As that gate has it: its own last tap, and everybody's marks."""
        lapse_ms = at_ms("2100-01-01")
        own = self.histories.get(gate, History())
        others = tuple(mark for name, each in self.histories.items() if name != gate for mark in each.own)
        spent = sum(mark.points for mark in others)
        return msgspec.structs.replace(own, told=others, reserved=max(0, self.points - spent), lapse_ms=lapse_ms)

    def moment(self, when: str, gate: str, direction: str, choice: str) -> Tap:
        at = at_ms(when, self.policy.policy.time_zone)
        here = {"venue": gate.partition(":")[0], "gate": gate, "inside": self.inside, "choice": choice}
        return Tap(at, b"boot-id!", at, Clock.TRUSTED, Direction(direction), Staleness.FRESH, **here)

    def decision(self, when: str, gate: str = "centre:door", direction: str = "in", choice: str = "") -> Decision:
        """Decides, and keeps what a gate keeps."""
        tap, history = self.moment(when, gate, direction, choice), self.history(gate)
        answer = decide(self.policy, self.entry, history, tap)
        assert explain(self.policy, self.entry, history, tap).decision == answer
        if answer.repeats is None:
            way = answer.direction if answer.outcome is Outcome.GRANTED else direction
            name = EPOCH, self.events
            last = LastTap(
                *(tap.at_ms, tap.boot_id, tap.monotonic_ms, name[1], name[0], way),
                *(answer.outcome, answer.reason, answer.rule),
            )
            mark = Mark(tap.at_ms, tap.venue, gate, way, answer.rule, answer.points, answer.due, *name)
            kept = with_tap(self.histories.get(gate), last, mark if answer.counts else None)
            self.histories[gate] = kept
        self.events += 1
        return answer

    def comes(self, when: str, gate: str = "centre:door", choice: str = "") -> Told:
        answer = self.decision(when, gate, "in", choice)
        return Told(answer.reason, answer.rule, answer.points, answer.due)

    def leaves(self, when: str, gate: str = "centre:exit") -> Told:
        answer = self.decision(when, gate, "out")
        assert answer.outcome is Outcome.GRANTED
        return Told(answer.reason, answer.rule, answer.points, answer.due)
