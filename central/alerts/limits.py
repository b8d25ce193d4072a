"""Where the line lies between what is watched and what a person is called for: the settings under `[alerts]`. Pure."""

from typing import Annotated

import msgspec

Seconds = Annotated[int, msgspec.Meta(ge=10, le=30 * 86_400)]
Percent = Annotated[int, msgspec.Meta(ge=1, le=100)]


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Each is reached at its value; an incident is over only well below it."""

    silent_s: Seconds = 300
    """A device that was not heard of for so long, beyond the time that it said it would wait."""
    skew_s: Seconds = 60
    """A device's clock that is off by so much. Beyond two minutes gates call it wrong."""
    disk_percent: Percent = 10
    """So little of a disk is free, of a device or a server."""
    certificate_days: Annotated[int, msgspec.Meta(ge=1, le=3_650)] = 30
    """A certificate ends so soon."""
    denials_percent: Percent = 30
    """Of a gate's taps so many are denied, and …"""
    denials_times: Annotated[int, msgspec.Meta(ge=2, le=100)] = 3
    """… so many times the gate's own share before, and …"""
    denials_least: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 10
    """… at least so many, within a quarter of an hour."""
    untold_s: Seconds = 3_600
    """A system that is told of events takes nothing for so long."""
    library_s: Seconds = 3_600
    """A library system does not answer for so long."""
    behind_s: Seconds = 600
    """A device holds a list that is older by so much than the one it should hold."""
