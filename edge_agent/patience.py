"""How the loops that need central wait out a failure: with jitter, longer each time, and never giving up."""

from collections.abc import Callable

import tenacity

from edge_agent.journal.database import JournalUnwritable
from edge_agent.uplink import NetworkFailure
from protocol.errors import Refused

Say = Callable[[int, BaseException | None], None]
"""(attempt, what went wrong)."""


def waiting_out(longest_wait_s: float, say: Say, *also: type[Exception]) -> tenacity.AsyncRetrying:
    """Tries again what failed by the line, by what came over it, by a journal that takes nothing, or by `also`."""
    return tenacity.AsyncRetrying(
        wait=tenacity.wait_random_exponential(multiplier=0.2, max=longest_wait_s),
        retry=tenacity.retry_if_exception_type((NetworkFailure, Refused, JournalUnwritable, *also)),
        before_sleep=lambda state: say(state.attempt_number, state.outcome.exception() if state.outcome else None),
    )
