"""What a disk may hold after a power cut, rebuilt from a recording of a program's writes (`power_cut_strace`).

What is assumed of the disk and of ext4 (`data=ordered`, barriers on, a device that keeps what it was told to
flush), and no more than that:

* A write, truncation or growth of a file is durable once `fsync`/`fdatasync` of that file, begun after it, has
  returned. Until then each one, by itself and in any combination, is dropped, kept, or torn: some of its
  512-byte sectors reached the platter, most often a first run of them. A hole that a dropped write leaves under a
  kept one reads as zeros: stale blocks never show, whole sectors are old or new, never mixed.
* Names (create, rename, unlink, link, mkdir, rmdir) go through one ordered journal: after a cut a *prefix* of the
  ones not yet durable has happened. A sync of any directory makes durable all names changed before it. A sync of a
  file makes durable its own creation and every name change before that one (the transaction it was made in is
  committed), but not a later rename or unlink: those want a sync of the directory.
* Not assumed: that data reaches the disk before a rename that replaces a file (`auto_da_alloc`), that writes keep
  their order, that a file's length arrives with its data, that time passing syncs anything.
* What a file held when the recording began is durable. Shared memory (`-shm`) is gone after a cut.
* A witness (a file outside the directory) is the outside world, like a released door: what was written to it
  before the cut has been seen, for good.
"""

import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.power_cut_strace import Op, Unsupported, parse, strace_command

SECTOR = 512
VOLATILE = ("-shm",)


@dataclass(slots=True)
class _File:
    durable: bytearray
    now: bytearray
    born: int = -1
    pending: list[tuple[int, Op]] = field(default_factory=list)


@dataclass(frozen=True)
class Cut:
    """A disk after the power came back. Print it when a check fails: it can be made again from its numbers."""

    directory: Path
    at: int
    of: int
    seed: str
    manner: str
    last: str
    seen: dict[Path, bytes]

    def __str__(self) -> str:
        return f"power cut after op {self.at} of {self.of} ({self.last}), {self.manner}, seed {self.seed}"


class Recording:
    """The ops of one run under `root`, over what `root` held before it."""

    def __init__(self, root: Path, before: dict[str, bytes | None], ops: list[Op], witnesses: Sequence[Path]) -> None:
        self.root, self.before, self.ops, self.witnesses = root, before, ops, tuple(witnesses)

    def cuts(self, seed: int, count: int, into: Path) -> Iterator[Cut]:
        """`count` cuts in rising order, the moments after something was seen twice as likely. `into` is made anew
        for each of them."""
        chosen = random.Random(f"{seed}-where")
        telling = [at + 1 for at, op in enumerate(self.ops) if op.kind in ("seen", "sync", "rename", "unlink")]
        places = sorted(
            chosen.choice(telling) if telling and chosen.random() < 0.6 else chosen.randrange(len(self.ops) + 1)
            for _ in range(count)
        )
        disk, done = _Disk(self.before, self.witnesses), 0
        for number, place in enumerate(places):
            for op in self.ops[done:place]:
                disk.apply(op)
            done = place
            how = random.Random(f"{seed}-{number}")
            manner = how.choice(("nothing unsynced kept", "all kept", "any", "any", "any", "last kept", "last dropped"))
            disk.after_cut(how, manner, into)
            last = self.ops[place - 1] if place else None
            text = f"{last.kind} {Path(last.path).name}" if last else "start"
            yield Cut(into, place, len(self.ops), f"{seed}-{number}", manner, text, dict(disk.seen))


class _Disk:
    """The files as they are, and what of them is durable, after the ops applied so far."""

    def __init__(self, before: dict[str, bytes | None], witnesses: Sequence[Path]) -> None:
        self._applied = 0
        self._files: dict[int, _File] = {}
        self._names: dict[str, int] = {}  # path within root -> file; -1 = a directory
        for name, content in before.items():
            self._names[name] = -1 if content is None else self._add(bytearray(content))
        self._durable_names = dict(self._names)
        self._name_ops: list[tuple[int, Op, int]] = []
        self.seen = dict.fromkeys(witnesses, b"")

    def _add(self, content: bytearray) -> int:
        number = len(self._files)
        self._files[number] = _File(content, bytearray(content))
        return number

    def apply(self, op: Op) -> None:
        at, self._applied = self._applied, self._applied + 1
        match op.kind:
            case "seen":
                self.seen[Path(op.path)] += op.data
            case "create":
                if op.path not in self._names:
                    number = self._add(bytearray())
                    self._files[number].born = at
                    self._rename(at, op, number)
            case "rename" | "unlink" | "link" | "mkdir" | "rmdir":
                self._rename(at, op, -1)
            case "sync":
                self._sync(op)
            case "write" | "truncate" | "grow":
                number = self._names.get(op.path, -1)
                if number >= 0:
                    file = self._files[number]
                    if op.kind == "write" and op.offset is None:
                        op = Op("write", op.path, op.data, len(file.now))
                    _change(file.now, op, None)
                    file.pending.append((at, op))

    def _rename(self, at: int, op: Op, number: int) -> None:
        _change_names(self._names, op, number)
        self._name_ops.append((at, op, number))

    def _sync(self, op: Op) -> None:
        number = self._names.get(op.path, -1)
        if op.path == "":  # sync(): all of it
            numbers, names_through = list(self._files), op.covers
        elif number >= 0:
            file = self._files[number]
            numbers, names_through = [number], (file.born + 1 if file.born < op.covers else 0)
        else:  # a directory
            numbers, names_through = [], op.covers
        for each in numbers:
            file = self._files[each]
            for at, change in file.pending:
                if at < op.covers:
                    _change(file.durable, change, None)
            file.pending = [(at, change) for at, change in file.pending if at >= op.covers]
        while self._name_ops and self._name_ops[0][0] < names_through:
            _, change, made = self._name_ops.pop(0)
            _change_names(self._durable_names, change, made)

    def after_cut(self, how: random.Random, manner: str, into: Path) -> None:
        """Write the files that one possible disk holds now."""
        names = dict(self._durable_names)
        kept = len(self._name_ops) if manner == "all kept" else how.randint(0, len(self._name_ops))
        for _, op, number in self._name_ops[: 0 if manner == "nothing unsynced kept" else kept]:
            _change_names(names, op, number)
        shutil.rmtree(into, ignore_errors=True)
        into.mkdir(parents=True)
        for name in sorted(names):
            number = names[name]
            if number < 0:
                (into / name).mkdir(parents=True, exist_ok=True)
            elif not name.endswith(VOLATILE):
                (into / name).parent.mkdir(parents=True, exist_ok=True)
                (into / name).write_bytes(self._content(self._files[number], how, manner))

    def _content(self, file: _File, how: random.Random, manner: str) -> bytearray:
        content = bytearray(file.durable)
        for place, (_, op) in enumerate(file.pending):
            last = place == len(file.pending) - 1
            fate = {"nothing unsynced kept": 0.0, "all kept": 1.0, "last kept": float(last), "last dropped": 1.0 - last}
            chance = fate.get(manner, how.random())
            if manner == "any" and op.kind == "write" and chance < 0.3:
                _change(content, op, how)
            elif chance >= 0.65:
                _change(content, op, None)
        return content


