"""The contacts of a door, each believed once it has stayed. Pure but for reading them."""

from collections.abc import Mapping

from edge_agent.door.debounce import Debounced
from edge_agent.release import Input

DOOR, FIRE, TAMPER, EXIT = "door", "fire-alarm", "tamper", "exit-button"


class Contacts:
    """By the names that the settings give them."""

    def __init__(self, inputs: Mapping[str, Input]) -> None:
        self.inputs = dict(inputs)
        self._believed = {name: Debounced(each.debounce_ms) for name, each in inputs.items()}

    def read(self, now_ms: int) -> list[tuple[str, bool | None]]:
        """What is believed otherwise than before; the fire alarm first, since nothing that it frees is forced."""
        changed = [name for name, each in self.inputs.items() if self._believed[name].feed(each.level(), now_ms)]
        return [(name, self._believed[name].level) for name in sorted(changed, key=lambda name: name != FIRE)]

    def level(self, name: str) -> bool | None:
        """None: nobody can tell, or there is no such contact."""
        found = self._believed.get(name)
        return found.level if found else None

    def blind(self) -> tuple[str, ...]:
        """Those that cannot be read just now."""
        return tuple(sorted(name for name, each in self._believed.items() if each.level is None))
