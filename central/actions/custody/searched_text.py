"""What a person typed into the search box of the sync log."""

from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.actions.action import ActionFailed
from central.services.marks import EventName
from central.store.schema import devices, gates, venues
from protocol.events import Kind
from protocol.reasons import Reason


class Meaning(NamedTuple):
    """One event; or an epoch of a device; or a filter by its field (device, gate, venue, reason, kind) and value."""

    event: EventName | None = None
    epoch: bytes = b""
    field: str = ""
    value: str = ""


async def meaning(connection: AsyncConnection, text: str) -> Meaning:
    """Raises ActionFailed for a text that names nothing that can be looked for."""
    text = text.strip()
    if not text:
        return Meaning()
    parts = text.rsplit("/", 2)
    if len(parts) == 3 and parts[0] and is_epoch(parts[1]) and is_number(parts[2]):
        return Meaning(event=(parts[0], bytes.fromhex(parts[1]), int(parts[2])))
    before, slash, last = text.rpartition("/")
    if slash and is_epoch(last):
        return Meaning(None, bytes.fromhex(last), "device", before)
    for field, column in (("device", devices.c.id), ("gate", gates.c.id), ("venue", venues.c.id)):
        if (await connection.execute(select(column).where(column == text))).first() is not None:
            return Meaning(field=field, value=text)
    if text in frozenset(Reason):
        return Meaning(field="reason", value=text)
    if text in frozenset(Kind):
        return Meaning(field="kind", value=text)
    raise ActionFailed(
        f"nothing is called {text[:80]!r}: search for DEVICE/EPOCH/SEQUENCE, DEVICE/EPOCH, a device, a gate, a venue,"
        " a reason or a kind"
    )


def filled(meaning: Meaning, params: object, fields: tuple[str, ...]) -> dict[str, str]:
    """What the text says, as a filter of `params` with these fields. Raises ActionFailed where it says another than the
    filter does, or something that is not filtered by."""
    if not meaning.field:
        return {}
    if meaning.field not in fields:
        raise ActionFailed(f"batches have no {meaning.field}: search among the events")
    if getattr(params, meaning.field) not in ("", meaning.value):
        raise ActionFailed(f"the search says {meaning.field} {meaning.value!r}, the filter another: leave one out")
    return {meaning.field: meaning.value}


def is_epoch(text: str) -> bool:
    """Sixteen hex digits."""
    return len(text) == 16 and not set(text) - set("0123456789abcdef")


def is_number(text: str) -> bool:
    """One that a sequence or a time can be."""
    return text.isascii() and text.isdecimal() and len(text) < 17
