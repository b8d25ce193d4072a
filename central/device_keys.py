"""Which device signed a message: the keys that devices brought at enrolment, remembered once read.

A device's key never changes under its name, so remembering it needs no invalidation. Its state does change,
and is therefore read from the database each time (`state_of`).
"""

from typing import NamedTuple, Protocol, TypeVar

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from central.failures import Declined
from central.store.database import Database
from central.store.schema import devices
from protocol.envelope import Envelope, Keyring, key_id, unwrap
from protocol.errors import Failure, Refused
from protocol.messages import Revoked, decode


class FromDevice(Protocol):
    """A message that says which device sends it."""

    @property
    def device(self) -> str: ...


M = TypeVar("M", bound=FromDevice)


class DeviceState(NamedTuple):
    """What an operator has said of a device."""

    id: str
    state: str
    revoked_ms: int
    revoked_why: str
    banned_ms: int = 0

    @property
    def revoked(self) -> bool:
        return self.state == "revoked"

    def answer(self) -> Revoked:
        """What a revoked device is told, the same each time."""
        return Revoked(self.id, self.revoked_ms, self.revoked_why[:500])


class DeviceKeys:
    """Shared by all handlers of a process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._rings: dict[str, Keyring] = {}

    async def open(self, kind: type[M], body: bytes) -> M:
        """The message, signed by the device that it names. Raises Refused."""
        envelope = unwrap(body)
        expected = kind.TYPE  # type: ignore[attr-defined]
        if envelope.type != expected:
            raise Refused(Failure.WRONG_TYPE, f"{envelope.type} where {expected} belongs")
        message = decode(kind, envelope.payload)
        (await self.ring(message.device)).check(envelope, None)
        return message

    async def ring(self, device: str) -> Keyring:
        """Raises Refused `unknown-key` for a name that was never enrolled."""
        ring = self._rings.get(device)
        if ring is None:
            async with self._database.read() as connection:
                query = select(devices.c.signing_public).where(devices.c.id == device)
                public = (await connection.execute(query)).scalar()
            if public is None:
                raise Refused(Failure.UNKNOWN_KEY, f"no device {device!r} is enrolled")
            ring = self._rings[device] = Keyring.of(public)
        return ring

    async def signer_of(self, envelope: Envelope) -> str | None:
        """Which enrolled device's key signed this, whatever name stands inside; None when none did."""
        async with self._database.read() as connection:
            rows = (await connection.execute(select(devices.c.id, devices.c.signing_public))).all()
        for device, public in rows:
            if key_id(public) == envelope.key_id:
                Keyring.of(public).check(envelope, None)
                return str(device)
        return None


async def state_of(connection: AsyncConnection, device: str, lock: bool = False) -> DeviceState:
    """`lock`: until the transaction ends nobody else changes the device or takes its events into custody.

    Raises Refused: unknown-key.
    """
    d = devices.c
    query = select(d.id, d.state, d.revoked_ms, d.revoked_why, d.banned_ms)
    query = query.where(devices.c.id == device)
    if lock:
        query = query.with_for_update(key_share=True)
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise Refused(Failure.UNKNOWN_KEY, f"no device {device!r} is enrolled")
    return DeviceState(row.id, row.state, row.revoked_ms or 0, row.revoked_why, row.banned_ms or 0)


def require_confirmed(device: DeviceState) -> None:
    """No data flows before an operator compared the words."""
    if device.state == "pending":
        raise Declined(403, Failure.UNKNOWN_KEY, f"device {device.id} is not confirmed yet")


def require_active(device: DeviceState) -> None:
    """Confirmed, and not revoked since."""
    require_confirmed(device)
    if device.revoked:
        raise Declined(403, Failure.UNKNOWN_KEY, f"device {device.id} is revoked")
