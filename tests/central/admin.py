"""Running actions in tests: a context over the fixtures, and what an action handed out."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from central.actions.action import Context, Progress, no_progress
from central.actions.registry import ACTIONS
from central.config import Config, parse
from central.keys import Keys
from central.store.database import Database
from tests.central.actors import NOW_MS


class Admin:
    """One operator. `items` holds what the last action handed out."""

    def __init__(self, config: Config, database: Database, keys: Keys) -> None:
        self.config, self.database, self.keys = config, database, keys
        self.now_ms = NOW_MS
        self.items: list[Any] = []
        self.progress: Progress = no_progress

    async def act(self, name: str, /, *, file: Path | None = None, **values: Any) -> Any:
        action = ACTIONS[name]
        self.items = []
        context = Context(self.config, self.database, self.keys, self.now_ms, self.progress, self._emit, file)
        return await action.run(context, msgspec.convert(values, action.params))

    async def _emit(self, items: Sequence[Any]) -> None:
        self.items.extend(items)

    def verdicts(self) -> dict[int, str]:
        return {item.row: str(item.verdict) for item in self.items}

    def why(self, row: int) -> str:
        return str(next(item.why for item in self.items if item.row == row))


def admin_of(database: Database, keys: Keys, url: str, data_dir: Path) -> Admin:
    config = parse({"data_dir": str(data_dir), "database": url, "keys_dir": str(keys.directory)})
    return Admin(config, database, keys)
