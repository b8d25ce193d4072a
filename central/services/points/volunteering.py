"""Points for volunteers' hours, once a month of theirs is locked. Pure.

Minutes are added up over all that was locked, and only the total is cut off to full hours. So no minute is lost between
two months, and an adjustment in a later one gives or takes exactly the difference that it makes.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from zoneinfo import ZoneInfo

from central.facts import Fact
from central.services.attendance.hours import COUNTED
from central.services.attendance.stated import MemberMonthLocked
from central.services.points.ledger import CITY_LOSS, ISSUED, Given, Taken
from central.services.points.plans import Plan, date_of, expires_ms, in_force

HOUR_MINUTES = 60


class Locked(NamedTuple):
    """A member's minutes in a team's month that was locked at `at_ms`, adjustments of earlier months among them.
    `minutes`: by the instant at which each session began."""

    at_ms: int
    team: str
    cause: str
    minutes: tuple[tuple[int, int], ...]


def locked_of(facts: Iterable[Fact]) -> list[Locked]:
    """Of one member; `facts` in the order in which they were stated. Should two have locked a month, the first did."""
    found: dict[tuple[str, str], Locked] = {}
    for fact in facts:
        body: MemberMonthLocked = fact.body
        minutes = tuple((row.at_ms, row.minutes) for row in body.rows if row.state == COUNTED)
        cause = f"fact {fact.id.hex()}"
        found.setdefault((body.team, body.month), Locked(fact.recorded_ms, body.team, cause, minutes))
    return list(found.values())


def of_hours(plans: Mapping[str, Plan], locked: Sequence[Locked]) -> tuple[list[Given], list[Taken]]:
    """What each lock gave, and what one took back. `locked` in the order in which they were locked."""
    given, taken = list[Given](), list[Taken]()
    for plan in plans.values():
        zone = ZoneInfo(plan.time_zone)
        for line in plan.hours:
            total = 0
            for each in locked:
                if line.team not in (None, each.team):
                    continue
                before = total
                total += sum(minutes for at_ms, minutes in each.minutes if in_force(line, date_of(at_ms, zone)))
                points = line.points * (_full(total) - _full(before))
                if points > 0:
                    until_ms = expires_ms(line, date_of(each.at_ms, zone), zone)
                    given.append(Given(each.at_ms, points, until_ms, each.cause, "earned"))
                elif points < 0:
                    taken.append(Taken(each.at_ms, -points, ISSUED, CITY_LOSS, each.cause, "earned"))
    return given, taken


def _full(minutes: int) -> int:
    """Below 0 are the minutes of a line from which a session was moved to another one's days."""
    return max(0, minutes) // HOUR_MINUTES
