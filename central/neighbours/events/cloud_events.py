"""What others receive: CloudEvents 1.0 in their structured JSON form. Pure.

Nothing in one says which card it was: no UID, no token, no card's number. Who it was is said by a pseudonym of the
subscription's own, and only where that was asked for.
"""

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from central.details import read_detail
from central.neighbours.events.kinds import OF_KIND, TEST
from protocol.errors import Refused
from protocol.messages import Kind, PassageDetail, Personal, UndoDetail, decode

CONTENT_TYPE = "application/cloudevents+json"
PSEUDONYM_BYTES = 16
NOTICES_DEVICE, NOTICES_EPOCH = "", b"notices\0"
"""In place of a device and its epoch, where a notice is meant."""


class Place(NamedTuple):
    """Where a gate stands."""

    gate: str
    venue: str
    domain: str


class Happening(NamedTuple):
    """An event of a gate, as far as others may hear of it."""

    device: str
    epoch: bytes
    sequence: int
    at_ms: int
    gate: str
    kind: str
    direction: str
    decision: str
    reason: str
    personal: bytes | None
    detail: bytes | None


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent. A field is only ever added; whoever adds one names it in `central/privacy/flows.toml`."""

    specversion: str = "1.0"
    id: str
    source: str
    type: str
    time: str
    subject: str | msgspec.UnsetType = msgspec.UNSET
    partitionkey: str | msgspec.UnsetType = msgspec.UNSET
    sequence: str | msgspec.UnsetType = msgspec.UNSET
    datacontenttype: str = "application/json"
    data: Any


class GateTold(msgspec.Struct, frozen=True, kw_only=True):
    """`data` of an event of a gate."""

    domain: str
    venue: str
    gate: str
    direction: str | msgspec.UnsetType = msgspec.UNSET
    decision: str | msgspec.UnsetType = msgspec.UNSET
    reason: str | msgspec.UnsetType = msgspec.UNSET
    passage: str | msgspec.UnsetType = msgspec.UNSET
    of: str | msgspec.UnsetType = msgspec.UNSET


class NoticeTold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`data` of a notice. `member`: the city's reference."""

    member: str
    domain: str
    venue: str | msgspec.UnsetType = msgspec.UNSET
    until: str | msgspec.UnsetType = msgspec.UNSET
    team: str | msgspec.UnsetType = msgspec.UNSET
    signed_in: str | msgspec.UnsetType = msgspec.UNSET
    points: int | msgspec.UnsetType = msgspec.UNSET
    expires: str | msgspec.UnsetType = msgspec.UNSET


class Outgoing(NamedTuple):
    """One CloudEvent, ready to be sent. `id`: the same for the same event, forever."""

    device: str
    epoch: bytes
    sequence: int
    id: str
    type: str
    body: bytes

    @property
    def name(self) -> tuple[str, bytes, int]:
        return self.device, self.epoch, self.sequence

    @property
    def delivery(self) -> str:
        """The name of the message in `webhook-id`: no dot may stand in it, since dots part what is signed."""
        return "evt_" + hashlib.sha256(self.id.encode()).hexdigest()[:32]


def event_id(device: str, epoch: bytes, sequence: int) -> str:
    """Of an event of a gate."""
    return f"{device}/{epoch.hex()}/{sequence}"


def of_event(event: Happening, place: Place, subjects_key: bytes | None) -> Outgoing:
    """`subjects_key`: of the subscription's pseudonyms; None: it is told of nobody."""
    said: dict[str, Any] = {"domain": place.domain, "venue": place.venue, "gate": event.gate}
    if event.kind in (Kind.TAP, Kind.ADMIT):
        said |= {"direction": event.direction, "decision": event.decision, "reason": event.reason}
    subject = _subject(event.personal) if subjects_key is not None and event.kind == Kind.TAP else b""
    told = CloudEvent(
        id=event_id(event.device, event.epoch, event.sequence),
        source=f"/gates/{event.gate}",
        type=OF_KIND[event.kind],
        time=_time(event.at_ms),
        subject=pseudonym(subjects_key, subject) if subject and subjects_key is not None else msgspec.UNSET,
        partitionkey=event.gate,
        sequence=_order(event.sequence),
        data=GateTold(**said, **_of_detail(event)),
    )
    return _outgoing(event.device, event.epoch, event.sequence, told)


def of_notice(number: int, type_: str, at_ms: int, said: Mapping[str, Any]) -> Outgoing:
    """To a member, through the city's messaging platform. `said` holds the city's reference of the member."""
    data = msgspec.convert(dict(said), NoticeTold)
    named = {"id": f"notice/{number}", "source": "/notices", "sequence": _order(number)}
    told = CloudEvent(**named, type=type_, time=_time(at_ms), data=data)
    return _outgoing(NOTICES_DEVICE, NOTICES_EPOCH, number, told)


def of_test(id_: str, at_ms: int) -> Outgoing:
    """Says nothing; it shows that the way is open and the signature is understood."""
    told = CloudEvent(id=f"test/{id_}", source="/subscriptions", type=TEST, time=_time(at_ms), data={})
    return _outgoing("", b"", 0, told)


def pseudonym(key: bytes, subject: bytes) -> str:
    """Of a member in a domain, for one subscription: two receivers cannot find out that theirs are one person."""
    return hmac.digest(key, b"subject\0" + subject, hashlib.sha256)[:PSEUDONYM_BYTES].hex()


def _outgoing(device: str, epoch: bytes, sequence: int, told: CloudEvent) -> Outgoing:
    return Outgoing(device, epoch, sequence, told.id, told.type, msgspec.json.encode(told))


def _time(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _order(number: int) -> str:
    """Texts of one length, which are in the order of the numbers."""
    return f"{number:020}"


def _of_detail(event: Happening) -> dict[str, Any]:
    """Which event it is about, and what it says of it; nothing of who or why a person said so."""
    detail = read_detail(event.kind, event.detail)
    if isinstance(detail, PassageDetail):
        of = event_id(event.device, detail.epoch or event.epoch, detail.sequence) if detail.sequence >= 0 else ""
        return {"passage": detail.passage, "of": of}
    if isinstance(detail, UndoDetail):
        return {"of": event_id(event.device, event.epoch, detail.sequence)}
    return {}


def _subject(personal: bytes | None) -> bytes:
    """Empty where the personal part was destroyed, or says of nobody."""
    try:
        return decode(Personal, personal).subject if personal else b""
    except Refused:
        return b""
