"""What the events of each device's newest epoch say of its contacts and readers: remembered, so that only new events
are read. A cache of this process; what it holds follows from the events."""

import asyncio
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from sqlalchemy import and_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.details import read_detail
from central.store.database import Database
from central.store.schema import RARE, events
from central.store.slices import AT_ONCE
from protocol.messages import InputDetail, Kind, ReaderDetail

WORKS_NOT = ("absent", "wedged")
"""States of a reader."""

Epoch = tuple[bytes, int]
"""And through which sequence it is held."""


class Contacts:
    """Of one database."""

    def __init__(self) -> None:
        self._reading = asyncio.Lock()
        self._through: dict[str, Epoch] = {}
        self._inputs: dict[str, dict[str, bool]] = {}
        self._readers: dict[str, dict[str, str]] = {}

    async def said(self, connection: AsyncConnection, newest: Mapping[str, Epoch]) -> dict[str, dict[str, bool]]:
        """By device, fields of `DeviceFacts`: those of devices that said anything of these."""
        async with self._reading:
            return await self._said(connection, newest)

    async def _said(self, connection: AsyncConnection, newest: Mapping[str, Epoch]) -> dict[str, dict[str, bool]]:
        due = []
        for device, (epoch, through) in newest.items():
            known = self._through.get(device, (b"", -1))
            if known[0] != epoch or known[1] > through:  # a new epoch, or another database
                self._inputs[device], self._readers[device] = {}, {}
                known = (epoch, -1)
            if known[1] < through:
                due.append((device, epoch, known[1], through))
        for at in range(0, len(due), AT_ONCE):
            await self._read(connection, due[at : at + AT_ONCE])
        self._through |= newest
        return {device: self._fields(device) for device in newest if self._inputs[device] or self._readers[device]}

    async def _read(self, connection: AsyncConnection, due: list[tuple[str, bytes, int, int]]) -> None:
        e = events.c
        of = [
            and_(e.device == device, e.epoch == epoch, e.sequence > after, e.sequence <= through)
            for device, epoch, after, through in due
        ]
        query = select(e.device, e.kind, e.detail).where(RARE, or_(*of), e.outcome != "refused")
        query = query.where(e.kind.in_((Kind.READER, Kind.INPUT)))
        for device, kind, detail in await connection.execute(query.order_by(e.device, e.epoch, e.sequence)):
            said = read_detail(kind, detail)
            if isinstance(said, InputDetail):
                self._inputs[device][said.input] = said.on
            elif isinstance(said, ReaderDetail):
                self._readers[device][said.reader] = said.state

    def _fields(self, device: str) -> dict[str, bool]:
        inputs, readers = self._inputs[device], self._readers[device]
        return {
            "tamper": inputs.get("tamper", False),
            "fire": inputs.get("fire-alarm", False),
            "readers_failed": any(state in WORKS_NOT for state in readers.values()),
        }


_OF: WeakKeyDictionary[Database, Contacts] = WeakKeyDictionary()


def contacts_of(database: Database) -> Contacts:
    """The ones of this process."""
    return _OF.setdefault(database, Contacts())
