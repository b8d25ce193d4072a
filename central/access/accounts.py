"""Accounts as they are stored."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from central.access.caller import Caller, Role
from central.access.totp import BEGUN
from central.store.schema import accounts

ACTIVE, DISABLED = "active", "disabled"
ID_PATTERN = r"^[a-z0-9][a-z0-9._-]{1,39}$"
_ID = re.compile(ID_PATTERN.removesuffix("$") + r"\Z")


@dataclass(frozen=True)
class Account:
    """One row. `password`: its hash."""

    id: str
    title: str
    roles: frozenset[Role]
    venues: frozenset[str]
    teams: frozenset[str]
    state: str
    password: str
    must_change: bool
    loopback_only: bool
    totp_sealed: bytes | None
    totp_step: int
    created_ms: int

    @property
    def is_active(self) -> bool:
        return self.state == ACTIVE

    @property
    def has_totp(self) -> bool:
        """Whether a code is asked for: the phone has proved that it holds the secret."""
        return self.totp_sealed is not None and self.totp_step != BEGUN

    def caller(
        self,
        origin: str,
        *,
        token: str = "",
        only: frozenset[str] | None = None,
        scopes: frozenset[str] = frozenset(),
    ) -> Caller:
        """Who asks, by this account."""
        return Caller(self.id, self.roles, origin, self.venues, self.teams, token, only, scopes)


def is_id(name: str) -> bool:
    """Whether an account could be called so."""
    return _ID.match(name) is not None


def as_list(values: Collection[str]) -> str:
    """As it stands in a column."""
    return msgspec.json.encode(sorted(values)).decode()


async def read_account(connection: AsyncConnection, id_: str, *, lock: bool = False) -> Account | None:
    """`lock`: nobody else changes it until this transaction ends."""
    query = select(accounts).where(accounts.c.id == id_)
    row = (await connection.execute(query.with_for_update() if lock else query)).first()
    return account_of(row) if row is not None else None


async def change_account(connection: AsyncConnection, id_: str, **values: Any) -> None:
    """Columns of its row."""
    await connection.execute(update(accounts).where(accounts.c.id == id_).values(**values))


async def active_admins(connection: AsyncConnection) -> list[str]:
    """Their names, locked: of two who take each other's role at once, the second is told that it is the last."""
    rows = await connection.execute(select(accounts).where(accounts.c.state == ACTIVE).with_for_update())
    return [account.id for account in map(account_of, rows) if Role.ADMIN in account.roles]


def account_of(row: Any) -> Account:
    """Out of a row."""
    return Account(
        id=row.id,
        title=row.title,
        roles=frozenset(map(Role, _list(row.roles))),
        venues=frozenset(_list(row.venues)),
        teams=frozenset(_list(row.teams)),
        state=row.state,
        password=row.password,
        must_change=row.must_change,
        loopback_only=row.loopback_only,
        totp_sealed=row.totp_sealed,
        totp_step=row.totp_step,
        created_ms=row.created_ms,
    )


def _list(column: str) -> Sequence[str]:
    return msgspec.json.decode(column, type=list[str])
