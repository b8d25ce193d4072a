"""How worn the disk is that the journal is on, as far as it tells."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_agent.checks import Check, Said, Subject, Verdict, fail, not_known, ok, warn
from edge_agent.checks.disk import Mount, mount_of

WORN_PERCENT = 80


def wear(subject: Subject) -> Iterator[Verdict]:
    """How much of its life the disk says it has used. Many memory cards do not say."""
    mount = mount_of(subject, subject.settings.data_dir) if subject.settings is not None else None
    block = _block(subject, mount) if mount is not None else None
    if block is None:
        yield not_known(Said("看不出是哪個磁碟", "it cannot be told which disk it is"))
        return
    untold = not_known(Said("這個磁碟不提供耗損資訊", "not told by this disk"), about=block.name)
    if block.name.startswith("mmcblk"):
        used = _emmc_percent(block)
        yield (
            _worn(subject, block.name, used, _text(block / "device/pre_eol_info") == "0x03")
            if used is not None
            else untold
        )
        return
    ran = subject.machine.run(("smartctl", "--json", "--all", f"/dev/{block.name}"))
    if ran is None:
        seen = Said("沒有 smartctl，無法得知", "there is no smartctl to ask")
        yield not_known(seen, "sudo apt install smartmontools", about=block.name)
        return
    told = _json(ran.text)
    if "ermission denied" in ran.text:
        yield not_known(
            Said("沒有權限詢問", "no permission to ask"), f"sudo {subject.program} doctor", about=block.name
        )
        return
    used = _smart_percent(told)
    failing = told.get("smart_status", {}).get("passed") is False
    yield _worn(subject, block.name, used, failing) if used is not None or failing else untold


def _worn(subject: Subject, name: str, used: int | None, failing: bool) -> Verdict:
    seen = (
        Said(f"已用掉 {used}% 壽命", f"{used}% of its life used")
        if used is not None
        else Said("磁碟自檢不通過", "its self-check fails")
    )
    means = Said(
        "磁碟快壞了。請先備份並準備替換，換卡後重新加入中央即可。",
        "The disk is wearing out. Have another one ready; after the exchange, enrol again.",
    )
    mend = (
        f"lsblk -o NAME,MODEL,SIZE,MOUNTPOINTS /dev/{name}",
        f"sudo {subject.program} journal export ./gate.journal",
    )
    if failing or (used is not None and used >= 100):
        return fail(seen, means, *mend, about=name)
    if used is not None and used >= WORN_PERCENT:
        return warn(seen, means, *mend, about=name)
    return ok(seen, about=name)


def _block(subject: Subject, mount: Mount) -> Path | None:
    """The whole disk in /sys, by way of partitions and one layer of LVM or encryption."""
    places = [f"/sys/dev/block/{mount.device}"]
    if mount.source.startswith("/dev/"):
        places.insert(0, f"/sys/class/block/{Path(mount.source).name}")
    found = next((path for path in map(subject.machine.path, places) if path.exists()), None)
    if found is None:
        return None
    block = found.resolve()
    below = sorted((block / "slaves").iterdir()) if (block / "slaves").is_dir() else []
    block = below[0].resolve() if below else block
    return block.parent if (block / "partition").exists() else block


def _emmc_percent(block: Path) -> int | None:
    """eMMC 5: two estimates in tenths, `0x01` = up to 10 %, `0x0b` = beyond 100; 0 = not told. The lower end counts."""
    tenths = [int(word, 16) for word in _text(block / "device/life_time").split() if word.startswith("0x")]
    return (max(tenths) - 1) * 10 if any(tenths) else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def _json(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


_LEFT = (231, 202, 233, 177, 173)
"""SMART attributes of SATA disks whose normalised value counts down from 100 as the disk wears."""


def _smart_percent(told: dict[str, Any]) -> int | None:
    nvme = told.get("nvme_smart_health_information_log", {}).get("percentage_used")
    if isinstance(nvme, int):
        return nvme
    rows = {row.get("id"): row.get("value") for row in told.get("ata_smart_attributes", {}).get("table", [])}
    left = next((rows[number] for number in _LEFT if isinstance(rows.get(number), int)), None)
    return max(0, 100 - left) if left is not None else None


CHECKS = (Check("disk-wear", Said("磁碟耗損", "Disk wear"), wear),)
