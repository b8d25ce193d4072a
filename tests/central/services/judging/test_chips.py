"""A copied card answers with another chip. Readers tell of a chip in different ways, so only like is compared."""

from collections.abc import Sequence

import pytest

from central.services.judging.rejudge import judge_again
from central.services.judging.seen import Seen
from protocol.compiled import CompiledPolicy
from protocol.history import FORGOTTEN_MS
from protocol.policy import Admit, Policy
from tests.central.services.judging.gates import MINUTE_MS, NOON_MS, Gate

ALL = CompiledPolicy(Policy(1, (Admit(id="all"),)))
ONE, TWO = b"1" * 16, b"2" * 16


def read(device: str, minutes: int, fingerprint: bytes, reader: str = "", **changes: object) -> Seen:
    _, one = Gate(device, "v", ALL, sequence=10_000_000 + minutes).tap(NOON_MS + minutes * MINUTE_MS)
    assert one is not None
    return one._replace(fingerprint=fingerprint, reader=reader, **changes)  # type: ignore[arg-type]


def noticed(*seen: Seen) -> list[int]:
    """Minutes after noon of the taps at which another chip answered."""
    found = [one for one in judge_again(seen) if one.kind == "fingerprint-changed"]
    return [(one.at_ms - NOON_MS) // MINUTE_MS for one in found]


@pytest.mark.parametrize(
    ("readers", "is_noticed"),
    [(("acr", "acr"), True), (("acr", "pn532"), False), (("", ""), False), (("acr", ""), False)],
)
def test_across_devices_only_readers_of_one_kind_are_compared(readers: Sequence[str], is_noticed: bool) -> None:
    first, second = read("a", 0, ONE, readers[0]), read("b", 5, TWO, readers[1])
    assert noticed(first, second) == ([5] if is_noticed else [])


def test_the_newest_tap_at_the_same_device_counts_before_all_others() -> None:
    """Whatever the others say: there nothing but the chip can differ."""
    taps = read("a", 0, ONE, "acr"), read("b", 5, TWO, "acr")
    assert noticed(*taps, read("a", 9, ONE, "acr")) == [5]
    assert noticed(*taps, read("a", 9, TWO, "acr")) == [5, 9]


def test_one_device_that_read_the_same_chip_is_enough() -> None:
    """Of several others: one reader that tells more than its kind does is no copied card."""
    taps = read("a", 0, ONE, "acr"), read("b", 1, ONE, "acr"), read("c", 2, TWO, "pn532")
    assert noticed(*taps, read("d", 9, ONE, "acr")) == []
    assert noticed(*taps, read("d", 9, TWO, "pn532")) == []
    assert noticed(*taps, read("d", 9, TWO, "acr")) == [9]


def test_under_another_key_nothing_can_be_said() -> None:
    first = read("a", 0, ONE, "acr")
    assert noticed(first, read("b", 5, TWO, "acr", token=b"k" * 16)) == []
    assert noticed(first._replace(token=b""), read("b", 5, TWO, "acr", token=b"")) == []


def test_another_card_of_the_member_is_another_chip() -> None:
    assert noticed(read("a", 0, ONE, "acr"), read("b", 5, TWO, "acr", card=2)) == []


def test_what_is_longer_ago_than_gates_remember_is_not_compared() -> None:
    minutes = FORGOTTEN_MS // MINUTE_MS
    assert noticed(read("a", 0, ONE), read("a", minutes - 1, TWO)) == [minutes - 1]
    assert noticed(read("a", 0, ONE), read("a", minutes, TWO)) == []
