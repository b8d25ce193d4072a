"""Write down which members were denied where: rows of `denials`, the same in whatever order the events came."""

from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from central.services.mark_rows import places_of
from central.services.marks import Happened, person_of
from central.services.service import Touched
from central.store.put_rows import put_rows
from central.store.schema import denials
from protocol.messages import Kind, Outcome


async def settle_denials(connection: AsyncConnection, happened: Sequence[Happened]) -> list[Touched]:
    """Returns whom these events touched. A repeat says nothing new, and of a card on no list nobody knows whose it
    is."""
    denied = [
        (event, person)
        for event in happened
        if event.kind == Kind.TAP and event.decision == Outcome.DENIED and not event.repeat_of
        if (person := person_of(event.personal)).subject
    ]
    if not denied:
        return []
    places = await places_of(connection, [event for event, _ in denied])
    rows, touched = [], []
    for event, person in denied:
        place = places[event.device, event.gate]
        row = {"domain": place.domain, "subject": person.subject, "epoch": event.epoch, "sequence": event.sequence}
        row |= {"device": event.device, "at_ms": event.at_ms, "venue": place.venue, "gate": place.gate}
        row |= {"direction": event.direction, "reason": event.reason, "rule": event.rule, "card": person.card}
        rows.append(row)
        touched.append(Touched(place.domain, person.subject, event.at_ms, event.at_ms))
    await put_rows(connection, denials, rows)
    return touched
