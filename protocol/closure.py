"""Whether a venue is closed to somebody at a moment (SPEC §7.6, §8.2)."""

from collections.abc import Sequence

from protocol.allowlist import Grant
from protocol.configuration import Closure


def closure_at(closures: Sequence[Closure], at_ms: int, classes: Sequence[Grant]) -> Closure | None:
    """The first closure that holds then and admits none of the classes that are in force; None = it is open."""
    for closure in closures:
        if closure.from_ms <= at_ms < closure.until_ms and not _is_admitted(closure, at_ms, classes):
            return closure
    return None


def closed(closures: Sequence[Closure], at_ms: int, classes: Sequence[Grant]) -> bool:
    """What a tap's `is_closed` says. `classes`: those of the card's entry."""
    return bool(closures) and closure_at(closures, at_ms, classes) is not None


def _is_admitted(closure: Closure, at_ms: int, classes: Sequence[Grant]) -> bool:
    return any(
        grant.name in closure.admits and grant.from_ms <= at_ms and (not grant.until_ms or at_ms < grant.until_ms)
        for grant in classes
    )
