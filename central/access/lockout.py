"""How long a failed sign-in keeps the next one waiting. Pure.

An account is locked for longer with each failure after the fifth; an address may fail thirty times in fifteen minutes.
A locked account answers the same to a right and to a wrong password, and attempts while it is locked count for nothing.
"""

import ipaddress
from dataclasses import dataclass

FREE_FAILURES = 5
MINUTE_MS = 60_000
LONGEST_LOCK_MINUTES = 60
FORGOTTEN_MS = 24 * 60 * MINUTE_MS
"""After so long without another one, failures are forgotten."""

ADDRESS_FAILURES = 30
ADDRESS_WINDOW_MS = 15 * MINUTE_MS
ADDRESS_DRAINS_MS = ADDRESS_WINDOW_MS // ADDRESS_FAILURES

KNOWN_MS = 30 * 24 * 60 * MINUTE_MS
"""How long an address counts as one that the account signs in from."""


@dataclass(frozen=True)
class Failures:
    """As they are stored: how many, and when the last one was."""

    number: int = 0
    last_ms: int = 0


def locked_until_ms(held: Failures) -> int:
    """Of an account; 0: not locked."""
    if held.number < FREE_FAILURES:
        return 0
    minutes = min(1 << min(held.number - FREE_FAILURES, 16), LONGEST_LOCK_MINUTES)
    return held.last_ms + minutes * MINUTE_MS


def one_more(held: Failures, now_ms: int) -> Failures:
    """Of an account."""
    if now_ms - held.last_ms >= FORGOTTEN_MS:
        held = Failures()
    return Failures(held.number + 1, now_ms)


def drained(held: Failures, now_ms: int) -> Failures:
    """Of an address: what is left of its failures now. One is forgotten every thirty seconds."""
    steps = max(now_ms - held.last_ms, 0) // ADDRESS_DRAINS_MS
    if steps >= held.number:
        return Failures(0, now_ms)
    return Failures(held.number - steps, held.last_ms + steps * ADDRESS_DRAINS_MS)


def full_until_ms(held: Failures, now_ms: int) -> int:
    """When the address may try again; 0: now."""
    left = drained(held, now_ms)
    if left.number < ADDRESS_FAILURES:
        return 0
    return left.last_ms + (left.number - ADDRESS_FAILURES + 1) * ADDRESS_DRAINS_MS


def network_of(origin: str) -> str:
    """What failures are counted by: an IPv4 address, or the /64 that one household or office has of IPv6."""
    try:
        address = ipaddress.ip_address(origin.partition("%")[0])
    except ValueError:
        return origin
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((address, 64), strict=False))
    return str(address)


def is_loopback(origin: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        address = ipaddress.ip_address(origin.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
