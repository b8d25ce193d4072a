"""One life of central's custody: the real database and custodian, taking uploads of three devices without a pause.

The devices are computed: the events of device and sequence are always the same bytes, so a new life needs to know
nothing but what central says it holds. What the devices saw goes to the file `seen`, one write a line:

    receipt DEVICE FIRST THROUGH ENVELOPE
"""

import asyncio
import hashlib
import itertools
import os
import random
from pathlib import Path

import msgspec
from sqlalchemy import insert

from central.custody import Custodian
from central.device_keys import DeviceKeys
from central.keys import Keys
from central.store import schema
from central.store.database import Database, open_database
from protocol.envelope import Keyring, Signer, open_as
from protocol.events import (
    Batch,
    Clock,
    EpochHeld,
    EpochStart,
    Event,
    Holdings,
    Inventory,
    Personal,
    Receipt,
    Upload,
)
from protocol.journal import genesis, heads, personal_digest
from protocol.messages import Role
from protocol.wire import encode

DEVICES = ("device-a", "device-b", "device-c")
AT_MS = 1_790_000_000_000
DATABASE = "central.db"


class Device:
    """A device whose whole life is known: `publics` and `heads` grow as far as they are asked for."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.signer = Signer(hashlib.sha256(b"a test's key: " + name.encode()).digest())
        self.epoch = hashlib.sha256(name.encode()).digest()[:8]
        self.publics: list[bytes] = []
        self.personals: list[bytes] = []
        self.heads: list[bytes] = []

    def upload(self, first: int, count: int) -> bytes:
        """The same bytes for the same arguments, always."""
        self._grow(first + count)
        before = self.heads[first - 1] if first else genesis(self.name, self.epoch)
        last = first + count - 1
        publics = tuple(self.publics[first : last + 1])
        batch = Batch(self.name, self.epoch, first, before, publics, self.heads[last])
        return encode(Upload(self.signer.seal(batch), tuple(self.personals[first : last + 1])))

    def _grow(self, count: int) -> None:
        before = self.heads[-1] if self.heads else genesis(self.name, self.epoch)
        new = [self._event(sequence) for sequence in range(len(self.publics), count)]
        self.publics += [public for public, _ in new]
        self.personals += [personal for _, personal in new]
        self.heads += heads(before, [public for public, _ in new])

    def _event(self, sequence: int) -> tuple[bytes, bytes]:
        boot_id, gate = self.epoch, f"gate-of-{self.name}"
        if sequence == 0:
            start = self.signer.seal(EpochStart(self.name, self.epoch, b"", -1, b"", AT_MS))
            return encode(Event(0, AT_MS, boot_id, 0, Clock.TRUSTED, gate, "start", detail=start)), b""
        salt = hashlib.sha256(b"%s %d" % (self.name.encode(), sequence)).digest()[:16]
        personal = encode(Personal(salt, subject=salt, card=1))
        event = Event(sequence, AT_MS + sequence, boot_id, sequence, Clock.TRUSTED, gate, "tap", "in", "granted", "ok")
        event = msgspec.structs.replace(event, personal_digest=personal_digest(personal))
        return encode(event), personal


def prepare(directory: Path) -> None:
    """Keys, tables, and the three devices, confirmed."""
    Keys.create(directory / "keys", None, AT_MS)

    async def work() -> None:
        async with opened(directory) as database, database.write() as connection:
            await connection.run_sync(schema.metadata.create_all)
            await connection.execute(insert(schema.domains).values(id="libraries", key_number=1))
            venue = {"id": "library-1", "domain": "libraries", "time_zone": "Asia/Taipei"}
            await connection.execute(insert(schema.venues).values(venue))
            for device in map(Device, DEVICES):
                gate = {"id": f"gate-of-{device.name}", "venue": "library-1", "kind": "door", "policy": "open"}
                await connection.execute(insert(schema.gates).values(gate))
                keys = {"signing_public": device.signer.public, "sealing_public": bytes(32), "words": ""}
                row = {"id": device.name, "gate": gate["id"], "state": "active", "enrolled_ms": AT_MS}
                await connection.execute(insert(schema.devices).values(row | keys | {"confirmed_ms": AT_MS}))

    asyncio.run(work())


def opened(directory: Path) -> Database:
    return open_database(f"sqlite:///{directory / DATABASE}")


def live(directory: str, outside: str, seed: str, steps: str = "0") -> None:
    """Open, then `steps` uploads (0 = for ever)."""
    asyncio.run(_live(Path(directory), Path(outside), random.Random(seed), int(steps)))


async def _live(directory: Path, outside: Path, chance: random.Random, steps: int) -> None:
    seen = os.open(outside / "seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    keys = Keys(directory / "keys")
    async with opened(directory) as database:
        device_keys = DeviceKeys(database)
        custodian = Custodian(database, keys, device_keys)
        ring = Keyring.of(keys.receipt.public, Role.RECEIPT)
        devices = [Device(name) for name in DEVICES]
        next_ = {device.name: await _held(custodian, device, ring) + 1 for device in devices}
        for _ in range(steps) if steps else itertools.count():
            device = chance.choice(devices)
            first, count = next_[device.name], chance.choice((1, 3, 40))
            if first and chance.random() < 0.2:  # a resend that overlaps, as after a lost answer
                first = max(0, first - chance.randint(1, 5))
            taken = await custodian.take(device.upload(first, count), AT_MS + first)
            receipt = open_as(Receipt, taken.answer, ring)
            os.write(seen, f"receipt {device.name} {first} {receipt.through} {taken.answer.hex()}\n".encode())
            next_[device.name] = max(next_[device.name], receipt.through + 1)


async def _held(custodian: Custodian, device: Device, ring: Keyring) -> int:
    asked = Inventory(device.name, (EpochHeld(device.epoch, 0),), bytes(16))
    holdings = open_as(Holdings, await custodian.holdings(device.signer.seal(asked), AT_MS), ring)
    return holdings.epochs[0].through
