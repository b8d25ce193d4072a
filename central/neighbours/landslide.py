"""Many patrons who are in good standing no more, all at once: that tells of the library system, not of them. Pure."""

from collections import deque

LOOKED_AT, MANY = 40, 20
"""So many of the last patrons who were in good standing."""


class Landslide:
    """What a library says of patrons who were in good standing when they were asked about last."""

    def __init__(self, goes_on: bool = False) -> None:
        """`goes_on`: it was on when another server, or this one before it stopped, asked last."""
        self._fell: deque[bool] = deque([True] * MANY if goes_on else [], maxlen=LOOKED_AT)

    def note(self, fell: bool) -> None:
        """One more of them, who is not any more or still is."""
        self._fell.append(fell)

    @property
    def is_on(self) -> bool:
        """Whether it is not to be believed that somebody is not any more."""
        return sum(self._fell) >= MANY
