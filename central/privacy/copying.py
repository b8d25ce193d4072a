"""A complete, readable copy of what is held of a person: every row of every table that speaks of them, by purpose.

What only finds or guards something is left out: keyed hashes and seals. What rests sealed and is the person's own to
know is opened, but for a card's UID, which two people look up together (`card.uid`) and the card itself tells.
"""

from typing import Any, NamedTuple

import msgspec
from sqlalchemy import LargeBinary, Table, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.keys import Keys
from central.privacy.found import Person, events_of
from central.privacy.tables import BY_MEMBER, BY_SUBJECT, OTHERWISE
from central.store.schema import card_bindings, events, facts, marks, member_numbers, members, point_books
from central.store.slices import named
from protocol.errors import Refused
from protocol.messages import Personal, decode

LEFT_OUT = frozenset(("uid_sealed", "uid_index", "key", "sealed", "name_sealed", "private_sealed", "seal_public"))
"""Columns that find or guard something."""
TITLES: dict[str, tuple[str, str, str]] = {
    "members": ("會員", "Member", "admission"),
    "consents": ("同意紀錄", "Consents", "admission"),
    "notices": ("通知", "Notices", "notices"),
    "library_patrons": ("圖書館回覆", "What the library said", "admission"),
    "registrations": ("活動報名", "Registrations", "health-check"),
    "bind_sessions": ("卡片登記", "Cards waited for", "admission"),
    "member_class_history": ("身分異動", "Classes before", "admission"),
    "member_classes": ("身分", "Classes", "admission"),
    "member_numbers": ("其他系統號碼", "Numbers in other systems", "admission"),
    "cards": ("卡片", "Cards", "admission"),
    "card_bindings": ("卡片異動", "Cards before", "admission"),
    "names": ("螢幕顯示姓名", "Names on screens", "screen-names"),
    "member_flags": ("閘門提示", "Notices at gates", "admission"),
    "legal_holds": ("依法保留", "Legal holds", "admission"),
    "uid_looks": ("卡號調閱", "Looks at the card's number", "admission"),
    "subjects": ("各領域代號", "Pseudonyms by domain", "admission"),
    "former_subjects": ("離開領域之代號", "Pseudonyms in domains that were left", "admission"),
    "facts": ("人工紀錄", "What people stated", "admission"),
    "point_months": ("每月配點", "Points given by month", "points"),
    "denials": ("未放行紀錄", "Denied taps", "admission"),
    "reservations": ("點數保留", "Points reserved to gates", "points"),
    "conflicts": ("待查事項", "Conflicts", "admission"),
    "entry_history": ("名單紀錄", "What lists said", "admission"),
    "attendance_sessions": ("志工時數", "Volunteering", "volunteering"),
    "ledger": ("點數帳", "Points", "points"),
    "point_books": ("已結帳點數", "Points of closed months", "points"),
    "visits": ("造訪", "Visits", "admission"),
    "marks": ("放行紀錄", "Granted taps", "admission"),
    "events": ("閘門事件", "Events at gates", "admission"),
}
"""By table: what it is called, and the purpose that it is held for."""
ELSE: dict[str, tuple[str, str]] = {
    "member_name_keys": ("姓名搜尋索引", "Search keys of the name"),
    "subject_states": ("閘門狀態通知", "What gates are told"),
    "erasures_pending": ("待通知閘門的刪除", "Erasures that gates have to hear of"),
    "erasures": ("刪除紀錄", "Erasures"),
    "audit log": ("稽核紀錄", "Rows of the audit log"),
    "evidence": ("異常佐證", "Evidence of contradicting events"),
    "points in closed months": ("已結帳月份的點數", "Points in closed months"),
}
"""What else an erasure counts."""
FINDING = frozenset(("member_name_keys", "subject_states", "erasures_pending", "erasures"))
"""Tables that only find a member, or tell gates of one: the copy says nothing by them."""


class Section(NamedTuple):
    """One kind of thing, and every row of it."""

    table: str
    title_zh: str
    title_en: str
    purpose: str
    rows: list[dict[str, Any]]


