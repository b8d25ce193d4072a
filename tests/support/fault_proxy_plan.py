"""Which fault strikes which request: scripts, and seeded chance."""

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum


class Fault(StrEnum):
    """What happens to one request (HTTP mode), or to one connection (byte mode)."""

    NONE = "none"
    DROP_REQUEST = "drop-request"  # never reaches central; the client's connection ends
    DROP_ANSWER = "drop-answer"  # central has answered in full; the client never sees it
    DUPLICATE = "duplicate"  # central gets it twice; the client sees the second answer (HTTP mode only)
    TRUNCATE = "truncate"  # half of the answer, then the end
    DELAY = "delay"
    REORDER = "reorder"  # waits until a later request has been answered (HTTP mode only)
    LATE = "late"  # the client's connection ends; central gets the request after a later one (HTTP mode only)
    RESET = "reset"  # a TCP reset after central has the request (HTTP), after the first answer bytes (bytes)


@dataclass(frozen=True)
class Request:
    """What a plan decides by. In byte mode method and path are empty."""

    number: int
    method: str = ""
    path: str = ""


Plan = Callable[[Request], Fault]


def script(faults: Iterable[Fault], path: str = "") -> Plan:
    """These faults, one for each request to `path` (a prefix); after the last one the line is good."""
    left = iter(list(faults))
    return lambda request: next(left, Fault.NONE) if request.path.startswith(path) else Fault.NONE


def seeded(seed: int, share: float, faults: Iterable[Fault], path: str = "") -> Plan:
    """A fault at random in this share of the requests to `path`, the same ones for the same seed."""
    chance, kinds = random.Random(seed), list(faults)

    def plan(request: Request) -> Fault:
        if not request.path.startswith(path) or chance.random() >= share:
            return Fault.NONE
        return chance.choice(kinds)

    return plan
