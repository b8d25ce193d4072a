"""The disk that the journal is on: writable, of a kind that keeps what it is given, with room, and not worn out."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from edge_agent.checks import NO_SETTINGS, Check, Said, Subject, Verdict, fail, not_known, ok, same, warn
from edge_agent.files import is_there
from edge_agent.journal.reserve import FILE as RESERVE
from edge_agent.journal.reserve import ROOM
from edge_agent.journal.store import DATABASE

MIB = 1024 * 1024
KEEPING = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "bcachefs", "jfs", "nilfs2", "ubifs"))
FORGETTING = frozenset(("tmpfs", "ramfs", "squashfs"))
UNSOUND = frozenset(("vfat", "exfat", "msdos", "ntfs", "ntfs3", "fuseblk", "nfs", "nfs4", "cifs", "smb3", "fuse.sshfs"))
"""No sync to rely on, or no locks."""


class Mount(NamedTuple):
    """One line of /proc/self/mountinfo."""

    device: str
    """MAJOR:MINOR."""
    point: str
    options: frozenset[str]
    kind: str
    source: str
    inner: dict[str, str]
    """Options of the file system itself."""


def mount_of(subject: Subject, path: Path) -> Mount | None:
    """Where a path of the looked-at machine lies; None where that cannot be told."""
    found: Mount | None = None
    for line in (subject.machine.read("/proc/self/mountinfo") or "").splitlines():
        mount = _mount(line)
        if mount is None:
            continue
        inside = path.is_relative_to(mount.point)
        if inside and (found is None or len(mount.point) >= len(found.point)):  # a later mount hides an earlier one
            found = mount
    return found


def _mount(line: str) -> Mount | None:
    fields = line.split(" ")
    try:
        end = fields.index("-", 6)
        kind, source, inner = fields[end + 1 : end + 4]
    except ValueError:
        return None
    pairs = dict(part.split("=", 1) for part in inner.split(",") if "=" in part)
    options = frozenset((*fields[5].split(","), *inner.split(",")))
    return Mount(fields[2], _plain(fields[4]), options, kind, _plain(source), pairs)


def _plain(text: str) -> str:
    for octal in ("040", "011", "012", "134"):
        text = text.replace("\\" + octal, chr(int(octal, 8)))
    return text


def _where(subject: Subject) -> Path | None:
    """The data directory, or the nearest folder above it that is there."""
    path = subject.data
    while path is not None and not path.exists() and path != path.parent:
        path = path.parent
    return path


def space(subject: Subject) -> Iterator[Verdict]:
    """Room for what the journal may still grow to, and for its reserve."""
    where = _where(subject)
    if where is None or subject.settings is None:
        yield not_known(NO_SETTINGS)
        return
    found, limits = os.statvfs(where), subject.settings.limits()
    free = found.f_bavail * found.f_frsize
    journal = sum(_size(where / name) for name in (DATABASE, DATABASE + "-wal"))
    reserve = limits.reserve_bytes
    wanted = max(0, limits.journal_bytes - journal) + (0 if is_there(where / RESERVE) else reserve)
    seen = Said(
        f"剩餘 {free // MIB} MiB，紀錄檔 {journal // MIB} MiB，上限 {limits.journal_bytes // MIB} MiB",
        f"{free // MIB} MiB free; journal {journal // MIB} MiB of at most {limits.journal_bytes // MIB} MiB",
    )
    mend = (
        "sudo apt clean",
        "sudo journalctl --vacuum-size=50M",
        f"sudo du -xh --max-depth=2 {_top(subject)} | sort -h | tail",
    )
    if free < ROOM * reserve or (found.f_files and not found.f_favail):
        means = Said(
            "磁碟快滿了：寫不進紀錄時，閘門會拒絕進入。",
            "The disk is nearly full: once nothing can be recorded, the gate denies entry.",
        )
        yield fail(seen, means, *mend)
    elif free < wanted:
        means = Said(
            "紀錄檔還沒到上限，磁碟就會先滿。請清出空間，或調低設定檔 [journal] 的 max_mib。",
            "The disk fills before the journal reaches its ceiling: free space, or lower max_mib under [journal].",
        )
        yield warn(seen, means, *mend, f"sudoedit {subject.config_path}")
    else:
        yield ok(seen)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _top(subject: Subject) -> str:
    mount = mount_of(subject, subject.settings.data_dir) if subject.settings is not None else None
    return mount.point if mount is not None else "/"


def writable(subject: Subject) -> Iterator[Verdict]:
    """Mounted for writing. A disk with errors is mounted read-only by the kernel."""
    where = _where(subject)
    if where is None or subject.settings is None:
        yield not_known(NO_SETTINGS)
        return
    mount = mount_of(subject, subject.settings.data_dir)
    if mount is None:
        yield not_known(Said("看不出資料在哪個磁碟", "it cannot be told which disk the data is on"))
    elif "ro" in mount.options or (subject.machine.runs and os.statvfs(where).f_flag & os.ST_RDONLY):
        yield fail(
            Said(f"{mount.point} 是唯讀的", f"{mount.point} is mounted read-only"),
            Said(
                "寫不進紀錄，閘門會拒絕進入。若不是刻意設成唯讀，磁碟可能壞了。",
                "Nothing can be recorded and the gate denies entry. If nobody wanted it so, the disk may be failing.",
            ),
            "sudo dmesg --level=err,warn | tail -n 20",
            f"sudo mount -o remount,rw {mount.point}",
        )
    else:
        yield ok(Said(f"{mount.point} 可以寫入", f"{mount.point} is mounted for writing"))


def file_system(subject: Subject) -> Iterator[Verdict]:
    """It keeps what it is given through a power cut."""
    mount = mount_of(subject, subject.settings.data_dir) if subject.settings is not None else None
    if mount is None:
        yield not_known(Said("看不出資料在哪個磁碟", "it cannot be told which disk the data is on"))
        return
    kind = mount.kind
    if kind == "overlay" and "upperdir" in mount.inner:
        upper = mount_of(subject, Path(mount.inner["upperdir"]))
        kind = upper.kind if upper is not None and upper.point != mount.point else kind
    seen = same(f"{mount.point}: {mount.kind}{f' ({kind})' if kind != mount.kind else ''}")
    elsewhere = f"sudoedit {subject.config_path}"
    if kind in KEEPING:
        yield ok(seen)
    elif kind in FORGETTING:
        means = Said(
            "重新開機後金鑰與紀錄都會消失。請把 data_dir 移到真正的磁碟。",
            "Keys and journal are gone after the next boot. Move data_dir to a real disk.",
        )
        yield fail(seen, means, elsewhere)
    elif kind in UNSOUND:
        means = Said(
            "這種檔案系統不保證斷電時資料還在。請把 data_dir 移到 ext4 之類的磁碟。",
            "This kind does not promise to keep data through a power cut. Move data_dir to ext4 or the like.",
        )
        yield fail(seen, means, elsewhere)
    else:
        yield not_known(Said(f"不認得的檔案系統 {kind}", f"a file system not known here: {kind}"))


CHECKS = (
    Check("disk", Said("磁碟空間", "Disk space"), space),
    Check("disk-writable", Said("磁碟可寫入", "Disk writable"), writable),
    Check("file-system", Said("檔案系統", "File system"), file_system),
)
