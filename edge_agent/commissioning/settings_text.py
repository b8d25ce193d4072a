"""The settings file as setting up writes it: a new one, or an old one with other readers and everything else left."""

import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path

import msgspec

from edge_agent.config import ReaderSettings

HEAD = """# Written by `tapgate-edge setup`: what is this machine's own; what the gate is comes from central.
# What else can be set here: deploy/edge.example.toml.
data_dir = {data_dir}
"""


class NotOurs(ValueError):
    """The file is written in a way in which readers cannot be exchanged without losing something."""


def with_screen(text: str) -> str:
    """The same file with a screen, on the port that is used where none is named."""
    return text if "screen" in tomllib.loads(text) else f"{_blank(text)}[screen]\n"


def new_text(data_dir: Path, readers: Iterable[ReaderSettings]) -> str:
    """A whole file."""
    return HEAD.format(data_dir=_text(str(data_dir))) + "".join(f"\n{_reader(reader)}" for reader in readers)


def with_readers(text: str, readers: Iterable[ReaderSettings]) -> str:
    """The same file with these readers: other tables stay as they are, and so does every line that is a comment.

    Raises NotOurs.
    """
    wanted = tuple(readers)
    lines = text.splitlines(keepends=True)
    kept: list[str] = []
    at, inside = None, False
    for line in lines:
        if _TABLE.match(line):
            inside = _READERS.match(line) is not None
            at = len(kept) if inside and at is None else at
        if not inside or line.lstrip().startswith("#"):
            kept.append(line)
    blocks = "".join(f"{_reader(reader)}\n" for reader in wanted)
    at = len(kept) if at is None else at
    made = _blank("".join(kept[:at])) + blocks + "".join(kept[at:])
    made = made.rstrip("\n") + "\n"
    before = tomllib.loads(text)
    try:
        after = tomllib.loads(made)
    except tomllib.TOMLDecodeError:
        after = {}
    if before | {"readers": after.get("readers")} != after or len(after["readers"]) != len(wanted):
        raise NotOurs("its readers are written in a way that cannot be exchanged: change it by hand")
    return made


_TABLE = re.compile(r"\s*\[")
_READERS = re.compile(r"\s*\[\[\s*readers\s*\]\]")


def _blank(text: str) -> str:
    return text if text == "" or text.endswith("\n\n") else text.rstrip("\n") + "\n\n"


def _reader(reader: ReaderSettings) -> str:
    lines = ["[[readers]]", f"name = {_text(reader.name)}", f"kind = {_text(reader.kind)}"]
    for key in ("match", "path", "profile", "power"):
        if value := getattr(reader, key):
            lines.append(f"{key} = {_text(value)}")
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    """A TOML string: JSON's way of writing one is one of TOML's, but for DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def readers_of(text: str) -> tuple[ReaderSettings, ...]:
    """The readers of a settings file as it writes them, paths as they stand there. Raises msgspec.ValidationError."""
    return msgspec.convert(tomllib.loads(text).get("readers", []), tuple[ReaderSettings, ...])
