"""Lists that come in pages, read to their end."""

from typing import Any

from central.commands.shell import act
from central.config import Config


def whole(settings: Config, action: str, values: dict[str, Any], rows: str) -> dict[str, Any]:
    """The action's last answer, with the rows of all of its pages under that name."""
    found = act(settings, action, values)
    every = found[rows]
    while found["more"]:
        found = act(settings, action, {**values, "after": found["next"]})
        every += found[rows]
    return {**found, rows: every}
