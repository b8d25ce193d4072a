"""What a gate holds from central at one moment: one immutable value, swapped whole by the download loop."""

import msgspec

from edge_agent.lists import ListFile
from protocol.allowlist import part_of
from protocol.messages import Ages, Direction, GateConfig, Held, Manifest, PartName
from protocol.policy import CompiledPolicy


class Holding(msgspec.Struct, frozen=True):
    """Nothing yet, some parts, or all of them; `decide` knows what to say in each case."""

    device: str
    gate: str
    manifest: Manifest | None = None
    allowlist: ListFile | None = None
    policy: CompiledPolicy | None = None
    config: GateConfig | None = None
    domain_key: bytes | None = None
    key_number: int = 0

    @property
    def direction(self) -> Direction:
        return self.config.direction if self.config else Direction.IN

    @property
    def ages(self) -> Ages | None:
        return self.manifest.ages if self.manifest else None

    def versions(self) -> Held:
        """As every event records them."""
        return Held(
            manifest=self.manifest.number if self.manifest else 0,
            allowlist=self.allowlist.header.version if self.allowlist else 0,
            policy=self.policy.policy.version if self.policy else 0,
            config=self.config.version if self.config else 0,
        )

    def is_current(self, name: PartName) -> bool:
        """True when this part stands where the manifest says."""
        stated = part_of(self.manifest, name) if self.manifest else None
        held = {
            PartName.ALLOWLIST: self.allowlist.header.version if self.allowlist else 0,
            PartName.POLICY: self.policy.policy.version if self.policy else 0,
            PartName.CONFIG: self.config.version if self.config else 0,
            PartName.DOMAIN_KEY: self.key_number,
        }
        return stated is not None and stated.version == held[name]
