"""How long to wait until a message is tried again, and when to give up. Pure."""

FIRST_MS = 30_000
LONGEST_MS = 900_000
GIVE_UP_MS = 3 * 86_400_000
"""After three days nobody wants to hear of it by mail any more: it stands in the inbox."""
DOUBLINGS = 12


def wait_ms(tries: int) -> int:
    """After so many failures: half a minute, then twice as long each time, a quarter of an hour at most."""
    return min(LONGEST_MS, FIRST_MS << min(max(tries - 1, 0), DOUBLINGS))


def is_hopeless(made_ms: int, now_ms: int) -> bool:
    """Whether a message that failed again is given up."""
    return now_ms - made_ms >= GIVE_UP_MS
