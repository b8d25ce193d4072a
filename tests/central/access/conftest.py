"""People with accounts, who ask through the one way to actions."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from central.access import perform
from central.access.accounts import read_account
from central.access.caller import Caller, on_this_machine
from central.access.sign_in import SignedIn, sign_in
from central.actions.action import Context
from central.config import Config, parse
from central.keys import Keys
from central.store.database import Database
from tests.central.actors import NOW_MS

HERE = "127.0.0.1"
DESK = "192.0.2.7"
STRANGER = "198.51.100.9"
PASSWORD = "green tea and dumplings"
ONCE_MORE = frozenset({"account.add", "account.set", "account.reset", "token.issue"})
"""What a person at a browser states the own password for."""


class House:
    """A server's parts without a server, and a clock that tests move."""

    def __init__(self, config: Config, database: Database, keys: Keys) -> None:
        self.config, self.database, self.keys = config, database, keys
        self.now_ms = NOW_MS
        self.items: list[Any] = []

    async def act(self, name: str, caller: Caller | None = None, /, **values: Any) -> Any:
        """As this machine's operator, or as somebody."""
        self.items = []
        caller = caller or on_this_machine("root", "command line")
        if name in ONCE_MORE and not caller.local and not caller.token:
            values = {"own_password": PASSWORD} | values
        context = Context(self.config, self.database, self.keys, self.now_ms, emit=self._emit, caller=caller)
        return await perform.perform(context, name, values)

    async def add(self, account: str, *roles: str, **values: Any) -> Caller:
        """An account that has chosen its password; who it is."""
        made = await self.act("account.add", account=account, roles=list(roles), **values)
        caller = await self.caller(account)
        await self.act("account.password", caller, old=made.password, new=PASSWORD)
        return caller

    async def caller(self, account: str, origin: str = DESK) -> Caller:
        async with self.database.read() as connection:
            found = await read_account(connection, account)
        assert found is not None
        return found.caller(origin)

    async def sign_in(
        self, name: str, password: str = PASSWORD, code: str = "", origin: str = DESK, *, loopback: bool = False
    ) -> SignedIn:
        return await sign_in(self.database, self.keys, name, password, code, origin, self.now_ms, loopback=loopback)

    async def _emit(self, items: Sequence[Any]) -> None:
        self.items.extend(items)


@pytest.fixture
async def house(database: Database, keys: Keys, database_url: str, tmp_path: Path) -> House:
    config = parse({"data_dir": str(tmp_path), "database": database_url, "keys_dir": str(keys.directory)})
    return House(config, database, keys)
