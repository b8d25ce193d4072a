"""What a gate holds from central at one moment: one immutable value, swapped whole by the download loop."""

from collections.abc import Mapping

import msgspec

from edge_agent.published.lists import ListFile
from protocol.allowlist import Entry, part_of
from protocol.binding import Bind, takes
from protocol.closure import closed
from protocol.compiled import CompiledPolicy
from protocol.messages import Ages, Clock, Closure, ConsentNotice, Direction, GateConfig, Held, Manifest, Part, PartName


class Holding(msgspec.Struct, frozen=True):
    """Nothing yet, some parts, or all of them; `decide` knows what to say in each case."""

    device: str
    gate: str
    manifest: Manifest | None = None
    allowlist: ListFile | None = None
    policy: CompiledPolicy | None = None
    config: GateConfig | None = None
    closures: tuple[Closure, ...] = ()
    """Those of the newest configuration that verified, which need not be the one in use (SPEC §7.6)."""
    domain_key: bytes | None = None
    """The one that the list in use was made under."""
    key_number: int = 0
    names: Mapping[bytes, str] = {}
    """Of a subject, what the screen may call it: masked, and only where the configuration shows names."""
    session: Bind | None = None
    """In which the next card is to be bound; it counts while the manifest names it."""
    notices: tuple[ConsentNotice, ...] = ()
    """Of consent, which the screen may show: of every purpose, whatever this gate asks for."""
    taken: dict[PartName, Part] = {}
    """Parts other than the allowlist as they were named when they were taken up."""
    is_enrolled: bool = True
    """False once this device was revoked: nobody enters any more, and everybody may leave."""

    @property
    def direction(self) -> Direction:
        return self.config.direction if self.config else Direction.IN

    @property
    def venue(self) -> str:
        return self.manifest.venue if self.manifest else ""

    @property
    def ages(self) -> Ages | None:
        return self.manifest.ages if self.manifest else None

    def is_closed(self, at_ms: int, entry: Entry | None) -> bool:
        """Whether central's closures keep out who has this entry."""
        return bool(self.closures) and closed(self.closures, at_ms, entry.classes if entry else ())

    def open_session(self, at_ms: int, clock: Clock, used: bytes = b"") -> Bind | None:
        """The session that takes the next card. `used`: the last one that took a card here."""
        session = self.session
        if session is None or not takes(session, at_ms, clock, self.direction, used):
            return None
        return session if self.is_current(PartName.BIND) else None

    def versions(self) -> Held:
        """As every event records them."""
        return Held(
            manifest=self.manifest.number if self.manifest else 0,
            allowlist=self.allowlist.header.version if self.allowlist else 0,
            policy=self.policy.policy.version if self.policy else 0,
            config=self.config.version if self.config else 0,
        )

    def part(self, name: PartName) -> Part | None:
        """A part as it is held, content and all."""
        if name is PartName.ALLOWLIST:
            return self.allowlist.header.part() if self.allowlist else None
        return self.taken.get(name)

    def parts(self) -> tuple[Part, ...]:
        """For the poll."""
        return tuple(part for name in PartName if (part := self.part(name)) is not None)

    def is_current(self, name: PartName) -> bool:
        """True when this part is what the manifest says."""
        stated = part_of(self.manifest, name) if self.manifest else None
        return stated is not None and stated == self.part(name)

    @property
    def wants_names(self) -> bool:
        """Names are held only where they are shown, and while central names them."""
        stated = part_of(self.manifest, PartName.NAMES) if self.manifest else None
        return stated is not None and self.config is not None and self.config.screen.names

    def with_part(self, name: PartName, version: int, digest: bytes) -> dict[PartName, Part]:
        """`taken` with one more."""
        return {**self.taken, name: Part(name.value, version, digest)}
