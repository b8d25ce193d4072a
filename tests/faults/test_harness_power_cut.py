"""The power-cut harness itself: it finds a missing sync, and finds nothing where every sync is there."""

import re
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.power_cut import Cut, Recording, record
from tests.support.power_cut_strace import Unsupported

pytestmark = pytest.mark.system
SEED = 20260401
SQLITE = """
import os, sqlite3, sys
journal, synchronous, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = sqlite3.connect("store/a.db", isolation_level=None)
db.execute(f"PRAGMA journal_mode={journal}"); db.execute(f"PRAGMA synchronous={synchronous}")
db.execute("PRAGMA wal_autocheckpoint=20")
db.execute("CREATE TABLE IF NOT EXISTS t (x INTEGER PRIMARY KEY, y BLOB)")
seen = os.open("seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for x in range(rows):
    db.execute("INSERT INTO t VALUES (?, ?)", (x, os.urandom(x * 97 % 6000)))
    os.write(seen, b"%d\\n" % x)
"""
REPLACE = """
import os, sys
seen = os.open("seen", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
for x in range(20):
    with open("store/new", "wb") as file:
        file.write(b"%d\\n" % x * 400); file.flush()
        if "file" in sys.argv: os.fsync(file.fileno())
    os.replace("store/new", "store/number")
    if "directory" in sys.argv:
        directory = os.open("store", os.O_RDONLY); os.fsync(directory); os.close(directory)
    os.write(seen, b"%d\\n" % x)
"""


def recorded(tmp_path: Path, program: str, *arguments: str) -> Recording:
    (tmp_path / "store").mkdir()
    return record(
        [sys.executable, "-c", program, *arguments],
        tmp_path / "store",
        tmp_path / "log",
        cwd=tmp_path,
        witnesses=[tmp_path / "seen"],
    )


def losses(recording: Recording, tmp_path: Path, held: Callable[[Path], set[int]], count: int = 150) -> list[str]:
    """A line for every cut after which something that had been acknowledged was not there."""
    found = []
    for cut in recording.cuts(SEED, count, tmp_path / "cut"):
        missing = acknowledged(cut) - held(cut.directory)
        if missing:
            found.append(f"{cut}: lost {sorted(missing)}")
    return found


def acknowledged(cut: Cut) -> set[int]:
    (seen,) = cut.seen.values()
    return {int(line) for line in seen.split()}


def rows(directory: Path) -> set[int]:
    """What SQLite finds; it must never find damage."""
    with sqlite3.connect(directory / "a.db") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        if not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            return set()
        held = {row for (row,) in db.execute("SELECT x FROM t")}
    db.close()
    return held


def number_file(directory: Path) -> set[int]:
    """All numbers through the one in the file, when that is whole."""
    path = directory / "number"
    numbers = path.read_bytes().split() if path.exists() else []
    return set(range(int(numbers[0]) + 1)) if len(numbers) == 400 and len(set(numbers)) == 1 else set()


@pytest.mark.parametrize("journal", ["WAL", "DELETE"])
def test_sqlite_that_syncs_each_commit_never_loses_an_acknowledged_one(tmp_path: Path, journal: str) -> None:
    recording = recorded(tmp_path, SQLITE, journal, "EXTRA" if journal == "DELETE" else "FULL", "60")
    assert sum(op.kind == "seen" for op in recording.ops) == 60
    assert losses(recording, tmp_path, rows, 300) == []


def test_sqlite_that_leaves_the_commit_unsynced_is_found(tmp_path: Path) -> None:
    assert losses(recorded(tmp_path, SQLITE, "WAL", "NORMAL", "60"), tmp_path, rows)


def test_sqlite_without_any_sync_is_found_damaged(tmp_path: Path) -> None:
    recording = recorded(tmp_path, SQLITE, "DELETE", "OFF", "60")
    with pytest.raises((AssertionError, sqlite3.DatabaseError)):
        losses(recording, tmp_path, rows)


def test_a_file_written_without_sync_is_found(tmp_path: Path) -> None:
    assert losses(recorded(tmp_path, REPLACE, "directory"), tmp_path, number_file)


def test_a_rename_without_a_sync_of_the_directory_is_found(tmp_path: Path) -> None:
    assert losses(recorded(tmp_path, REPLACE, "file"), tmp_path, number_file)


def test_a_file_synced_then_renamed_then_its_directory_synced_is_never_lost(tmp_path: Path) -> None:
    assert losses(recorded(tmp_path, REPLACE, "file", "directory"), tmp_path, number_file, 300) == []


def test_with_everything_kept_the_rebuilt_files_are_the_real_ones(tmp_path: Path) -> None:
    """The recording misses nothing: replayed to its end, it gives the bytes that the program left behind."""
    program = SQLITE + "\nos._exit(0)"  # the write-ahead file stays
    recording = recorded(tmp_path, program, "WAL", "FULL", "30")
    for cut in recording.cuts(SEED, 4_000, tmp_path / "cut"):
        if cut.at == cut.of and cut.manner == "all kept":
            for name in ("a.db", "a.db-wal"):
                assert (cut.directory / name).read_bytes() == (tmp_path / "store" / name).read_bytes(), name
            return
    pytest.fail("no cut at the very end")


def test_threads_and_children_are_recorded_too(tmp_path: Path) -> None:
    program = """
import os, threading, subprocess, sys
def work(name):
    with open(f"store/{name}", "ab") as file:
        for _ in range(50): file.write(name.encode()); file.flush(); os.fsync(file.fileno())
threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
[thread.start() for thread in threads]; [thread.join() for thread in threads]
subprocess.run([sys.executable, "-c", "open('store/child', 'w').write('here')"], check=True)
"""
    recording = recorded(tmp_path, program)
    written = {name: b"".join(op.data for op in recording.ops if op.path == name) for name in [*"abcd", "child"]}
    assert written == {**{name: name.encode() * 50 for name in "abcd"}, "child": b"here"}
    assert sum(op.kind == "sync" for op in recording.ops) == 200


@pytest.mark.parametrize(
    ("how", "program"),
    [
        ("mapped", "import mmap; f = open('store/f', 'w+b'); f.truncate(9); mmap.mmap(f.fileno(), 9)[0:1] = b'x'"),
        ("copied", "import shutil; open('f', 'w').write('x' * 99); shutil.copyfile('f', 'store/f')"),
    ],
)
def test_writes_that_cannot_be_seen_are_refused_not_overlooked(tmp_path: Path, how: str, program: str) -> None:
    with pytest.raises(Unsupported, match=re.escape(how)):
        recorded(tmp_path, program)


def test_the_same_seed_gives_the_same_disks(tmp_path: Path) -> None:
    recording = recorded(tmp_path, REPLACE)

    def disks() -> list[tuple[str, set[int]]]:
        return [(str(cut), number_file(cut.directory)) for cut in recording.cuts(SEED, 30, tmp_path / "cut")]

    assert disks() == disks()
