"""Asking a library system: with its password, in its local time, and in the way that it knows."""

import datetime as dt
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.neighbours.settings import Library
from central.neighbours.sip2.line import FaultKind, Line, LineFault, Unsendable, opened, tls_context
from central.neighbours.sip2.meaning import Patron, Standing, patron_of
from central.neighbours.sip2.requests import patron_information, patron_status
from central.store.schema import venues
from protocol.time_zones import CITY


@asynccontextmanager
async def line_to(library: Library) -> AsyncIterator[Line]:
    """Signed in. Raises LineFault, also where the password cannot be read."""
    async with AsyncExitStack() as stack:
        try:
            line = await stack.enter_async_context(opened(library, password_of(library), tls_context))
        except Unsendable as error:
            raise LineFault(FaultKind.LOGIN, f"the login cannot be sent: {error}") from None
        yield line


def password_of(library: Library) -> str:
    """The first line of its file; it is kept nowhere. Raises LineFault."""
    if library.password_file is None:
        return ""
    try:
        return library.password_file.read_text("utf-8").partition("\n")[0].strip("\r")
    except (OSError, UnicodeDecodeError):
        raise LineFault(FaultKind.LOGIN, "the password's file cannot be read: see password_file") from None


async def zones_of(connection: AsyncConnection, domain: str) -> list[ZoneInfo]:
    """Of a domain's venues, at least one."""
    query = select(venues.c.time_zone).where(venues.c.domain == domain).distinct().order_by(venues.c.time_zone)
    return [ZoneInfo(name) for name in (await connection.execute(query)).scalars()] or [CITY]


def local(now_ms: int, zone: ZoneInfo) -> dt.datetime:
    """A moment as clocks there have it."""
    return dt.datetime.fromtimestamp(now_ms / 1_000, zone)


def is_quiet(library: Library, zones: Sequence[ZoneInfo], now_ms: int) -> bool:
    """Whether nobody is to be asked about now: it is quiet in any of the time zones."""
    quiet = library.quiet_hours()
    return quiet is not None and any(quiet.holds(local(now_ms, zone).time()) for zone in zones)


async def ask_about(line: Line, library: Library, number: str, now: dt.datetime) -> Patron:
    """What the library says of a patron. A number that cannot be sent is unknown. Raises LineFault."""
    if line.service.knows_information:
        request = patron_information(library.institution, number, now)
    elif line.service.knows_status:
        request = patron_status(library.institution, number, now)
    else:
        raise LineFault(FaultKind.UNSUITED, "the library system answers no questions about patrons (BX of its status)")
    try:
        answer = await line.ask(request)
    except Unsendable:
        return Patron(Standing.UNKNOWN, why="number cannot be sent")
    return patron_of(answer, now.date(), library.expiry_field)