def _change(content: bytearray, op: Op, torn: random.Random | None) -> None:
    """Apply a write, truncation or growth; `torn`: only some of the write's sectors."""
    if op.kind == "write":
        start, end = op.offset or 0, (op.offset or 0) + len(op.data)
        edges = sorted({start, end, *range((start // SECTOR + 1) * SECTOR, end, SECTOR)})
        sectors = list(zip(edges, edges[1:], strict=False))
        if torn is not None and sectors:
            first_run = torn.random() < 0.7
            count = torn.randrange(len(sectors))
            sectors = sectors[:count] if first_run else sorted(torn.sample(sectors, count))
        for low, high in sectors if torn is not None else [(start, end)]:
            content.extend(bytes(max(0, low - len(content))))
            content[low:high] = op.data[low - start : high - start]
    elif op.kind == "grow":
        content.extend(bytes(max(0, op.size - len(content))))
    else:
        del content[op.size :]
        content.extend(bytes(op.size - len(content)))


def _change_names(names: dict[str, int], op: Op, number: int) -> None:
    below = op.path + "/"
    match op.kind:
        case "create" | "mkdir":
            names[op.path] = number
        case "unlink" | "rmdir":
            names.pop(op.path, None)
        case "link":
            if op.path in names:
                names[op.target] = names[op.path]
        case "rename":
            for name in [name for name in names if name == op.path or name.startswith(below)]:
                names[op.target + name[len(op.path) :]] = names.pop(name)


def record(
    command: Sequence[str], root: Path, log: Path, *, cwd: Path, witnesses: Sequence[Path] = (), timeout_s: float = 120
) -> Recording:
    """Run `command` to its end and record what it and its children did to the files under `root`.

    Raises RuntimeError when it fails, Unsupported when it writes in a way that cannot be replayed.
    """
    before = snapshot(root)
    done = subprocess.run(
        [*strace_command(log), *command], cwd=cwd, timeout=timeout_s, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    if done.returncode:
        raise RuntimeError(
            f"the recorded program ended with {done.returncode}:\n{done.stdout.decode(errors='replace')}"
        )
    return recording(root, before, log, cwd=cwd, witnesses=witnesses)


def snapshot(root: Path) -> dict[str, bytes | None]:
    """Every file (its bytes) and directory (None) under `root`, by its path within it."""
    return {
        str(path.relative_to(root)): None if path.is_dir() else path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_dir() or path.is_file()
    }


def recording(
    root: Path, before: dict[str, bytes | None], log: Path, *, cwd: Path, witnesses: Sequence[Path] = ()
) -> Recording:
    """The recording in a finished strace log; for programs that were started with `strace_command`."""
    inside, watched = f"{root}/", {str(path) for path in witnesses}
    ops: list[Op] = []
    index = [0]  # how many of the kept ops had happened after each op of the log
    for op in parse(log, cwd):
        covers = index[op.covers]
        if op.path in watched:
            if op.kind == "write":
                ops.append(Op("seen", op.path, op.data))
        elif op.path.startswith(inside) or op.target.startswith(inside) or op.path in ("", str(root)):
            if op.kind in ("mapped", "copied") and not op.path.endswith(VOLATILE):
                raise Unsupported(f"{op.path} was {op.kind}: its writes cannot be seen")
            if op.target and not (op.path.startswith(inside) and op.target.startswith(inside)):
                raise Unsupported(f"{op.path} -> {op.target}: across the recorded directory's edge")
            path, target = op.path.removeprefix(inside), op.target.removeprefix(inside)
            ops.append(Op(op.kind, path if op.path != str(root) else ".", op.data, op.offset, op.size, target, covers))
        index.append(len(ops))
    return Recording(root, before, ops, witnesses)
