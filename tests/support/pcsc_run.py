"""A PC/SC reader under test, with a profile that looks often, and waiting for what it does."""

import time
from collections.abc import Callable

import msgspec

from edge_agent.readers import CardRead
from firmware_profiles import GENERIC, ProfileBook, load_profiles
from tests.support.reader_run import DEADLINE_S, ReaderRun


def often(name: str, **changes: object) -> ProfileBook:
    """The shipped profile as a local one, with changes to its PC/SC side."""
    profile = load_profiles()[name]
    pcsc = msgspec.structs.replace(profile.pcsc, **changes)
    return ProfileBook({name: msgspec.structs.replace(profile, poll_ms=40, pcsc=pcsc)})


def running(
    name: str | None, book: ProfileBook | None = None, on_tap: Callable[[CardRead], None] | None = None
) -> ReaderRun:
    from edge_agent.readers.pcsc import PcscReader

    return ReaderRun(PcscReader("door", "Virtual PCD 00 00", name, book or often(name or GENERIC)), on_tap)


def wait_until(condition: Callable[[], bool], what: object = "") -> None:
    end_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end_s, what
        time.sleep(0.01)
