"""What a reader shows: every reason, granted and denied, with a release that worked and one that did not."""

import pytest

from edge_agent.readers import Answer
from edge_agent.readers.answering import OUT_OF_SERVICE, TAP_AGAIN, answer_to
from edge_agent.release import Signal
from protocol.messages import Direction, Outcome
from protocol.reasons import Reason

DENIED = {
    **dict.fromkeys(("uid-unreadable", "uid-incomplete"), Answer.ERROR),
    **dict.fromkeys(
        ("list-missing", "list-too-old", "clock-untrusted", "journal-unwritable", "not-enrolled"), Answer.NOT_READY
    ),
}


def signal(outcome: Outcome, reason: str, failed: bool = False) -> Signal:
    return Signal(b"", 1, outcome, reason, Direction.IN, failed=failed)


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_answer(reason: Reason) -> None:
    assert answer_to(signal(Outcome.GRANTED, reason.value)) is Answer.GRANTED
    assert answer_to(signal(Outcome.DENIED, reason.value)) is DENIED.get(reason.value, Answer.DENIED)


@pytest.mark.parametrize("reason", Reason)
def test_a_way_that_did_not_open_is_an_error_and_a_refusal_stays_one(reason: Reason) -> None:
    assert answer_to(signal(Outcome.GRANTED, reason.value, failed=True)) is Answer.ERROR
    refused = answer_to(signal(Outcome.DENIED, reason.value, failed=True))
    assert refused is answer_to(signal(Outcome.DENIED, reason.value))


def test_a_reason_that_a_later_version_adds_is_a_refusal() -> None:
    assert answer_to(signal(Outcome.DENIED, "not-known-yet")) is Answer.DENIED


def test_no_reason_is_of_both_kinds() -> None:
    assert not TAP_AGAIN & OUT_OF_SERVICE
