"""The rule that makes taps of reads, without any reader."""

import pytest

from edge_agent.readers import ReaderState
from edge_agent.readers.presentation import PATIENCE_READS, Presentation, StateReport, Verdict

A, B = bytes.fromhex("2A83155E"), bytes.fromhex("5E15832A")
RANDOM_1, RANDOM_2 = bytes.fromhex("08112233"), bytes.fromhex("08445566")
SEVEN_WITH_08 = bytes.fromhex("08112233445566")


def taps(*reads: bytes, stable_reads: int = 2) -> list[bytes]:
    """What is told of a stream of reads."""
    card = Presentation(stable_reads)
    return [card.raw for raw in reads if card.see(raw) is Verdict.TAP]


@pytest.mark.parametrize(
    ("reads", "told"),
    [
        ([A], []),
        ([A, A], [A]),
        ([A, A, A, A], [A]),
        ([A, B, B], [B]),
        ([A, A, B, B], [A, B]),
        ([A, A, B, A, A], [A]),
        ([A, A, B, B, A, A], [A, B, A]),
        ([b"", A, A], [A]),
        ([A, b"", A, A], [A]),
        ([A, A, b"", b"", A, A], [A]),
        ([A, A, *[b""] * 3 * PATIENCE_READS, A, A], [A]),
        ([RANDOM_1, RANDOM_2, RANDOM_1, RANDOM_2], [RANDOM_2]),
        ([SEVEN_WITH_08, SEVEN_WITH_08], [SEVEN_WITH_08]),
    ],
)
def test_a_card_is_told_once_when_its_uid_is_stable(reads: list[bytes], told: list[bytes]) -> None:
    assert taps(*reads) == told


@pytest.mark.parametrize("raw", [b"", b"\x04", b"\x01\x02\x03"])
def test_an_unreadable_card_is_told_once_when_patience_ends(raw: bytes) -> None:
    assert taps(*[raw] * (PATIENCE_READS - 1)) == []
    assert taps(*[raw] * PATIENCE_READS * 4) == [raw]


def test_a_card_that_becomes_readable_after_all_is_told() -> None:
    assert taps(*[b""] * PATIENCE_READS, A, A) == [b"", A]


def test_two_cards_answering_in_turn_are_one_unreadable_tap() -> None:
    assert taps(*[A, B] * PATIENCE_READS * 2) == [b""]


def test_a_second_card_beside_a_known_one_does_not_hold_the_reader() -> None:
    card = Presentation(3)
    verdicts = [card.see(raw) for raw in [A, A, A, *[B, SEVEN_WITH_08] * PATIENCE_READS]]
    assert verdicts.count(Verdict.TAP) == 1
    assert Verdict.KNOWN in verdicts[3:]


def test_a_removal_makes_the_same_card_new() -> None:
    card = Presentation(1)
    assert card.see(A) is Verdict.TAP
    assert card.see(A) is Verdict.KNOWN
    card.gone()
    assert card.see(A) is Verdict.TAP


def test_reads_before_a_removal_do_not_count_after_it() -> None:
    card = Presentation(2)
    assert card.see(A) is Verdict.AGAIN
    card.gone()
    assert card.see(A) is Verdict.AGAIN


def test_a_state_is_reported_when_it_or_its_reason_changes() -> None:
    seen = []
    report = StateReport("door", lambda *news: seen.append(news))
    for state, why in [(ReaderState.READY, ""), (ReaderState.READY, ""), (ReaderState.ABSENT, "a")] * 2:
        report.say(state, why)
    report.say(ReaderState.ABSENT, "b")
    assert [(state.value, why) for _, state, why in seen] == [
        *[("ready", ""), ("absent", "a")] * 2,
        ("absent", "b"),
    ]
