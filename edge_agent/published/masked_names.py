"""The masked names that a gate's screen may show: as received in a file of their own, small in memory.

In a file, not in the database: so that they can be destroyed, and go into no copy of a damaged journal.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from pathlib import Path

from edge_agent.files import destroy_file, replace_file
from edge_agent.sync import Opened, open_one
from protocol.envelope import Keyring
from protocol.errors import Failure, Refused
from protocol.messages import Names

PATTERN = "names-*"
SUBJECT_BYTES = 16


class MaskedNames(Mapping[bytes, str]):
    """Subject to name. 100,000 of them take some 4 MB, where a dictionary would take 20."""

    def __init__(self, names: Names) -> None:
        rows = sorted((row.subject, row.name.encode()) for row in names.names)
        self._subjects = b"".join(subject for subject, _ in rows)
        self._names = b"".join(name for _, name in rows)
        self._ends = array("L", [0])
        for _, name in rows:
            self._ends.append(self._ends[-1] + len(name))

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __iter__(self) -> Iterator[bytes]:
        return map(self._subject, range(len(self)))

    def __getitem__(self, subject: bytes) -> str:
        at = bisect_left(range(len(self)), subject, key=self._subject)
        if at == len(self) or self._subject(at) != subject:
            raise KeyError(subject)
        return self._names[self._ends[at] : self._ends[at + 1]].decode()

    def __repr__(self) -> str:  # no name reaches a log
        return f"<MaskedNames: {len(self)}>"

    def _subject(self, at: int) -> bytes:
        return self._subjects[at * SUBJECT_BYTES : (at + 1) * SUBJECT_BYTES]


def path_of(directory: Path, version: int) -> Path:
    """Where the names of a version stand."""
    return directory / f"names-{version}"


def read(directory: Path, version: int, ring: Keyring) -> Opened:
    """As they were taken up. Raises Refused where they are not, or not there."""
    path = path_of(directory, version)
    try:
        opened = open_one(path.read_bytes(), ring)
    except OSError as error:
        raise Refused(Failure.MALFORMED, f"{path.name}: {error.strerror}") from None
    if not isinstance(opened.message, Names) or opened.message.version != version:
        raise Refused(Failure.NOT_NEWER, f"{path.name}: it is not version {version}")
    return opened


def write(directory: Path, version: int, envelope: bytes) -> None:
    """On disk when this returns. Raises OSError."""
    replace_file(path_of(directory, version), envelope)


def destroy_others(directory: Path, version: int = 0) -> None:
    """Every file of names but the one of this version; what an earlier run left of them too. Raises OSError."""
    for path in directory.glob(PATTERN):
        if path != path_of(directory, version):
            destroy_file(path)
