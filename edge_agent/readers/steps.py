"""The steps of a read as they happen, for whoever tries a reader out. While an agent runs nobody listens."""

import contextlib
from collections.abc import Callable, Iterator
from enum import StrEnum


class ReadStep(StrEnum):
    """In the order in which they come; CONNECTED and READ once for every attempt."""

    ARRIVED = "arrived"
    """The reader says that a card is there."""
    CONNECTED = "connected"
    """The card can be spoken to."""
    READ = "read"
    """It answered the question for its UID."""


Listener = Callable[[ReadStep], None]


class _Ear:
    listener: Listener | None = None


def note(step: ReadStep) -> None:
    """Called by readers, in their own threads."""
    if _Ear.listener is not None:
        _Ear.listener(step)


@contextlib.contextmanager
def heard(listener: Listener) -> Iterator[None]:
    """While this is entered, `listener` hears every step of every reader of this process."""
    _Ear.listener = listener
    try:
        yield
    finally:
        _Ear.listener = None
