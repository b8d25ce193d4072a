"""What people state about conflicts, clocks and the way between venues."""

from typing import ClassVar

from central.facts import FactBody


class _OfConflict(FactBody, frozen=True):
    """It names the event as well, so that it can be told what it was about when nothing contradicts any more."""

    id: bytes
    conflict: str
    """Its kind."""
    device: str
    epoch: bytes
    sequence: int
    why: str


class ConflictSettled(_OfConflict, frozen=True):
    """A person looked at it, and it is done with."""

    KIND: ClassVar[str] = "conflict-settled"


class ConflictReopened(_OfConflict, frozen=True):
    """It is not done with after all."""

    KIND: ClassVar[str] = "conflict-reopened"


class ConflictCommented(_OfConflict, frozen=True):
    """Something to know about it."""

    KIND: ClassVar[str] = "conflict-commented"


class ConflictAssigned(_OfConflict, frozen=True):
    """Whose it is to settle it; `to` is an account, or empty: nobody's any more."""

    KIND: ClassVar[str] = "conflict-assigned"
    to: str


ABOUT_CONFLICTS = (ConflictSettled, ConflictReopened, ConflictCommented, ConflictAssigned)


class ClockOffset(FactBody, frozen=True):
    """From `from_ms` until `until_ms` (excluded), as the device's own clock said, it was `ms` ahead of the time; below
    0 behind. Of two that speak of one instant the later fact holds, so 0 takes one back."""

    KIND: ClassVar[str] = "clock-offset"
    device: str
    from_ms: int
    until_ms: int
    ms: int
    why: str


class TravelTime(FactBody, frozen=True):
    """Nobody gets from one venue to the other in fewer minutes; 0 = nothing is known. It holds for taps after it."""

    KIND: ClassVar[str] = "travel-time"
    venue: str
    other: str
    minutes: int


class ChargeCorrected(FactBody, frozen=True):
    """What a tap charged was wrong by so much: `points` and `due` are added to what it says, below 0 = given back. The
    points themselves go over the ledger."""

    KIND: ClassVar[str] = "charge-corrected"
    device: str
    epoch: bytes
    sequence: int
    policy: str
    points: int
    due: int
    why: str
