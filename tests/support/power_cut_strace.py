"""What a process tree wrote, synced and renamed under a directory, read out of strace's log as a list of `Op`.

Why strace: it stands between the process and the kernel, so nothing that reaches the disk by a system call can
pass it by, whatever library made the call. What it cannot see is refused rather than guessed: a shared writable
mapping of a stored file, `sendfile` and `copy_file_range` into one, a string that strace cut short, a change of
the working directory. A descriptor's own position is followed from its opening through `write` and `lseek`; a
program that reads and then writes through one descriptor without seeking is not supported.

Calls of several threads overlap. An op counts from when its call *returned*; a sync covers only what had
returned before the sync *began* (`covers`).
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

CALLS = (
    "openat,open,creat,write,pwrite64,writev,pwritev,pwritev2,ftruncate,truncate,fallocate,fsync,fdatasync,"
    "sync_file_range,sync,syncfs,rename,renameat,renameat2,unlink,unlinkat,link,linkat,symlink,symlinkat,mkdir,"
    "mkdirat,rmdir,mmap,lseek,sendfile,copy_file_range,chdir,fchdir"
)
MAX_STRING = 64 * 1024 * 1024


def strace_command(log: Path) -> list[str]:
    """What to put before a command to have it recorded in `log`."""
    return ["strace", "-f", "--seccomp-bpf", "-y", "-xx", "-s", str(MAX_STRING), "-o", str(log), "-e", f"trace={CALLS}"]


class Unsupported(Exception):
    """The recorded program changed its files in a way that this harness cannot replay truthfully."""


@dataclass(frozen=True, slots=True)
class Op:
    """One change, or one sync. `offset` None appends; `covers` is the number of ops that a sync can vouch for."""

    kind: str  # create, write, truncate, zero, sync, rename, unlink, link, mkdir, rmdir
    path: str
    data: bytes = b""
    offset: int | None = None
    size: int = 0
    target: str = ""
    covers: int = 0


_LINE = re.compile(r"(\d+)\s+(.*)", re.DOTALL)
_FD = re.compile(r"(AT_FDCWD|-?\d+)(?:<((?:\\x[0-9a-f]{2})*)>(\(deleted\))?)?")
_STRING = re.compile(r'"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?')


def parse(log: Path, cwd: Path) -> Iterator[Op]:
    """The ops of every process in `log`, in the order in which their calls returned."""
    return _Parser(cwd).ops(log)


class _Parser:
    def __init__(self, cwd: Path) -> None:
        self._cwd = str(cwd)
        self._begun: dict[str, tuple[str, int]] = {}
        self._done = 0
        self._position: dict[tuple[str, str], int | None] = {}  # (path, descriptor) -> place; None = appends

    def ops(self, log: Path) -> Iterator[Op]:
        with log.open(encoding="ascii") as lines:
            for line in lines:
                for op in self._line(line.rstrip("\n")):
                    self._done += 1
                    yield op

    def _line(self, line: str) -> list[Op]:
        found = _LINE.match(line)
        if not found or found[2].startswith(("+++", "---")):
            return []
        thread, text = found[1], found[2]
        begun_at = self._done
        if text.endswith("<unfinished ...>"):
            self._begun[thread] = (text.removesuffix("<unfinished ...>"), begun_at)
            return []
        if text.startswith("<... "):
            head, begun_at = self._begun.pop(thread)
            text = head + text.split(" resumed>", 1)[1]
        call, rest = text.split("(", 1)
        arguments, _, answer = rest.rpartition(" = ")
        if not answer or not answer[0].isdigit():  # failed, or never returned
            return []
        arguments = arguments.rstrip().removesuffix(")")
        return [replace(op, covers=begun_at) for op in self._op(call, arguments, answer)]

    def _op(self, call: str, text: str, answer: str) -> list[Op]:
        match call:
            case "open" | "openat" | "creat":
                return self._open(call, text, answer)
            case "write" | "writev" | "pwrite64" | "pwritev" | "pwritev2":
                return self._write(call, text, int(answer.split(maxsplit=1)[0]))
            case "lseek":
                descriptor, path, _ = _descriptor(text)
                if self._position.get((path, descriptor), 0) is not None:
                    self._position[path, descriptor] = int(answer.split(maxsplit=1)[0])
                return []
            case "ftruncate" | "fallocate" | "fsync" | "fdatasync" | "sync_file_range":
                return self._by_descriptor(call, text)
            case "truncate":
                return [Op("truncate", self._path(text), size=int(text.rsplit(", ", 1)[1]))]
            case "sync" | "syncfs":
                return [Op("sync", "")]
            case "mmap":
                shared = _FD_IN_MMAP.search(text) if "MAP_SHARED" in text and "PROT_WRITE" in text else None
                return [Op("mapped", _descriptor(shared[1])[1])] if shared else []
            case "sendfile" | "copy_file_range":
                places = [_unhex(found[2]) for found in _FD.finditer(text) if found[2]]
                return [Op("copied", places[0 if call == "sendfile" else 1])]
            case "chdir" | "fchdir":
                raise Unsupported(f"{call}({text}: paths are read against one working directory")
            case _:
                return self._name(call, text)

    def _open(self, call: str, text: str, answer: str) -> list[Op]:
        descriptor, path, _ = _descriptor(answer)
        flags = "O_CREAT|O_TRUNC" if call == "creat" else text
        if "O_TMPFILE" in flags:
            raise Unsupported(f"{path}: a file without a name")
        self._position[path, descriptor] = None if "O_APPEND" in flags else 0
        ops = [Op("create", path)] if "O_CREAT" in flags else []
        return [*ops, Op("truncate", path)] if "O_TRUNC" in flags else ops

    def _write(self, call: str, text: str, written: int) -> list[Op]:
        descriptor, path, deleted = _descriptor(text)
        if deleted or not path.startswith("/"):  # nobody can find it again; or no file at all: a pipe, a socket
            return []
        strings = list(_STRING.finditer(text))
        if any(found[2] for found in strings):
            raise Unsupported(f"{call} to {path}: longer than strace's limit")
        data = b"".join(bytes.fromhex(found[1].replace("\\x", "")) for found in strings)[:written]
        if call in ("write", "writev"):
            offset = self._position.get((path, descriptor))
            if offset is not None:
                self._position[path, descriptor] = offset + written
        else:
            offset = int(text.split(", ")[-2 if call == "pwritev2" else -1])
        return [Op("write", path, data, offset)]

    def _by_descriptor(self, call: str, text: str) -> list[Op]:
        _, path, deleted = _descriptor(text)
        if deleted:
            return []
        numbers = text.split(", ")
        match call:
            case "ftruncate":
                return [Op("truncate", path, size=int(numbers[1]))]
            case "fallocate":
                offset, length = int(numbers[2]), int(numbers[3])
                if numbers[1] == "0":
                    return [Op("grow", path, size=offset + length)]
                if "KEEP_SIZE" in numbers[1] and "PUNCH" not in numbers[1]:
                    return []
                return [Op("write", path, bytes(length), offset)]
            case "sync_file_range":  # gives no promise that survives a power cut
                return []
            case _:
                return [Op("sync", path)]

    def _name(self, call: str, text: str) -> list[Op]:
        paths = self._paths(text)
        match call:
            case "rename" | "renameat" | "renameat2":
                if "RENAME_EXCHANGE" in text:
                    raise Unsupported("two names exchanged")
                return [Op("rename", paths[0], target=paths[1])]
            case "link" | "linkat":
                return [Op("link", paths[0], target=paths[1])]
            case "unlink" | "unlinkat":
                return [Op("rmdir" if "AT_REMOVEDIR" in text else "unlink", paths[0])]
            case "mkdir" | "mkdirat":
                return [Op("mkdir", paths[0])]
            case "rmdir":
                return [Op("rmdir", paths[0])]
            case _:
                return [Op("copied", paths[-1])]  # a symbolic link: nothing under a store should be one

    def _path(self, text: str) -> str:
        return self._paths(text)[0]

    def _paths(self, text: str) -> list[str]:
        """Every path among the arguments, each resolved against the directory descriptor before it, if any."""
        paths, base = [], self._cwd
        for found in re.finditer(rf"{_FD.pattern}, |{_STRING.pattern}", text):
            if found[4] is None:
                base = _unhex(found[2]) if found[2] else self._cwd
            else:
                paths.append(os.path.normpath(os.path.join(base, _unhex(found[4]))))
                base = self._cwd
        return paths


_FD_IN_MMAP = re.compile(r", (\d+<[^>]*>)")


def _descriptor(text: str) -> tuple[str, str, bool]:
    found = _FD.match(text)
    return (found[1], _unhex(found[2] or ""), bool(found[3])) if found else ("", "", False)


def _unhex(text: str) -> str:
    return bytes.fromhex(text.replace("\\x", "")).decode(errors="surrogateescape")