async def copy_of(connection: AsyncConnection, keys: Keys, person: Person) -> list[Section]:
    """In an order for reading; sections without a row are left out."""
    found: dict[str, list[dict[str, Any]]] = {"members": await _rows(connection, members, members.c.id == person.id)}
    for row in found["members"]:
        row["name"] = person.name
    own = list(person.subjects.values())
    for table in (*BY_MEMBER, card_bindings):
        found[str(table.name)] = await _rows(connection, table, table.c.member == person.id)
    for table in (*BY_SUBJECT, marks, point_books):
        found[str(table.name)] = await _rows(connection, table, table.c.subject.in_(own))
    await _open_numbers(connection, keys, person, found)
    await _say_facts(connection, own, found)
    found["events"] = await _events(connection, person)
    return [Section(name, *told, found[name]) for name, told in TITLES.items() if found.get(name)]


async def _rows(connection: AsyncConnection, table: Table, condition: Any) -> list[dict[str, Any]]:
    query = select(table).where(condition).order_by(*table.primary_key.columns)
    return [_plain(table, row) for row in await connection.execute(query)]


def _plain(table: Table, row: Any) -> dict[str, Any]:
    said = {}
    for column in table.columns:
        if column.name not in LEFT_OUT and (table, column.name) != (facts, "body"):  # it is told decoded
            value = getattr(row, column.name)
            said[str(column.name)] = bytes(value).hex() if isinstance(column.type, LargeBinary) and value else value
    return {name: value if value != b"" else "" for name, value in said.items()}


async def _open_numbers(
    connection: AsyncConnection, keys: Keys, person: Person, found: dict[str, list[dict[str, Any]]]
) -> None:
    query = select(member_numbers.c.kind, member_numbers.c.sealed).where(member_numbers.c.member == person.id)
    opened = {kind: keys.open_number(sealed, kind, person.id) for kind, sealed in await connection.execute(query)}
    for row in found["member_numbers"]:
        row["identifier"] = opened[row["kind"]]


async def _say_facts(connection: AsyncConnection, own: list[bytes], found: dict[str, list[dict[str, Any]]]) -> None:
    query = select(facts.c.id, facts.c.body).where(facts.c.subject.in_(own))
    said = {bytes(id_).hex(): _hexed(msgspec.msgpack.decode(body)) for id_, body in await connection.execute(query)}
    for row in found["facts"]:
        row["says"] = said.get(row["id"], {})


def _hexed(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(key): _hexed(each) for key, each in value.items()}
    return [_hexed(each) for each in value] if isinstance(value, (list, tuple)) else value


async def _events(connection: AsyncConnection, person: Person) -> list[dict[str, Any]]:
    e, rows = events.c, []
    names = await events_of(connection, person)
    for these in named((e.device, e.epoch, e.sequence), names):
        query = select(events).where(these).order_by(e.at_ms)
        rows += [_plain(events, row) | _personal(row.personal) for row in await connection.execute(query)]
    return sorted(rows, key=lambda row: (row["at_ms"], row["device"], row["sequence"]))


def _personal(data: bytes | None) -> dict[str, Any]:
    """The personal part in words, in place of its bytes."""
    try:
        part = decode(Personal, data) if data else None
    except Refused:
        part = None
    if part is None:
        return {"personal": ""}
    told = {"card": part.card, "points": part.points, "due": part.due, "fingerprint": part.fingerprint.hex()}
    return told | {"personal": "subject" if part.subject else "token"}


def title_of(name: str) -> tuple[str, str]:
    """What something is called that a copy tells or an erasure counts, in zh-TW and English."""
    return TITLES[name][:2] if name in TITLES else ELSE.get(name, (name, name))


def is_complete() -> bool:
    """Whether every table that speaks of people is told of, or only finds them: for a test."""
    named_here = {str(table.name) for table in (*BY_MEMBER, *BY_SUBJECT, *OTHERWISE)}
    return named_here <= TITLES.keys() | FINDING
