"""What time it was when a gate's clock was off, as people stated it (SPEC §8.3). Pure: events stay as they are."""

from collections.abc import Iterable
from typing import NamedTuple


class Offset(NamedTuple):
    """One statement: a device's clock was `ms` ahead over a range of its own time."""

    device: str
    from_ms: int
    until_ms: int
    ms: int
    known_ms: int = 0
    """When it was stated."""


class Clocks:
    """All statements about a domain's devices, in the order in which they were made: of two the later one holds."""

    def __init__(self, offsets: Iterable[Offset] = ()) -> None:
        self._by_device: dict[str, list[Offset]] = {}
        for offset in offsets:
            self._by_device.setdefault(offset.device, []).append(offset)

    @property
    def widest_ms(self) -> int:
        """No time is corrected by more."""
        return max((abs(each.ms) for said in self._by_device.values() for each in said), default=0)

    def stated(self, device: str, at_ms: int) -> Offset | None:
        """What holds of a device at an instant of its own clock."""
        said = reversed(self._by_device.get(device, ()))
        return next((each for each in said if each.from_ms <= at_ms < each.until_ms), None)

    def corrected_ms(self, device: str, at_ms: int) -> int:
        """What time it was when the device's clock said `at_ms`."""
        offset = self.stated(device, at_ms)
        return at_ms if offset is None else max(0, at_ms - offset.ms)
