"""Published parts at rest: the envelopes as they were received, each in one row with its floor.

What was accepted once stays verifiable after its key went out of date or was replaced: every key statement that
was taken up is kept, each signed by the root.
"""

from collections.abc import Mapping

from edge_agent.journal.store import Store
from edge_agent.journal.transaction import Transaction
from edge_agent.sync import Opened, open_one
from protocol.envelope import Keyring, open_as
from protocol.errors import Refused
from protocol.messages import Closure, Key, KeyStatement, PartName, Role

KEYS = "keys-"
MANIFEST = "manifest"
GOOD = "-good"
NEWEST_CONFIG = "config-newest"
"""The newest configuration that verified, whatever the machine makes of it: its closures are the ones in force."""
ENVELOPES = "SELECT name, envelope FROM parts WHERE envelope != x''"


def put(transaction: Transaction, name: str, version: int, envelope: bytes) -> None:
    """A part and its floor are one row: neither can be on disk without the other."""
    transaction.connection.execute("INSERT OR REPLACE INTO parts VALUES (?, ?, ?)", (name, version, envelope))


def put_floor(transaction: Transaction, name: str, version: int) -> None:
    """Of a part that stands in a file of its own."""
    put(transaction, name, version, b"")


def put_keys(transaction: Transaction, statement: KeyStatement, envelope: bytes) -> None:
    """Beside those that it replaces."""
    put(transaction, f"{KEYS}{statement.number}", statement.number, envelope)


def good(name: str) -> str:
    """Where the last version of a part stands that is known to work (see `proving`)."""
    return f"{name}{GOOD}"


def floor_of(store: Store, name: PartName) -> int:
    """The version below which nothing is taken up any more; 0 = anything is."""
    with store.reading() as connection:
        row = connection.execute("SELECT version FROM parts WHERE name = ?", (name.value,)).fetchone()
    return int(row[0]) if row else 0


class AtRest:
    """The parts as an earlier run left them. What does not verify is left out, and why stands in `refused`."""

    def __init__(self, rows: Mapping[str, bytes], root: Keyring) -> None:
        self.refused: dict[str, Refused] = {}
        self.statement: KeyStatement | None = None
        self._rows = {name: row for name, row in rows.items() if isinstance(name, str) and isinstance(row, bytes)}
        keys: dict[bytes, frozenset[Role]] = {}
        for name in self._rows:
            if name.startswith(KEYS):
                for key in self._keys(name, root):
                    keys[key.public] = keys.get(key.public, frozenset()) | frozenset(key.roles)
        self.ring = Keyring({public: roles for public, roles in keys.items() if Role.SERVE not in roles})

    def _keys(self, name: str, root: Keyring) -> tuple[Key, ...]:
        try:
            statement = open_as(KeyStatement, self._rows[name], root)
        except Refused as error:
            self.refused[name] = error
            return ()
        if self.statement is None or statement.number > self.statement.number:
            self.statement = statement
        return statement.keys

    def opened(self, name: str) -> Opened | None:
        """A part that still verifies."""
        if name not in self._rows:
            return None
        try:
            return open_one(self._rows[name], self.ring)
        except Refused as error:
            self.refused[name] = error
            return None


def closures_in(found: AtRest) -> tuple[Closure, ...]:
    """Those of the newest configuration that verifies: a closure waits for no trial and goes back with none."""
    names = (NEWEST_CONFIG, PartName.CONFIG, good(PartName.CONFIG))
    held = [opened.message for name in names if (opened := found.opened(name)) is not None]
    return max(held, key=lambda config: config.version).closures if held else ()


def at_rest(store: Store, root: Keyring) -> AtRest:
    """Read from the running agent's own store."""
    with store.reading() as connection:
        rows = dict(connection.execute(ENVELOPES).fetchall())
    return AtRest(rows, root)
