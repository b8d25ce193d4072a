"""What stands in central's database before a test begins, written with plain inserts."""

import os
from typing import Any

from sqlalchemy import insert, select, update

from central import rotating
from central.configs import ConfigPayload, put_config
from central.keys import Keys
from central.store.database import Database
from central.store.schema import (
    cards,
    devices,
    domains,
    gates,
    member_classes,
    members,
    policies,
    staff,
    subjects,
    venues,
)
from protocol.messages import Ages, GateConfig, encode
from protocol.pin import slow
from protocol.policy import Admit, Policy
from protocol.token import token
from protocol.uid import CardUID
from tests.central.actors import NOW_MS, Device

AGES = Ages(3_600_000, 86_400_000, 7 * 86_400_000)


class City:
    """Adds places, people and devices; remembers what it made."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self.database, self.keys = database, keys
        self.device = Device()

    async def add(self, table: Any, *rows: dict[str, Any]) -> None:
        async with self.database.write() as connection:
            await connection.execute(insert(table), list(rows))

    async def change(self, table: Any, condition: Any, **values: Any) -> None:
        async with self.database.write() as connection:
            await connection.execute(update(table).where(condition).values(**values))

    async def rows(self, table: Any) -> list[Any]:
        async with self.database.read() as connection:
            return list(await connection.execute(select(table)))

    async def found(self) -> None:
        self.keys.new_domain_key("library", 1)
        await self.add(domains, {"id": "library", "key_number": 1})
        await self.add(venues, {"id": "main", "domain": "library", "time_zone": "Asia/Taipei"})
        await self.add_policy(NOW_MS - 1_000)
        await self.add_gate("door-1")
        await self.add_device(self.device)

    async def add_policy(self, version: int, *rules: Any) -> None:
        policy = Policy(version, rules or (Admit(id="members"),))
        await self.add(policies, {"id": "open", "version": version, "at_ms": NOW_MS, "body": encode(policy)})

    async def add_gate(self, gate: str) -> None:
        await self.add(gates, {"id": gate, "venue": "main", "kind": "door", "policy": "open"})
        await self.configure(GateConfig(0, gate, "door"), NOW_MS - 500)

    async def configure(self, config: GateConfig, at_ms: int = NOW_MS, ages: Ages = AGES) -> ConfigPayload:
        async with self.database.write() as connection:
            return await put_config(connection, self.keys, config, ages, at_ms)

    async def add_staff(self, venue: str, id_: str, pin: str) -> None:
        salt = os.urandom(16)
        sealed = self.keys.seal_pin(slow(pin, salt), venue, id_, salt)
        await self.add(staff, {"venue": venue, "id": id_, "salt": salt, "slow_sealed": sealed, "at_ms": NOW_MS})

    async def add_device(self, device: Device, state: str = "active") -> Device:
        values = {"words": "babab-babab-babab", "enrolled_ms": NOW_MS, "sealing_public": device.sealing_public}
        public = device.signer.public
        await self.add(
            devices, {"id": device.id, "gate": device.gate, "state": state, "signing_public": public, **values}
        )
        return device

    async def add_members(self, number: int, first: int = 0, domain: str = "library") -> list[bytes]:
        """Members with one card each; their ids in order. The UID of member n is `uid(n)`."""
        ids = [(first + n).to_bytes(4) + bytes(12) for n in range(number)]
        await self.add(members, *({"id": id_, "reference": id_.hex(), "created_ms": NOW_MS} for id_ in ids))
        classes = ({"member": id_, "name": "citizen", "from_ms": 0, "until_ms": 0} for id_ in ids)
        await self.add(member_classes, *classes)
        await self.add(subjects, *({"domain": domain, "member": id_, "subject": os.urandom(16)} for id_ in ids))
        dates = {"from_ms": 0, "until_ms": 0, "bound_ms": NOW_MS, "number": 1, "state": 0}
        await self.add(
            cards,
            *(
                {
                    "id": id_,
                    "member": id_,
                    "uid_index": self.keys.uid_index(uid(first + n)),
                    "uid_sealed": self.keys.seal_uid(uid(first + n), id_),
                    **dates,
                }
                for n, id_ in enumerate(ids)
            ),
        )
        return ids

    async def set_card_state(self, member: bytes, state: int) -> None:
        await self.change(cards, cards.c.member == member, state=state)

    async def rotate(self, at_ms: int, domain: str = "library") -> int:
        """The number of the domain's new key."""
        async with self.database.write() as connection:
            number = await rotating.begin(connection, self.keys, domain)
        await rotating.go_on(self.database, self.keys, domain, at_ms)
        return number

    def token(self, number: int, domain: str = "library", key_number: int = 1) -> bytes:
        return token(self.keys.domain_key(domain, key_number), uid(number))


def uid(number: int) -> CardUID:
    return CardUID(b"\x04" + number.to_bytes(6))
