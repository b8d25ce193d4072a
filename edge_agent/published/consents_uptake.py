"""Takes up the notices of consent that a gate's screen may show (SPEC §5.19, §7.14)."""

import msgspec

from edge_agent.published import parts
from edge_agent.published.bind_uptake import BindUptake
from edge_agent.published.parts import AtRest
from edge_agent.sync import Opened
from protocol.consent import Consents
from protocol.messages import PartName


class ConsentsUptake(BindUptake):
    """They are texts and name nobody: they stay where a configuration shows them no more, and are not shown."""

    def load(self) -> AtRest:
        """As an earlier run took them up."""
        with self.lock:
            found = super().load()
            opened = found.opened(PartName.CONSENTS)
            if opened is not None:
                self._hold_notices(opened)
            return found

    def take_consents(self, found: Opened) -> None:
        """Raises Refused, JournalUnwritable."""
        message: Consents = found.message
        self.accept(PartName.CONSENTS, found)
        self.store.commit(lambda t: parts.put(t, PartName.CONSENTS, message.version, found.envelope))
        self._hold_notices(found)

    def _hold_notices(self, found: Opened) -> None:
        self.use(msgspec.structs.replace(self.with_taken(PartName.CONSENTS, found), notices=found.message.notices))
