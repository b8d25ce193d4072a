"""Time zones: the city's own, which holds wherever nobody states another, and those that are stated. Pure."""

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from protocol.errors import Failure, Refused

CITY_ZONE = "Asia/Taipei"
CITY = ZoneInfo(CITY_ZONE)
_NO_ZONES = ("localtime", "posixrules", "Factory")
"""Names that mean another thing on each machine."""


def zone_named(name: str) -> ZoneInfo:
    """A zone of the IANA database that is the same on each machine. Raises Refused `not-satisfiable`."""
    try:
        if name in _NO_ZONES or name.startswith(("posix/", "right/")):
            raise ValueError
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Refused(Failure.NOT_SATISFIABLE, f"there is no time zone {name!r}") from None
