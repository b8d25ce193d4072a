"""The ledger of one member and its closed months: nothing is created or lost, whatever comes in whatever order."""

import random
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from central.services.points.books import Line, balance, open_lines, overspends, totals
from central.services.points.ledger import EXPIRED, MEMBER, Given, Lot, Posting, Taken, keep

HORIZON_MS = 1_000


def give(at_ms: int, points: int, expires_ms: int = 0, cause: str = "") -> Given:
    return Given(at_ms, points, expires_ms, cause or f"plan p {at_ms}", "month")


def spend(at_ms: int, points: int, cause: str = "") -> Taken:
    return Taken(at_ms, points, "venue:pool", "venue:pool:loss", cause or f"event d 00 {at_ms}", "spent")


def test_points_go_soonest_expiring_first_and_what_is_left_expires_in_its_last_millisecond() -> None:
    kept = keep([give(0, 100, 0, "stays"), give(1, 50, 500, "goes")], [spend(10, 60)], 499)
    assert kept.lots == (Lot(0, 0, "stays", 90),)
    kept = keep([give(0, 100, 0, "stays"), give(1, 50, 500, "goes")], [spend(10, 20)], 1_000)
    assert kept.postings[-1] == Posting(499, "expired", "goes", MEMBER, EXPIRED, 30)
    assert kept.balance == 100


def test_points_are_good_through_their_last_millisecond() -> None:
    lots = [give(0, 50, 500)]
    assert not overspends(as_lines(keep(lots, [spend(499, 50)], 1_000).postings))
    (lost,) = overspends(as_lines(keep(lots, [spend(500, 50)], 1_000).postings))
    assert (lost.points, lost.account) == (50, "venue:pool:loss")


def test_what_is_spent_beyond_the_balance_is_paid_by_the_venues_loss_account() -> None:
    kept = keep([give(0, 10)], [spend(5, 25, "event d 00 7")], 10)
    assert kept.postings[1:] == (
        Posting(5, "spent", "event d 00 7", MEMBER, "venue:pool", 10),
        Posting(5, "spent", "event d 00 7", "venue:pool:loss", "venue:pool", 15),
    )
    assert kept.balance == 0


def test_points_given_and_taken_in_one_millisecond_are_there_to_be_taken() -> None:
    assert keep([give(5, 10)], [spend(5, 10)], 5).balance == 0


def test_points_that_are_given_when_they_are_gone_already_can_be_spent_in_no_later_moment() -> None:
    kept = keep([give(50, 10, 20)], [spend(51, 10)], 100)
    assert [posting.source for posting in kept.postings] == ["city:issued", MEMBER, "venue:pool:loss"]


GIVEN = st.builds(
    Given,
    st.integers(0, HORIZON_MS),
    st.integers(1, 100),
    st.sampled_from([0, *range(50, 1_200, 50)]),
    st.integers(0, 10**6).map(lambda n: f"plan {n}"),
    st.sampled_from(["month", "earned"]),
)
TAKEN = st.builds(
    Taken,
    st.integers(0, HORIZON_MS),
    st.integers(1, 120),
    st.sampled_from(["venue:a", "venue:b", "city:redeemed"]),
    st.sampled_from(["venue:a:loss", "city:loss"]),
    st.integers(0, 10**6).map(lambda n: f"event {n}"),
    st.sampled_from(["spent", "redeemed"]),
)
ENTRIES = st.tuples(
    st.lists(GIVEN, max_size=12, unique_by=lambda g: g.cause), st.lists(TAKEN, max_size=12, unique_by=lambda t: t.cause)
)


@given(ENTRIES, st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(entries: Any, shuffled: random.Random) -> None:
    lots, spends = list(entries[0]), list(entries[1])
    first = keep(lots, spends, HORIZON_MS)
    shuffled.shuffle(lots)
    shuffled.shuffle(spends)
    assert keep(lots, spends, HORIZON_MS) == first


@given(ENTRIES, st.integers(0, HORIZON_MS))
def test_looking_further_ahead_changes_nothing_before(entries: Any, at_ms: int) -> None:
    whole = keep(*entries, 2 * HORIZON_MS)
    assert keep(*entries, at_ms).postings == tuple(p for p in whole.postings if p.at_ms <= at_ms)


@given(ENTRIES)
def test_points_are_never_created_nor_lost_and_nobody_has_less_than_none(entries: Any) -> None:
    lots, spends = entries
    kept = keep(lots, spends, HORIZON_MS)
    accounts: Counter[str] = Counter()
    for posting in kept.postings:
        assert posting.points > 0
        accounts[posting.source] -= posting.points
        accounts[posting.target] += posting.points
        assert sum(accounts.values()) == 0
        assert accounts[MEMBER] >= 0
    assert accounts[MEMBER] == kept.balance
    assert -accounts["city:issued"] == sum(each.points for each in lots)
    paid = Counter(
        {account: n for account, n in accounts.items() if account in ("venue:a", "venue:b", "city:redeemed")}
    )
    asked: Counter[str] = Counter()
    for each in spends:
        asked[each.target] += each.points
    assert paid == asked


# --- closed months ------------------------------------------------------------------------------------------


def as_lines(postings: Any) -> list[Line]:
    return [Line(posting.at_ms, *posting) for posting in postings]


def moved(lines: list[Line]) -> dict[str, int]:
    return {account: points for account, points in totals(lines).items() if points}


def test_a_late_mark_is_an_adjustment_in_the_first_open_month() -> None:
    lots = [give(0, 100, 100), give(100, 100, 200)]
    booked = open_lines(keep(lots, [], 99).postings, [], 0)
    assert [line.what for line in booked] == ["month", "expired"]
    late = keep(lots, [spend(50, 30)], 150)
    lines = open_lines(late.postings, booked, 100)
    assert lines == [
        Line(100, 99, "expired", "plan p 0", EXPIRED, MEMBER, 30),
        Line(100, 50, "spent", "event d 00 50", MEMBER, "venue:pool", 30),
        Line(100, 100, "month", "plan p 100", "city:issued", MEMBER, 100),
    ]
    assert [line.is_adjustment for line in lines] == [True, True, False]
    assert totals([*booked, *lines]) == totals(as_lines(late.postings))


def test_an_overspend_that_turns_out_to_be_none_is_taken_back() -> None:
    booked = open_lines(keep([], [spend(50, 30)], 99).postings, [], 0)
    assert [one.points for one in overspends(booked)] == [30]
    lines = [*booked, *open_lines(keep([give(10, 100)], [spend(50, 30)], 150).postings, booked, 100)]
    assert overspends(lines) == []
    assert balance(lines) == 70


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(GIVEN, TAKEN)), max_size=14, unique_by=lambda x: x[1].cause))
def test_closed_months_never_change_and_all_months_together_are_the_ledger(arrivals: Any) -> None:
    """Entries become known in four steps; after each the next month is closed."""
    booked: list[Line] = []
    known: list[Any] = []
    for step in range(4):
        known += [entry for at, entry in arrivals if at == step]
        lots = [entry for entry in known if isinstance(entry, Given)]
        spends = [entry for entry in known if isinstance(entry, Taken)]
        closed_ms, until_ms = 250 * step, 250 * (step + 1)
        postings = keep(lots, spends, HORIZON_MS).postings
        lines = open_lines(postings, booked, closed_ms)
        assert all(line.booked_ms >= closed_ms for line in lines)
        assert moved([*booked, *lines]) == moved(as_lines(postings))
        so_far = 0
        for line in [*booked, *lines]:
            so_far += balance([line])
            assert so_far >= 0
        booked = [*booked, *(line for line in lines if line.booked_ms < until_ms)]
