"""Takes up the masked names that a gate's screen may show (SPEC §7.6)."""

import contextlib

import msgspec

from edge_agent.published import masked_names, parts
from edge_agent.published.holding import Holding
from edge_agent.published.list_uptake import ListUptake
from edge_agent.published.masked_names import MaskedNames
from edge_agent.published.parts import AtRest
from edge_agent.sync import Opened, open_one
from protocol.allowlist import accept_part
from protocol.errors import Failure, Refused
from protocol.messages import Names, PartName


class NamesUptake(ListUptake):
    """They are held only where a screen shows them, and go when it shows them no more."""

    def take_names(self, envelope: bytes) -> None:
        """Not even decoded where no screen shows them. Raises Refused, JournalUnwritable."""
        if not self.gate.holding.wants_names:
            raise Refused(Failure.NOT_SATISFIABLE, "this gate shows no names")
        found = open_one(envelope, self.ring())
        names: Names = found.message
        if names.domain != self.manifest().domain:
            raise Refused(Failure.OTHER_DOMAIN, f"names of {names.domain}, this is {self.manifest().domain}")
        self.accept(PartName.NAMES, found)
        try:
            masked_names.write(self.directory, names.version, envelope)
        except OSError as error:
            raise Refused(Failure.NOT_SATISFIABLE, f"the names cannot be stored: {error}") from None
        self.store.commit(lambda transaction: parts.put_floor(transaction, PartName.NAMES, names.version))
        self._show(found)
        with contextlib.suppress(OSError):  # then the next start does
            masked_names.destroy_others(self.directory, names.version)

    def follow_names(self) -> None:
        """Where they are shown no more, they go; where they are shown now, they may be sent again."""
        holding = self.gate.holding
        if holding.wants_names:
            if PartName.NAMES not in holding.taken:
                self.troubles.pop(PartName.NAMES, None)
            return
        if holding.names or PartName.NAMES in holding.taken:
            self.use(msgspec.structs.replace(self.with_taken(PartName.NAMES, None), names={}))
        with contextlib.suppress(OSError):
            masked_names.destroy_others(self.directory)

    def load_names(self, found: AtRest) -> None:
        """As an earlier run took them up."""
        floor = parts.floor_of(self.store, PartName.NAMES)
        if not floor or not self.gate.holding.wants_names:
            return
        try:
            opened = masked_names.read(self.directory, floor, found.ring)
            if opened.message.domain != self.manifest().domain:
                raise Refused(Failure.OTHER_DOMAIN, f"names of {opened.message.domain}")
            self._show(opened)
        except Refused as error:
            found.refused[PartName.NAMES] = error

    def _show(self, found: Opened) -> None:
        holding = self.with_taken(PartName.NAMES, found)
        self.use(msgspec.structs.replace(holding, names=MaskedNames(found.message)))

    # --- the end ----------------------------------------------------------------------------------------

    def remove_leftovers(self) -> None:
        with self.lock:
            super().remove_leftovers()
            held = self.gate.holding.taken.get(PartName.NAMES)
            with contextlib.suppress(OSError):
                masked_names.destroy_others(self.directory, held.version if held else 0)

    def destroy(self) -> None:
        """Names first: they are of use without any key."""
        with self.lock:
            with contextlib.suppress(OSError):
                masked_names.destroy_others(self.directory)
            super().destroy()

    # --- small steps --------------------------------------------------------------------------------------

    def accept(self, name: PartName, found: Opened) -> None:
        """What the manifest names, and no step back. Raises Refused."""
        floor = parts.floor_of(self.store, name)
        accept_part(self.manifest(), floor, name, found.message.version, found.payload_digest)

    def with_taken(self, name: PartName, found: Opened | None) -> Holding:
        """What is held, this part claimed as it was found, or not at all."""
        holding = self.gate.holding
        taken = {part: held for part, held in holding.taken.items() if part is not name}
        if found is not None:
            taken = holding.with_part(name, found.message.version, found.payload_digest)
        return msgspec.structs.replace(holding, taken=taken)
