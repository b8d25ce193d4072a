"""How long failures keep the next attempt waiting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.access.lockout import (
    ADDRESS_FAILURES,
    ADDRESS_WINDOW_MS,
    FORGOTTEN_MS,
    MINUTE_MS,
    Failures,
    drained,
    full_until_ms,
    is_loopback,
    locked_until_ms,
    network_of,
    one_more,
)

NOW_MS = 1_790_000_000_000


@pytest.mark.parametrize(
    ("failed", "minutes"), [(0, 0), (4, 0), (5, 1), (6, 2), (7, 4), (10, 32), (11, 60), (12, 60), (1_000_000, 60)]
)
def test_an_account_waits_longer_with_each_failure_up_to_an_hour(failed: int, minutes: int) -> None:
    until_ms = locked_until_ms(Failures(failed, NOW_MS))
    assert until_ms == (NOW_MS + minutes * MINUTE_MS if minutes else 0)


def test_failures_of_yesterday_are_forgotten() -> None:
    held = Failures(9, NOW_MS)
    assert one_more(held, NOW_MS + FORGOTTEN_MS - 1).number == 10
    assert one_more(held, NOW_MS + FORGOTTEN_MS).number == 1


def failed_at_once(times: int) -> Failures:
    held = Failures(0, NOW_MS)
    for _ in range(times):
        left = drained(held, NOW_MS)
        held = Failures(left.number + 1, left.last_ms)
    return held


def test_an_address_fails_thirty_times_and_then_waits() -> None:
    assert full_until_ms(failed_at_once(ADDRESS_FAILURES - 1), NOW_MS) == 0
    full = failed_at_once(ADDRESS_FAILURES)
    until_ms = full_until_ms(full, NOW_MS)
    assert until_ms == NOW_MS + 30_000
    assert full_until_ms(full, until_ms - 1) == until_ms
    assert full_until_ms(full, until_ms) == 0


@given(st.lists(st.integers(0, 120_000), min_size=1, max_size=200))
def test_no_address_fails_more_often_than_its_window_and_its_store_allow(pauses_ms: list[int]) -> None:
    held, now_ms, failed_ms = Failures(0, NOW_MS), NOW_MS, []
    for pause_ms in pauses_ms:
        now_ms += pause_ms
        if full_until_ms(held, now_ms):
            assert full_until_ms(held, now_ms) > now_ms
            continue
        left = drained(held, now_ms)
        held = Failures(left.number + 1, left.last_ms)
        failed_ms.append(now_ms)
    for first in failed_ms:
        within = [at for at in failed_ms if first <= at < first + ADDRESS_WINDOW_MS]
        assert len(within) <= 2 * ADDRESS_FAILURES


@pytest.mark.parametrize(
    ("origin", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("local socket", "local socket"),
    ],
)
def test_failures_are_counted_by_what_one_household_has(origin: str, network: str) -> None:
    assert network_of(origin) == network


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.9.10", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.7", False),
        ("0.0.0.0", False),
        ("::", False),
        ("localhost", False),
        ("", False),
    ],
)
def test_loopback_is_this_machine_alone(origin: str, own: bool) -> None:
    assert is_loopback(origin) is own
