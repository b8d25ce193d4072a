"""What people state of a venue's hours and of who is inside."""

from typing import Annotated, ClassVar

from msgspec import Meta

from central.facts import FactBody
from protocol.wire import Text

ClosesAt = Annotated[str, Meta(pattern=r"^(?:(?:[01]\d|2[0-3]):[0-5]\d|24:00)$")]
"""Local `HH:MM`; `24:00` is midnight."""


class ClosingChanged(FactBody, frozen=True):
    """From the fact's `at_ms` on, a venue closes at another time. `before`: when it closed until then."""

    KIND: ClassVar[str] = "closing-changed"
    closes_at: ClosesAt
    before: ClosesAt


class VisitCorrected(FactBody, frozen=True):
    """A corrected policy would have denied this entry: it counts as a visit no more (`visits` −1), or again (+1). Who
    came in was inside all the same."""

    KIND: ClassVar[str] = "visit-corrected"
    device: str
    epoch: bytes
    sequence: int
    policy: str
    visits: int
    why: str

    @property
    def name(self) -> tuple[str, bytes, int]:
        return self.device, self.epoch, self.sequence


class OccupancyCorrection(FactBody, frozen=True):
    """Staff counted who is inside at the fact's `at_ms`: so many (`count`), or so many more or fewer (`change`)."""

    KIND: ClassVar[str] = "occupancy-correction"
    change: int = 0
    count: int | None = None
    why: Text = ""
