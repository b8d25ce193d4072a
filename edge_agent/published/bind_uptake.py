"""Takes up a session in which the next card is to be bound to a member (SPEC §7.9)."""

import msgspec

from edge_agent.published import parts
from edge_agent.published.parts import AtRest
from edge_agent.published.settings_uptake import SettingsUptake
from edge_agent.sync import Opened
from protocol.binding import Bind, tapped
from protocol.envelope import seal_card
from protocol.errors import Failure, Refused
from protocol.messages import PartName


class BindUptake(SettingsUptake):
    """It counts only while the manifest names it, so one that was cancelled is not taken back: it is left alone."""

    def load(self) -> AtRest:
        """As an earlier run took it up."""
        with self.lock:
            found = super().load()
            opened = found.opened(PartName.BIND)
            if opened is not None:
                self._hold_session(opened)
            return found

    def take_bind(self, found: Opened) -> None:
        """Raises Refused, JournalUnwritable."""
        session: Bind = found.message
        if session.device != self.identity.device:
            raise Refused(Failure.OTHER_DEVICE, f"a session for {session.device}")
        seal_card(tapped(bytes(4), None, b""), session)  # no card is taken that could not be sealed
        self.accept(PartName.BIND, found)
        self.store.commit(lambda transaction: parts.put(transaction, PartName.BIND, session.version, found.envelope))
        self._hold_session(found)

    def _hold_session(self, found: Opened) -> None:
        self.use(msgspec.structs.replace(self.with_taken(PartName.BIND, found), session=found.message))
