"""Who left and had not come in: an open disagreement where something hangs on it, else a note."""

import datetime as dt
from typing import Any

import pytest

from central.services.judging.kinds import Finding
from central.services.judging.rejudge import judge_again
from central.services.judging.seen import Seen
from protocol.compiled import CompiledPolicy
from protocol.messages import Direction
from protocol.policy import Admit, Passback, Policy, Rule, Tariff
from tests.central.services.judging.gates import MINUTE_MS, NOON_MS, Gate

DAY_MS = 24 * 60 * MINUTE_MS
HARD, SOFT = Passback(id="inside"), Passback(id="inside", mode="soft")


def by(*rules: Rule, **more: Any) -> CompiledPolicy:
    return CompiledPolicy(Policy(1, (*rules, Admit(id="all", tariff="t" if "tariffs" in more else None)), **more))


def tap(policy: CompiledPolicy, minutes: int, way: str = "out", venue: str = "v", gate: str = "") -> Seen:
    name = gate or f"{venue}-{way}"
    one = Gate(name, venue, policy, Direction(way), sequence=minutes + 100_000)
    _, seen = one.tap(NOON_MS + minutes * MINUTE_MS)
    assert seen is not None
    return seen


def left(*seen: Seen) -> list[Finding]:
    return [one for one in judge_again(seen) if one.kind == "left-without-entry"]


@pytest.mark.parametrize(
    ("policy", "found"),
    [
        (by(HARD), ["open"]),
        (by(SOFT), ["note"]),
        (by(SOFT, Passback(id="other")), ["open"]),
        (by(), []),
        (by(Passback(id="inside", scope="gate")), []),
        (by(tariffs={"t": Tariff(5, per="started-hour")}), ["open"]),
        (by(SOFT, tariffs={"t": Tariff(5, per="started-hour")}), ["open"]),
        (by(tariffs={"t": Tariff(5, per="entry")}), []),
    ],
)
def test_it_depends_on_whether_the_policy_counts_on_entries(policy: CompiledPolicy, found: list[str]) -> None:
    assert ["note" if one.is_note else "open" for one in left(tap(policy, 0))] == found


@pytest.mark.parametrize("dates", [("2026-09-25", None), (None, "2026-09-24")])
def test_a_rule_of_another_time_expects_nothing(dates: tuple[str | None, str | None]) -> None:
    first, last = (dt.date.fromisoformat(each) if each else None for each in dates)
    assert left(tap(by(Passback(id="inside", valid_from=first, valid_until=last)), 0)) == []


def test_an_entry_before_it_is_all_it_takes() -> None:
    policy = by(HARD)
    assert left(tap(policy, -60, "in"), tap(policy, 0)) == []


def test_an_entry_at_another_venue_counts_only_where_the_domain_does() -> None:
    venue, domain = by(Passback(id="p", scope="venue")), by(Passback(id="p", scope="domain"))
    assert len(left(tap(venue, -60, "in", "other"), tap(venue, 0))) == 1
    assert left(tap(domain, -60, "in", "other"), tap(domain, 0)) == []


def test_the_second_exit_in_a_row_names_the_first_but_not_when_the_way_was_slow() -> None:
    policy = by(HARD)
    entry, first = tap(policy, -60, "in"), tap(policy, 0)
    assert left(entry, first, tap(policy, 4)) == []
    (found,) = left(entry, first, tap(policy, 5))
    assert found.detail["last"]["at_ms"] == NOON_MS
    (found,) = left(entry, first, tap(policy, 4, gate="v-other-way-out"))
    assert found.sequence == 100_005


def test_an_entry_of_a_month_ago_is_forgotten() -> None:
    policy = by(HARD)
    assert left(tap(policy, -31 * 24 * 60 + 1, "in"), tap(policy, 0)) == []
    (found,) = left(tap(policy, -31 * 24 * 60, "in"), tap(policy, 0))
    assert found.detail == {"last": None}


@pytest.mark.parametrize("fate", ["not-taken", "undone"])
def test_an_exit_that_was_given_back_is_no_exit_and_an_entry_no_entry(fate: str) -> None:
    policy = by(HARD)
    assert left(tap(policy, 0)._replace(fate=fate)) == []
    assert len(left(tap(policy, -60, "in")._replace(fate=fate), tap(policy, 0))) == 1


def test_a_late_entry_takes_it_away() -> None:
    policy = by(HARD)
    way_out = tap(policy, 0)
    assert len(left(way_out)) == 1
    assert left(way_out, tap(policy, -5, "in")) == []
