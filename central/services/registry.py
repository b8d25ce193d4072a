"""Every service, in the order in which they settle: a later one may read what an earlier one computed."""

from collections.abc import Awaitable, Callable, Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.attendance.store import Attendance
from central.services.judging.conflicts import Conflicts
from central.services.points.reservations import renew
from central.services.points.service import Points
from central.services.service import Service, Touched
from central.services.visits.service import Visits

SERVICES: tuple[Service, ...] = (Visits(), Attendance(), Points(), Conflicts())

Promise = Callable[[AsyncConnection, Sequence[Touched], int], Awaitable[set[tuple[str, bytes]]]]
"""What is promised after members were settled, at a time: no projection, so `rebuild` leaves it alone. Returns those of
whom the state feed has news by it."""

PROMISES: tuple[Promise, ...] = (renew,)
