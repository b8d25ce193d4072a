"""What every action is made of: typed parameters in, a typed result out, and a context that it works in."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from central.access.caller import Caller, Scope, on_this_machine
from central.config import Config
from central.keys import Keys
from central.store.database import Database


class Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an action is told. A map: pages, scripts and the command line all write it."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What an action answers. A map; fields are only ever added."""


class ActionFailed(Exception):
    """It was not done. The text is one line for a person: what, where, and what to do about it."""


class AskedTooOften(ActionFailed):
    """The caller asked too often; after `wait_s` it is answered again."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(f"too many requests with this token: ask again in {wait_s} s")
        self.wait_s = wait_s


Progress = Callable[[str, int, int], Awaitable[None]]
"""`(what, done, total)`; total 0 = not known."""

Emit = Callable[[Sequence[Any]], Awaitable[None]]
"""Hands out items one by one as they arise (rows of an import, lines of the log), so none is held in memory."""


async def no_progress(_what: str, _done: int, _total: int) -> None:
    """For callers that show none."""


async def no_items(_items: Sequence[Any]) -> None:
    """For callers that want the result alone."""


HERE = on_this_machine("", "command line")
"""Whoever asks without saying who: code of this machine's own."""


@dataclass
class Context:
    """One run of one action. `file` is what the caller attached (a table, a journal, a backup)."""

    config: Config
    database: Database
    keys: Keys
    now_ms: int
    progress: Progress = no_progress
    emit: Emit = no_items
    file: Path | None = None
    caller: Caller = HERE
    looks_on: bool = False
    """An open page is drawn again: that somebody looked stands in the audit log already."""
    about: str = ""
    """Set by an action that finds out itself whom it is about, for the audit log: by a card's number, a member."""

    @property
    def scope(self) -> Scope:
        """What of the city it may show: an action whose rule says `filtered` shows nothing else."""
        return self.caller.scope

    def attached(self) -> Path:
        """The attached file. Raises ActionFailed when there is none."""
        if self.file is None:
            raise ActionFailed("no file is attached to this action: send one after its parameters")
        return self.file


def require_content(file: Path | None) -> None:
    """Raises ActionFailed for a file that is empty: it must not pass for one that nobody attached."""
    if file is not None and file.is_file() and not file.stat().st_size:
        raise ActionFailed("the file is empty: nothing was done")


P = TypeVar("P", bound=Params)


@dataclass(frozen=True)
class Action(Generic[P]):
    """An entry of the registry. `writes` False: it may run beside a server, on a reading connection."""

    name: str
    params: type[P]
    run: Callable[[Context, P], Awaitable[Result]]
    writes: bool


ACTIONS: dict[str, Action[Any]] = {}
"""Every action by its name, such as `card.block`. Filled by importing `central.actions.registry`."""


def action(name: str, params: type[P], *, writes: bool) -> Callable[[Callable[[Context, P], Any]], Any]:
    """Register a function as the action of this name."""

    def register(run: Callable[[Context, P], Any]) -> Callable[[Context, P], Any]:
        ACTIONS[name] = Action(name, params, run, writes)
        return run

    return register
