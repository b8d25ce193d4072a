"""What is sent about incidents: a mail's subject and text, a webhook's body. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from central.alerts import wording
from protocol.time_zones import CITY_ZONE

LONGEST_SUBJECT = 150
SHOWN = 50
"""Incidents told in full in one mail."""


class Told(NamedTuple):
    """An incident, and whether it is told that it opened or that it is over; or a test, of no incident."""

    what: str
    id: str
    kind: str
    target: str
    venue: str
    gate: str
    device: str
    opened_ms: int
    resolved_ms: int
    resolved_by: str
    why: str
    facts: Mapping[str, Any]
    zone: str


def test(now_ms: int) -> Told:
    """What shows a contact that it can be told."""
    return Told("test", "", "", "", "", "", "", now_ms, 0, "", "", {}, CITY_ZONE)


def subject(told: Sequence[Told], language: str) -> str:
    """The first headline, and how many more there are."""
    first = wording.told(told[0].what, told[0].kind, told[0].target, language)
    more = len(told) - 1
    rest = (f"（另有 {more} 則）" if language == "zh-TW" else f" (and {more} more)") if more else ""
    return f"[Tapgate] {first[: LONGEST_SUBJECT - len(rest)]}{rest}"


def text(told: Sequence[Told], language: str, console_url: str) -> str:
    """A plain text that says of each what happened, since when, what to do, and where to look."""
    parts = ["\n".join(_lines(each, language, console_url)) for each in told[:SHOWN]]
    rest = [wording.told(each.what, each.kind, each.target, language) for each in told[SHOWN:]]
    parts += ["\n".join(rest)] if rest else []
    end = "這封信由系統寄出，請勿回覆。" if language == "zh-TW" else "Sent by the system; nobody reads replies."
    return "\n\n".join([*parts, end]) + "\n"


def _lines(each: Told, language: str, console_url: str) -> list[str]:
    chinese = language == "zh-TW"
    if each.what == "test":
        return [wording.TEST["zh-TW" if chinese else "en"], f"{console_url}/console/alerts"]
    lines = [wording.told(each.what, each.kind, each.target, language)]
    if each.venue:
        lines.append(f"{'場館' if chinese else 'Venue'}{'：' if chinese else ': '}{each.venue}")
    since = f"{'開始' if chinese else 'Since'}{'：' if chinese else ': '}{wording.when(each.opened_ms, each.zone)}"
    lines.append(since)
    if each.what == "opened":
        lines += filter(None, [wording.detail(each.kind, each.facts, language, each.zone)])
        lines.append(wording.advice(each.kind, language))
    else:
        lines.append(
            f"{'結束' if chinese else 'Until'}{'：' if chinese else ': '}{wording.when(each.resolved_ms, each.zone)}"
        )
        if each.resolved_by:
            lines.append(f"{each.resolved_by}{'：' if chinese else ': '}{' '.join(each.why.split())}")
    lines.append(f"{console_url}/console/alerts/{each.id}")
    return lines


def body(each: Told, delivery: str, language: str, console_url: str) -> dict[str, Any]:
    """What is posted: stable names for a system, and a text for a person. Fields are only ever added."""
    said = {"delivery": delivery, "what": each.what, "text": "\n".join(_lines(each, language, console_url))}
    if each.what == "test":
        return said | {"alert": None}
    alert = {
        "id": each.id,
        "kind": each.kind,
        "target": each.target,
        "venue": each.venue,
        "gate": each.gate,
        "device": each.device,
        "opened_ms": each.opened_ms,
        "resolved_ms": each.resolved_ms or None,
        "facts": dict(each.facts),
        "url": f"{console_url}/console/alerts/{each.id}",
    }
    return said | {"alert": alert}


def of_row(row: Any, what: str, facts: Mapping[str, Any]) -> Told:
    """Of a row of `alerts` with its venue's time zone."""
    ended = row.resolved_ms or 0, row.resolved_by, row.why
    place = row.kind, row.target, row.venue, row.gate, row.device
    return Told(what, row.id.hex(), *place, row.opened_ms, *ended, facts, row.time_zone or CITY_ZONE)
