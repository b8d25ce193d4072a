"""One volunteer in tests: taps and statements in local time, and the rows that follow from them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from central.facts import Fact
from central.services.attendance.months import Lock, rows
from central.services.attendance.pairing import Signing
from central.services.attendance.stated import MemberMonthLocked, Row, SessionSettled, SignedByHand
from central.services.attendance.teams import Shift, Team, TeamRule, Teams, Version

TAIPEI = ZoneInfo("Asia/Taipei")
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
DESK = Team(
    venue="main",
    rules=(TeamRule(id="desk"), TeamRule(id="desk-training", activity="training")),
    shifts=(
        Shift(id="morning", days=("mon", "tue", "wed", "thu", "fri"), hours="09:00-12:00"),
        Shift(id="night", days=("fri",), hours="22:00-26:00"),
    ),
    coordinators=("lin",),
    may_sign_out_minutes=180,
)
CHILDREN = Team(venue="main", rules=(TeamRule(id="children"),), coordinators=("wang",), admins=("chen",))


def versions(*teams: tuple[str, Team], zone: ZoneInfo = TAIPEI) -> Teams:
    return Teams(Version(name, 1, 0, body, zone) for name, body in teams)


TEAMS = versions(("desk", DESK), ("children", CHILDREN))


def ms(text: str, zone: ZoneInfo = TAIPEI) -> int:
    """Of a local time such as `2026-03-02 09:00`."""
    return int(dt.datetime.fromisoformat(text).replace(tzinfo=zone).timestamp() * 1_000)


def signing(number: int, at_ms: int, way: str, team: str = "desk", **more: Any) -> Signing:
    """A tap; `number` names it."""
    return Signing(key(number), at_ms, way, team, venue="main", **{"known_ms": at_ms, **more})


def key(number: int) -> bytes:
    return b"epoch---" + number.to_bytes(8)


class Life:
    """What is known of the volunteer; `rows` are computed anew at each look."""

    def __init__(self, teams: Teams = TEAMS, zone: ZoneInfo = TAIPEI) -> None:
        self.teams, self.zone = teams, zone
        self.taps: list[Signing] = []
        self.facts: list[Fact] = []
        self.locks: dict[tuple[str, str], Lock] = {}

    def tap(self, at: str, way: str = "", team: str = "desk", known: str = "", **more: Any) -> bytes:
        at_ms = ms(at, self.zone)
        known_ms = ms(known, self.zone) if known else at_ms
        self.taps.append(signing(len(self.taps), at_ms, way, team, known_ms=known_ms, **more))
        return self.taps[-1].key

    def state(self, body: Any, at_ms: int, recorded_ms: int) -> bytes:
        id_ = len(self.facts).to_bytes(16)
        self.facts.append(Fact("d", id_, recorded_ms, at_ms, "lin", body.KIND, b"s" * 16, "main", body))
        return id_

    def by_hand(self, at: str, way: Any, team: str = "desk", **more: Any) -> bytes:
        at_ms = ms(at, self.zone)
        return self.state(SignedByHand(way=way, team=team, why="w", **more), at_ms, at_ms)

    def settle(self, name: bytes, recorded: str, from_: str = "", until: str = "", **more: Any) -> bytes:
        """Hours, or void where no time is stated."""
        row = self.of(name)[-1]
        taps = tuple(row.taps[at : at + 16] for at in range(0, len(row.taps), 16))
        times = {"from_ms": ms(from_, self.zone), "until_ms": ms(until, self.zone)} if from_ else {}
        body = SessionSettled(
            key=name, outcome="hours" if from_ else "void", why="seen", taps=taps, **{"team": row.team, **times, **more}
        )
        return self.state(body, row.at_ms, ms(recorded, self.zone))

    def lock(self, month: str, at: str, team: str = "desk") -> None:
        at_ms = ms(at, self.zone)
        booked = tuple(row for row in self.rows if (row.team, row.month) == (team, month))
        self.locks[team, month] = Lock(at_ms, 30)
        if booked:
            self.state(MemberMonthLocked(team=team, month=month, rows=booked), at_ms, at_ms)

    @property
    def rows(self) -> list[Row]:
        return rows(self.taps, self.facts, self.teams, self.locks)

    def of(self, name: bytes) -> list[Row]:
        return [row for row in self.rows if row.key == name]

    def booked(self) -> list[tuple[str, str, int]]:
        """Team, month and minutes of everything that counts."""
        return [(row.team, row.month, row.minutes) for row in self.rows if row.state == "counted"]

    def states(self) -> list[tuple[str, str]]:
        return [(row.state, row.why) for row in self.rows]


def total(found: Sequence[Row], month: str = "") -> int:
    return sum(row.minutes for row in found if row.state == "counted" and month in ("", row.month))


def changed(body: Team, **changes: Any) -> Team:
    return msgspec.structs.replace(body, **changes)
