"""A tap as central looks at it again: what its gate said, and what was so at that time. Pure."""

from typing import NamedTuple

from central.entry_history import HeldEntry
from protocol.compiled import CompiledPolicy
from protocol.history import Mark
from protocol.messages import Clock, Held


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


class Seen(NamedTuple):
    """A granted tap, or an admission by hand."""

    device: str
    mark: Mark
    """As its gate made it, by the gate's own clock."""
    at_ms: int
    """When it was, corrected by what people stated of that clock."""
    kind: str
    reason: str
    card: int
    fate: str
    """`central.services.marks.MarkFate`."""
    is_repeat: bool
    """It took the place of a tap that it repeated."""
    fingerprint: bytes = b""
    token: bytes = b""
    """The card's, in the list that the gate held; empty = not looked up."""
    told: Circumstances | None = None
    """None: it is history only."""

    @property
    def order(self) -> tuple[int, tuple[bytes, int]]:
        """The order of taps, the same at every gate and here (`conditions.is_after`)."""
        return self.at_ms, self.mark.name
