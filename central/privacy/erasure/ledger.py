"""Who was erased, beside the keys and outside the database: a backup that is restored still holds them, and knows
nothing of it. Appended, one JSON line each, of keyed hashes alone."""

import os
from pathlib import Path
from typing import Annotated

import msgspec

from central.files import sync_directory

FILE = "erasures.log"
Hex = Annotated[str, msgspec.Meta(pattern=r"^([0-9a-f]{2})+$")]


class Line(msgspec.Struct, frozen=True):
    """One erasure. `member` and `subjects`: `Keys.erased_hash` of each."""

    erasure: Hex
    at_ms: int
    member: Hex
    reference: Hex
    subjects: list[Hex]


def append(directory: Path, line: Line) -> None:
    """On disk before the database is changed: a crash in between erases once more, which does no harm."""
    path = directory / FILE
    is_new = not path.exists()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(msgspec.json.encode(line) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    if is_new:
        sync_directory(directory)


def read(directory: Path) -> list[Line]:
    """All of them; a line that was cut short by a power cut is passed over, since it was never acted upon.

    Raises ValueError, which names the line, where another one cannot be read.
    """
    path = directory / FILE
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    found = []
    for number, line in enumerate(lines, 1):
        try:
            if line:
                found.append(msgspec.json.decode(line, type=Line))
        except msgspec.MsgspecError as error:
            if number == len(lines):
                continue
            raise ValueError(f"{path}, line {number}: {error}") from None
    return found
