"""The settings of a library system that is asked about its patrons: `[[libraries]]`."""

import re
from datetime import time
from pathlib import Path
from typing import Literal, NamedTuple

import msgspec

from central.neighbours.sip2.frames import ENCODINGS

_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])\Z")
_FIELD = re.compile(r"[A-Z][A-Z0-9]\Z")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}\Z")


class Quiet(NamedTuple):
    """From this local time until that one, past midnight where it is earlier."""

    begins: time
    ends: time

    def holds(self, at: time) -> bool:
        if self.begins <= self.ends:
            return self.begins <= at < self.ends
        return at >= self.begins or at < self.ends


class Library(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One library system, reached by SIP2. Members of `domain` who have a library barcode are asked about."""

    id: str
    domain: str
    host: str
    port: int = 6001
    tls: Literal["tls", "none"] = "tls"
    """`none` is in the clear: for loopback, or a line that something else protects. It is never chosen by itself."""
    authorities: Path | None = None
    """PEM of who may vouch for the library's certificate; not given: those that this machine trusts."""
    server_name: str = ""
    """The name in its certificate, where it is another one than `host`."""
    encoding: str = "utf-8"
    user: str = ""
    """Empty: it wants no login."""
    password_file: Path | None = None
    institution: str = ""
    place: str = ""
    """What this counter is called there."""
    class_name: str = "library-good"
    """The class that patrons in good standing have in this domain, by this library's word alone."""
    expiry_field: str = ""
    """The field in which it says until when a patron is one, such as PA; empty: it does not say."""
    every_hours: int = 12
    per_minute: int = 30
    quiet: str = ""
    """`23:00-06:00` in the time zone of the domain's venues: nobody is asked about then, but by hand."""
    connect_s: float = 10.0
    answer_s: float = 10.0

    def quiet_hours(self) -> Quiet | None:
        """None: there are none."""
        found = _SPAN.match(self.quiet)
        if found is None:
            return None
        hours = [int(part) for part in found.groups()]
        return Quiet(time(hours[0], hours[1]), time(hours[2], hours[3]))


def library_fault(library: Library) -> str:
    """Why settings that are well-formed cannot be used; empty where they can."""
    where = f"library {library.id!r}: "
    if not _NAME.match(library.id) or not _NAME.match(library.class_name):
        return where + "'id' and 'class_name' have 1 to 63 lower-case letters, digits and hyphens"
    if not library.host or not 0 < library.port <= 65_535 or not library.domain:
        return where + "'domain', 'host' and 'port' are needed"
    if library.encoding not in ENCODINGS:
        return where + f"'encoding' is {library.encoding!r}; known are {', '.join(ENCODINGS)}"
    if bool(library.user) != bool(library.password_file):
        return where + "'user' and 'password_file' belong together"
    if library.expiry_field and not _FIELD.match(library.expiry_field):
        return where + f"'expiry_field' is {library.expiry_field!r}: two letters, such as PA"
    if library.quiet and library.quiet_hours() is None:
        return where + f"'quiet' is {library.quiet!r}: two times, such as 23:00-06:00"
    if not 1 <= library.every_hours <= 24 * 31 or not 1 <= library.per_minute <= 600:
        return where + "'every_hours' is 1 to 744, 'per_minute' 1 to 600"
    if not 0 < library.connect_s <= 60 or not 0 < library.answer_s <= 60:
        return where + "'connect_s' and 'answer_s' are at most 60"
    return ""
