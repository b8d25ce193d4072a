"""Count the visits of days again, where classes were put right after they were counted."""

from central.actions.action import Context, Params, Result, action
from central.actions.reporting.period import Date, Name, period_of, places_of
from central.actions.reporting.visits import MOST_DAYS
from central.reporting.counting import days_between
from central.reporting.visit_counts import count_due
from central.services.visits.due import note_days


class RecountParams(Params, frozen=True):
    """Of a venue or of all; four weeks where no days are stated."""

    venue: Name = ""
    since: Date = ""
    until: Date = ""
    who: Name = ""


class Recounted(Result, frozen=True):
    """How many days of venues were counted."""

    since: str
    until: str
    days: int


@action("report.recount", RecountParams, writes=True)
async def report_recount(context: Context, params: RecountParams) -> Recounted:
    """By the classes that members have now. Also for visits of before there were reports."""
    async with context.database.write() as connection:
        places = await places_of(connection, context, params.venue)
        period = period_of(params.since, params.until, places, context.now_ms, most_days=MOST_DAYS)
        days = {(place.id, day) for place in places for day in days_between(period.since, period.until)}
        await note_days(connection, days)
    counted = await count_due(context.database, context.progress)
    return Recounted(since=period.since, until=period.until, days=counted)
