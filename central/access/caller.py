"""Who asks for an action, and what of the city is theirs."""

from dataclasses import dataclass, field, replace
from enum import StrEnum


class Role(StrEnum):
    """What an account is for. An account may have several: what any of them may do, it may do."""

    OPERATOR = "operator"
    """Runs venues: their gates, devices, staff, cards at the counter."""
    COORDINATOR = "coordinator"
    """Runs volunteer teams: their sessions, sheets and honour cards."""
    ADMIN = "admin"
    """Everything."""
    AUDITOR = "auditor"
    """Reads everything, changes nothing."""


@dataclass(frozen=True)
class Scope:
    """The part of the city that an action may show. None: all of it."""

    venues: frozenset[str] | None = None
    teams: frozenset[str] | None = None


EVERYTHING = Scope()


@dataclass(frozen=True)
class Caller:
    """A person or a system that asks. `origin`: an address, `local socket` or `command line`."""

    name: str
    roles: frozenset[Role]
    origin: str
    venues: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    token: str = ""
    """The name of the API token that it came with; empty: a session, or this machine."""
    only: frozenset[str] | None = field(default=None)
    """The actions that its token is for; None: all that its roles may."""
    scopes: frozenset[str] = frozenset()
    """What its token is for, where that is another system's business (`rules.SCOPES`) rather than its account's."""
    local: bool = False
    """At this machine's command line or socket: whoever can open the database may do everything."""

    @property
    def sees_all(self) -> bool:
        return self.local or bool(self.roles & {Role.ADMIN, Role.AUDITOR})

    @property
    def sees_everywhere_to_read(self) -> bool:
        """By the auditor's role alone."""
        return not self.local and Role.AUDITOR in self.roles and Role.ADMIN not in self.roles

    def as_writer(self) -> "Caller":
        """The same without the auditor's role, which is for looking: what is left is where they may change things."""
        return replace(self, roles=self.roles - {Role.AUDITOR})

    @property
    def scope(self) -> Scope:
        return EVERYTHING if self.sees_all else Scope(self.venues, self.teams)


def on_this_machine(name: str, origin: str) -> Caller:
    """The operator of the machine itself."""
    return Caller(name, frozenset({Role.ADMIN}), origin, local=True)
