"""The three clocks of a tap: wall, monotonic, and which boot the monotonic one belongs to."""

import time
from pathlib import Path
from typing import NamedTuple, Protocol


class Moment(NamedTuple):
    """`monotonic_ms` counts from boot and through suspend; it never jumps within one `boot_id` (8 bytes)."""

    wall_ms: int
    monotonic_ms: int
    boot_id: bytes


class Moments(Protocol):
    """Where the time comes from; tests bring their own."""

    def now(self) -> Moment: ...


class SystemMoments:
    """The machine's own clocks."""

    def __init__(self) -> None:
        text = Path("/proc/sys/kernel/random/boot_id").read_text()
        self._boot_id = bytes.fromhex(text.strip().replace("-", ""))[:8]

    def now(self) -> Moment:
        wall_ms = max(0, time.time_ns() // 1_000_000)
        return Moment(wall_ms, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000, self._boot_id)
