"""Whatever was given and taken: without what is settled, a ledger goes on as it was."""

from collections import Counter
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from central.privacy.retention.settled_points import settled_before, without
from central.services.points.accounts import Member
from central.services.points.books import totals
from central.services.points.ledger import CITY_LOSS, ISSUED, REDEEMED, Given, Taken
from central.services.points.plans import month_span

UTC = ZoneInfo("UTC")
MONTHS = [month_span(f"2026-{number:02}", UTC)[0] for number in range(1, 9)]
CLOSED_MS, LATE_MS = MONTHS[5], MONTHS[7]
moments = st.integers(MONTHS[0], LATE_MS)
points = st.integers(1, 40)
gifts = st.builds(
    lambda at_ms, some, expires, number: Given(at_ms, some, expires, f"gift {number}", "granted"),
    *(moments, points, st.sampled_from([0, *MONTHS]), st.integers(0, 10**9)),
)
takings = st.builds(
    lambda at_ms, some, number: Taken(at_ms, some, REDEEMED, CITY_LOSS, f"taking {number}", "redeemed"),
    *(moments, points, st.integers(0, 10**9)),
)


def account_of(given_: list[Given], taken: list[Taken], known: int) -> Member:
    """Months are closed while only the first `known` of both are known."""
    then = Member(given_[:known], taken[:known], [], 0)
    booked = [line for line in then.open_lines(LATE_MS) if line.booked_ms < CLOSED_MS]
    return Member(given_, taken, booked, CLOSED_MS)


@settings(max_examples=300, deadline=None)
@given(st.lists(gifts, max_size=8), st.lists(takings, max_size=8), st.integers(0, 8))
def test_what_is_left_says_the_same_of_everything_after(given_: list[Given], taken: list[Taken], known: int) -> None:
    account = account_of(given_, taken, known)
    settled_ms = settled_before(account, [], MONTHS[6], UTC)
    rest = without(account, settled_ms)
    for at_ms in (settled_ms, CLOSED_MS, LATE_MS):
        assert rest.kept(max(at_ms, settled_ms)).lots == account.kept(max(at_ms, settled_ms)).lots
    assert rest.open_lines(LATE_MS) == account.open_lines(LATE_MS)
    kept = [line for line in account.booked if line.at_ms < settled_ms]
    assert _sum(totals(kept), totals(rest.lines(LATE_MS))) == _sum(totals(account.lines(LATE_MS)))
    assert all(line.booked_ms < CLOSED_MS for line in kept)


def test_what_was_spent_or_has_expired_is_settled_and_what_is_left_is_not() -> None:
    used = Given(MONTHS[0], 30, MONTHS[1], "used", "granted")
    spent = Taken(MONTHS[0] + 1, 10, REDEEMED, CITY_LOSS, "spent", "redeemed")
    stays = Given(MONTHS[2], 5, 0, "stays", "granted")
    account = account_of([used, stays], [spent], 2)
    assert settled_before(account, [], MONTHS[6], UTC) == MONTHS[1]
    assert settled_before(account_of([used], [spent], 2), [MONTHS[3]], MONTHS[6], UTC) == MONTHS[4]
    assert settled_before(account_of([used], [spent], 2), [], MONTHS[1] - 1, UTC) == 0


def test_what_was_known_after_its_month_was_closed_waits_until_it_is_booked() -> None:
    late = Given(MONTHS[0], 30, MONTHS[1], "late", "granted")
    account = account_of([late], [], 0)
    assert settled_before(account, [], MONTHS[6], UTC) == 0


def test_hours_keep_their_points() -> None:
    hours = Given(MONTHS[0], 30, MONTHS[1], "fact 1", "earned")
    assert settled_before(account_of([hours], [], 1), [], MONTHS[6], UTC) == 0


def _sum(*of: dict[str, int]) -> Counter[str]:
    found: Counter[str] = Counter({ISSUED: 0})
    for each in of:
        found.update(each)
    return Counter({account: some for account, some in found.items() if some})
