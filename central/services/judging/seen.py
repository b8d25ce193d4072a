"""A tap as central looks at it again: what its gate said, and what was so at that time. Pure."""

from typing import NamedTuple

from central.entry_history import HeldEntry
from protocol.allowlist import Entry
from protocol.clock import TOLERANCE_MS
from protocol.compiled import CompiledPolicy
from protocol.history import Mark
from protocol.messages import Clock, Held

LATE_MS = TOLERANCE_MS
"""What central came to know or say so shortly before a tap, the gate need not have known: two seconds are promised, and
a clock that counts as right may be off by this."""

DENIED = "denied"
"""In place of a fate: a tap that was denied."""


class Lately(NamedTuple):
    """All that central said until a tap, from `LATE_MS` before it on. None among the entries: not on the list."""

    entries: tuple[Entry | None, ...]
    policies: tuple[CompiledPolicy, ...]
    list_version: int
    """Since when the newest of the entries stands."""
    policy_version: int


class Circumstances(NamedTuple):
    """What only a tap that is judged needs. `policy`: of the version that the gate held; None = not known here."""

    clock: Clock
    held: Held
    received_ms: int
    entry_held: HeldEntry | None
    """As the gate's list had it; None = nothing is known of then."""
    entry_known: HeldEntry | None
    """As central knew it at that instant."""
    policy: CompiledPolicy | None
    keeps_marks: bool = True
    """Every version of this policy that the gate may have had before looks back: so it kept the marks that it made."""
    lately: Lately | None = None
    """Of a denied tap."""


class Seen(NamedTuple):
    """A tap, or an admission by hand."""

    device: str
    mark: Mark
    """As its gate made it, by the gate's own clock."""
    at_ms: int
    """When it was, corrected by what people stated of that clock."""
    kind: str
    reason: str
    card: int
    fate: str
    """`central.services.marks.MarkFate`, or DENIED."""
    is_repeat: bool
    """It took the place of a tap that it repeated."""
    fingerprint: bytes = b""
    token: bytes = b""
    """The card's, as the history of lists has it for the list that the gate held; empty = not looked up."""
    key_number: int = 0
    """Of the key that this list was made with: while a key is rotated the history has tokens of the next one."""
    told: Circumstances | None = None
    """None: it is history only."""
    received_ms: int = 0
    """When central had it; 0 = not looked up."""
    reader: str = ""
    """The profile by which the device's readers read; empty = not looked up, or they differ."""

    @property
    def order(self) -> tuple[int, tuple[bytes, int]]:
        """The order of taps, the same at every gate and here (`conditions.is_after`)."""
        return self.at_ms, self.mark.name

    @property
    def corrected(self) -> Mark:
        """The mark, at the time that it was."""
        if self.at_ms == self.mark.at_ms:
            return self.mark
        return Mark(self.at_ms, *(getattr(self.mark, name) for name in Mark.__struct_fields__[1:]))
