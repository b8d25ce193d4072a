"""Journals in which people come and go, and what stands in the tables once they are settled."""

import os
from typing import Any

from sqlalchemy import select

from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.metrics import Metrics
from central.services.follower import Follower
from central.store.database import Database
from central.store.schema import fates, marks, visits
from protocol.messages import AdmitDetail, Kind, Passage, PassageDetail, Personal, UndoDetail, encode
from tests.central.actors import NOW_MS, Device, Journal


def person(number: int) -> bytes:
    return bytes([number]) * 16


class Diary(Journal):
    """An epoch of a gate, by the words of SPEC §5.1. Every method returns the event's sequence."""

    def came(
        self, subject: bytes, at_ms: int = NOW_MS, *, direction: str = "in", repeats: int = -1, **more: Any
    ) -> int:
        """A granted tap. `repeats`: the sequence of the tap whose answer it is."""
        charge = {name: more.pop(name) for name in ("points", "due") if name in more}
        personal = encode(Personal(os.urandom(16), subject=subject, card=1, **charge))
        reason = "leaving" if direction == "out" else "ok"
        fields = {"direction": direction, "decision": "granted", "reason": reason, "rule": "members"} | more
        return self._add(Kind.TAP, personal, at_ms=at_ms, repeat_of=repeats + 1, **fields)

    def left(self, subject: bytes, at_ms: int = NOW_MS, **more: Any) -> int:
        return self.came(subject, at_ms, direction="out", rule="", **more)

    def was_denied(self, subject: bytes, at_ms: int = NOW_MS) -> int:
        return self.came(subject, at_ms, decision="denied", reason="already-inside")

    def passed(self, sequence: int, what: Passage, at_ms: int = NOW_MS, epoch: bytes = b"") -> int:
        return self._add(Kind.PASSAGE, at_ms=at_ms, detail=encode(PassageDetail(sequence, what, epoch)))

    def undid(self, sequence: int, at_ms: int = NOW_MS) -> int:
        return self._add(Kind.UNDO, at_ms=at_ms, detail=encode(UndoDetail(sequence)))

    def admitted(self, after: int = -1, at_ms: int = NOW_MS, direction: str = "in") -> int:
        detail = encode(AdmitDetail("chen", "lost card", after))
        fields = {"direction": direction, "decision": "granted", "reason": "staff-admitted"}
        return self._add(Kind.ADMIT, at_ms=at_ms, detail=detail, **fields)

    def _add(self, kind: str, personal: bytes = b"", **fields: Any) -> int:
        self.add(kind, personal, **fields)
        return len(self.publics) - 1


class Town:
    """A database that takes uploads and settles them."""

    def __init__(self, database: Database, keys: Keys, now_ms: int = NOW_MS) -> None:
        self.database, self.now_ms = database, now_ms
        self.custodian = Custodian(database, keys, DeviceKeys(database))
        self.metrics = Metrics()
        self.follower = Follower(database, self.metrics, lambda: self.now_ms)

    async def take(self, journal: Journal, first: int = 0, last: int | None = None, **changes: Any) -> str:
        return (await self.custodian.take(journal.upload(first, last, **changes), self.now_ms)).outcome

    async def settle(self) -> None:
        await self.follower.settle_all()

    async def fates(self) -> dict[tuple[bytes, int], str]:
        async with self.database.read() as connection:
            rows = await connection.execute(select(marks.c.epoch, marks.c.sequence, marks.c.fate))
            return {(epoch, sequence): fate for epoch, sequence, fate in rows}

    async def rows(self, table: Any) -> list[tuple[Any, ...]]:
        async with self.database.read() as connection:
            return sorted(tuple(row) for row in await connection.execute(select(table)))

    async def everything(self) -> dict[str, list[tuple[Any, ...]]]:
        """What must be the same whatever the order in which events came."""
        return {table.name: await self.rows(table) for table in (marks, fates, visits)}


__all__ = ["Device", "Diary", "Town", "person"]
