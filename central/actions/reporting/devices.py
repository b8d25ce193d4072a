"""How devices did over some days: online, behind, silent, alarm."""

from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import Context, Params, Result, action
from central.actions.reporting.period import Date, Name, period_of, places_of
from central.reporting.counting import day_span, days_between
from central.reporting.health_over_time import Change, by_day, lived, spells
from central.store.schema import device_states, devices, gates
from central.store.slices import slices
from protocol.time_zones import CITY_ZONE

MOST_DAYS, DAYS = 31, 7


class DevicesReportParams(Params, frozen=True):
    """Of a venue, a gate, or all; a week where no days are stated."""

    venue: Name = ""
    gate: Name = ""
    since: Date = ""
    until: Date = ""


class DeviceLived(msgspec.Struct, frozen=True):
    """A device that is not revoked. `online`: its share of the time that is known; null: nothing is known.
    `longest_silent_ms`: within these days."""

    device: str
    gate: str
    venue: str
    online: float | None
    states_ms: dict[str, int]
    silences: int
    longest_silent_ms: int


class DayLived(msgspec.Struct, frozen=True):
    """Of all these devices together."""

    day: str
    states_ms: dict[str, int]


class DevicesReport(Result, frozen=True):
    """Devices by how little they were online."""

    since: str
    until: str
    devices: list[DeviceLived]
    days: list[DayLived]


@action("report.devices", DevicesReportParams, writes=False)
async def report_devices(context: Context, params: DevicesReportParams) -> DevicesReport:
    """As far as it was written down: this server looks three times a minute, while it runs."""
    async with context.database.read() as connection:
        places = await places_of(connection, context, params.venue)
        asked = (params.since, params.until, places, context.now_ms)
        period = period_of(*asked, most_days=MOST_DAYS, days=DAYS)
        zone = ZoneInfo(places[0].time_zone if places else CITY_ZONE)
        days = [(day, *day_span(day, zone)) for day in days_between(period.since, period.until)]
        since_ms, until_ms = days[0][1], max(days[0][1], min(days[-1][2], context.now_ms))
        query = select(devices.c.id, gates.c.id, gates.c.venue).join(gates, gates.c.id == devices.c.gate)
        query = query.where(devices.c.state != "revoked", gates.c.venue.in_([place.id for place in places]))
        if params.gate:
            query = query.where(gates.c.id == params.gate)
        rows = (await connection.execute(query.order_by(devices.c.id))).all()
        changes = await _changes(connection, [row[0] for row in rows], since_ms, until_ms)
    of = {device: spells(changes.get(device, []), since_ms, until_ms) for device, *_ in rows}
    found = []
    for device, gate, venue in rows:
        summed = lived(of[device])
        share = summed.online_share
        rest = (dict(summed.by_state), summed.silences, summed.longest_silent_ms)
        found.append(DeviceLived(device, gate, venue, None if share is None else round(share, 4), *rest))
    return DevicesReport(
        since=period.since,
        until=period.until,
        devices=sorted(found, key=lambda each: (2.0 if each.online is None else each.online, each.gate, each.device)),
        days=[DayLived(day[0], states) for day, states in zip(days, by_day(of.values(), days), strict=True)],
    )


async def _changes(connection: AsyncConnection, of: list[str], since_ms: int, until_ms: int) -> dict[str, list[Change]]:
    """Those within the time, and of each device the last one before it."""
    s, found = device_states.c, dict[str, list[Change]]()
    other = device_states.alias("other").c
    earlier = select(func.max(other.at_ms)).where(other.device == devices.c.id, other.at_ms <= since_ms)
    before = earlier.correlate(devices).scalar_subquery()
    for some in slices(of):
        first = select(s.device, s.at_ms, s.state).select_from(devices)
        first = first.join(device_states, (s.device == devices.c.id) & (s.at_ms == before))
        within = select(s.device, s.at_ms, s.state).where(s.at_ms > since_ms, s.at_ms < until_ms)
        for query in (first.where(devices.c.id.in_(some)), within.where(s.device.in_(some))):
            for device, at_ms, state in await connection.execute(query.order_by(s.device, s.at_ms)):
                found.setdefault(device, []).append((at_ms, state))
    return found
