"""Whether a card's chip is the one that it was (SPEC §3). Pure.

A fingerprint is made of the token and of what a reader tells of the chip. The token is the same all over the domain;
how much is told differs from reader to reader. So a tap is compared with the newest one before it at the same device,
or where there is none, at a device whose readers read by the same profile.
"""

from collections.abc import Iterator, Sequence

from central.services.judging.seen import Seen
from protocol.history import FORGOTTEN_MS


def compared(one: Seen, before: Sequence[Seen]) -> Iterator[Seen]:
    """The taps that it is compared with, the newest first, if their readers are alike."""
    if not one.fingerprint:
        return
    elsewhere: dict[str, Seen] = {}
    for earlier in reversed(before):
        if one.at_ms - earlier.at_ms >= FORGOTTEN_MS:
            break
        if earlier.card != one.card or not earlier.fingerprint:
            continue
        if earlier.device == one.device:
            yield earlier
            return
        elsewhere.setdefault(earlier.device, earlier)
    yield from elsewhere.values()


def other_chip(one: Seen, before: Sequence[Seen]) -> Seen | None:
    """The tap at which another chip answered. Under another token or key nothing can be said: it is in the
    fingerprint."""
    for earlier in compared(one, before):
        if earlier.device == one.device or earlier.reader == one.reader != "":
            is_comparable = earlier.key_number == one.key_number and earlier.token == one.token != b""
            return earlier if is_comparable and earlier.fingerprint != one.fingerprint else None
    return None
