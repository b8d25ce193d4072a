"""What a reader shows after a tap. Pure."""

from edge_agent.readers import Answer
from edge_agent.release import Signal
from protocol.messages import Outcome
from protocol.reasons import Reason

TAP_AGAIN = frozenset({Reason.UID_UNREADABLE, Reason.UID_INCOMPLETE})
"""The read was at fault, not the card: tapping again may do."""

OUT_OF_SERVICE = frozenset(
    {
        Reason.LIST_MISSING,
        Reason.LIST_TOO_OLD,
        Reason.CLOCK_UNTRUSTED,
        Reason.JOURNAL_UNWRITABLE,
        Reason.NOT_ENROLLED,
    }
)
"""The gate cannot judge anybody: no card would do."""


def answer_to(signal: Signal) -> Answer:
    """A way that was granted and did not open is an error, not a "please go in"; nor is a card that was taken."""
    if not signal.frees:
        return Answer.NOT_READY
    if signal.outcome is Outcome.GRANTED:
        return Answer.ERROR if signal.failed else Answer.GRANTED
    if signal.reason in TAP_AGAIN:
        return Answer.ERROR
    if signal.reason in OUT_OF_SERVICE:
        return Answer.NOT_READY
    return Answer.DENIED
