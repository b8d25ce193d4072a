"""How long to wait until a receiver is tried again, and when to give up an event or the subscription. Pure."""

FIRST_MS = 5_000
LONGEST_MS = 6 * 3_600_000
DEAD_MS = 3 * 86_400_000
"""After three days in which nothing at all was taken, a person must look: the subscription is dead."""
REFUSED_MS = 6 * 3_600_000
"""An event that was refused for so long, while others were taken, is a dead letter: nothing stops the queue."""
ALONE_MS = 86_400_000
"""The same, where nothing was taken meanwhile, so that it may be the receiver rather than the event."""
LONGEST_ASKED_MS = 86_400_000
"""No receiver keeps us waiting for longer by Retry-After."""
STEP, STEPS = 3, 9


def wait_ms(tries: int, chance: float, asked_ms: int = 0) -> int:
    """After so many failures: five seconds, then three times as long each time, six hours at most, a fifth more or
    less by `chance` (0 to 1), so that many do not come back at one moment. `asked_ms`: the receiver wants more."""
    plain = min(LONGEST_MS, FIRST_MS * STEP ** min(max(tries - 1, 0), STEPS))
    return max(int(plain * (0.8 + 0.4 * chance)), min(asked_ms, LONGEST_ASKED_MS))


def is_dead_letter(failing_ms: int, taken_ms: int, now_ms: int) -> bool:
    """Whether an event that was refused again is given up. `taken_ms`: when the receiver last took anything."""
    return now_ms - failing_ms >= (REFUSED_MS if taken_ms > failing_ms else ALONE_MS)


def is_dead(failing_ms: int, now_ms: int) -> bool:
    """Whether a subscription that takes nothing is given up."""
    return failing_ms > 0 and now_ms - failing_ms >= DEAD_MS
