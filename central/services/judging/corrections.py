"""What a corrected policy makes of charges that were booked: the differences, tap by tap. Pure."""

from typing import NamedTuple

from central.services.judging.replay import Different, PastTap
from protocol.messages import Outcome


class Correction(NamedTuple):
    """`points` and `due` are added to the charge of a tap; below 0 = given back."""

    tap: PastTap
    points: int
    due: int

    @property
    def name(self) -> tuple[str, bytes, int]:
        return self.tap.device, self.tap.epoch, self.tap.sequence


def correction_of(different: Different) -> Correction | None:
    """None: nothing to book. Only who was let in and would have been is charged otherwise: nobody pays for an entry
    that was denied, and nobody's entry is taken back.

    More points are never taken than were taken then, since nobody knows whether there were more: the rest is due.
    """
    tap, would = different
    if tap.decision != Outcome.GRANTED or would.outcome is not Outcome.GRANTED:
        return None
    points = min(would.points, tap.points)
    due = would.points + would.due - points
    found = Correction(tap, points - tap.points, due - tap.due)
    return found if found.points or found.due else None
