"""What `tapgate-edge doctor` looks at, one module a subject. A check looks and never changes anything.

What could not be looked at is `not-known`, never `ok`.
"""

from collections.abc import Callable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from edge_agent.commissioning.machine import Machine
from edge_agent.config import Config


class Result(StrEnum):
    """Of one check. Only `fail` makes the whole fail."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    NOT_APPLICABLE = "not-applicable"
    NOT_KNOWN = "not-known"


class Said(NamedTuple):
    """One text for a person, in both languages."""

    zh: str
    en: str


SILENT = Said("", "")
NO_SETTINGS = Said("設定檔不能用", "the settings cannot be used")
NOT_RUNNING = Said("閘門程式沒有回應", "the agent does not answer")


def same(text: str) -> Said:
    """What is the same in every language: names, numbers, what a program said."""
    return Said(text, text)


class Verdict(msgspec.Struct, frozen=True):
    """What one look found."""

    result: Result
    seen: Said
    means: Said = SILENT
    """What follows from it, for somebody who does not know the program."""
    mend: tuple[str, ...] = ()
    """The commands that mend it, in their order, ready to be pasted."""
    about: str = ""
    """Which of several: a reader's name, a device."""


def ok(seen: Said, about: str = "") -> Verdict:
    """Looked at, and as it should be."""
    return Verdict(Result.OK, seen, about=about)


def not_applicable(seen: Said) -> Verdict:
    """Nothing here needs it."""
    return Verdict(Result.NOT_APPLICABLE, seen)


def not_known(seen: Said, *mend: str, about: str = "") -> Verdict:
    """It could not be looked at; `mend` is what would let it."""
    return Verdict(Result.NOT_KNOWN, seen, mend=mend, about=about)


def warn(seen: Said, means: Said, *mend: str, about: str = "") -> Verdict:
    """It works, and something should be done about it."""
    return Verdict(Result.WARN, seen, means, mend, about)


def fail(seen: Said, means: Said, *mend: str, about: str = "") -> Verdict:
    """It does not work."""
    return Verdict(Result.FAIL, seen, means, mend, about)


class Subject(msgspec.Struct, frozen=True):
    """The agent that is looked at, and where."""

    machine: Machine
    program: str
    """How this program is called, as far as it has to be said in a command: path and settings."""
    config_path: str
    settings: Config | None
    """None: they cannot be used, and `settings_error` says why."""
    settings_error: str
    status: dict[str, Any] | None
    """What the running agent says of itself; None: none answered."""
    service_user: str | None
    """Whom the installed unit runs the agent as; None: there is no unit."""

    @property
    def data(self) -> Path | None:
        """Where the agent's data lies, as this process sees it."""
        return None if self.settings is None else self.machine.path(self.settings.data_dir)

    @property
    def needs_pcsc(self) -> bool:
        """Without usable settings it is taken for granted: most readers do."""
        return self.settings is None or any(reader.kind == "pcsc" for reader in self.settings.readers)


Look = Callable[[Subject], Iterator[Verdict]]
"""May raise PermissionError, which says by itself that nothing is known."""


class Check(NamedTuple):
    """`id` never changes its meaning; `title` is what a person reads."""

    id: str
    title: Said
    look: Look
