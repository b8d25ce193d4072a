"""What operators do at a gate, one module for each group of commands. A module is loaded when its command is used."""

from pathlib import Path

DEFAULT_CONFIG = Path("/etc/tapgate/edge.toml")
