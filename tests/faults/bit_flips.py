"""Flips one bit of one stored file at a time, at seeded places, and tells what changed by it."""

import random
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

SEED = 71
FLIPS = 60
"""In each file; more in central's database, fewer in a key."""


class Flipped:
    """A copy of a directory with one bit of one file flipped."""

    def __init__(self, original: Path, into: Path, name: str, place: int, bit: int) -> None:
        shutil.rmtree(into, ignore_errors=True)
        shutil.copytree(original, into, ignore=shutil.ignore_patterns("*-shm", "*.sock", "*.lock"))
        self.text = f"{name}, byte {place}, bit {bit}"
        data = bytearray((into / name).read_bytes())
        data[place] ^= 1 << bit
        (into / name).write_bytes(data)


def flips(original: Path, into: Path, name: str, count: int = FLIPS) -> Iterator[str]:
    """Seeded flips of one file, each in a fresh copy at `into`."""
    chance, data = random.Random(f"{SEED} {name.rsplit('-', 1)[-1]}"), (original / name).read_bytes()
    for _ in range(count):
        place = chance.randrange(len(data))
        yield Flipped(original, into, name, place, chance.randrange(8)).text


def tables(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Everything in an SQLite file, sorted. Looked at in a copy: the last one to close takes the -wal away."""
    with tempfile.TemporaryDirectory() as copy, closing(_copied(path, Path(copy))) as db:
        names = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: sorted(db.execute(f'SELECT * FROM "{name}"'), key=repr) for name in names}


def differing(before: Path, after: Path) -> set[tuple[str, str]]:
    """(table, column) of everything that is not the same in two files of one schema; rows that came or went count
    in every column."""
    found = set()
    with tempfile.TemporaryDirectory() as copy, closing(_copied(after, Path(copy))) as db:
        db.execute("ATTACH ? AS original", (str(before),))
        for (table,) in db.execute("SELECT name FROM original.sqlite_master WHERE type = 'table'").fetchall():
            columns = [row[1] for row in db.execute(f'PRAGMA original.table_info("{table}")')]
            rows = (
                dict(enumerate(sorted(db.execute(f'SELECT * FROM {schema}."{table}"'), key=repr)))
                for schema in ("original", "main")
            )
            left, right = (set(each.values()) for each in rows)
            gone, come = sorted(left - right, key=repr), sorted(right - left, key=repr)
            if len(gone) == len(come) == 1:
                found |= {(table, c) for c, old, new in zip(columns, gone[0], come[0], strict=True) if old != new}
            elif gone or come:
                found |= {(table, column) for column in columns}
    return found


def _copied(path: Path, into: Path) -> sqlite3.Connection:
    for each in path.parent.glob(path.name + "*"):
        if not each.name.endswith("-shm"):
            shutil.copy(each, into / each.name)
    return sqlite3.connect(into / path.name)
