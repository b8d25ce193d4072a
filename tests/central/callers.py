"""Asking as somebody: through the rules, in the venues and teams that are theirs."""

from typing import Any

import msgspec
from sqlalchemy import insert

from central.access.caller import Caller, Role
from central.access.perform import perform
from central.actions.action import Context
from central.store.database import Database
from central.store.schema import accounts
from tests.central.admin import Admin


def caller(name: str, *roles: str, venues: tuple[str, ...] = (), teams: tuple[str, ...] = ()) -> Caller:
    return Caller(name, frozenset(map(Role, roles)), "192.0.2.7", frozenset(venues), frozenset(teams))


async def ask(admin: Admin, who: Caller, name: str, /, **values: Any) -> Any:
    """What the action answers to this person. `admin` gives the database and the time."""
    admin.items = []
    context = Context(admin.config, admin.database, admin.keys, admin.now_ms, emit=admin._emit, caller=who)
    return await perform(context, name, values)


async def add_account(database: Database, id_: str, *roles: str, venues: tuple[str, ...] = (), **more: Any) -> None:
    row = {"id": id_, "roles": _json(roles), "venues": _json(venues), "teams": "[]", "state": "active"}
    row |= {"password": "", "must_change": False, "loopback_only": False, "created_ms": 1}
    async with database.write() as connection:
        await connection.execute(insert(accounts).values(row | more))


def _json(texts: tuple[str, ...]) -> str:
    return msgspec.json.encode(texts).decode()
