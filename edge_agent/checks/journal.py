"""The journal: is its newest part whole, can it be written, and does anything wait to be salvaged?"""

import os
from collections.abc import Iterator

from edge_agent.checks import (
    NO_SETTINGS,
    NOT_RUNNING,
    Check,
    Said,
    Subject,
    Verdict,
    fail,
    not_applicable,
    not_known,
    ok,
    same,
    warn,
)
from edge_agent.files import is_there
from edge_agent.journal.recovery import unsalvaged
from edge_agent.journal.store import DATABASE
from edge_agent.journal.verify import RECENT, recent_faults


def whole(subject: Subject) -> Iterator[Verdict]:
    """The newest events and the mark; `journal verify` looks at everything."""
    directory = subject.data
    if directory is None:
        yield not_known(NO_SETTINGS)
        return
    verify = f"sudo {subject.program} journal verify"
    if not is_there(directory / DATABASE):
        yield not_applicable(Said("還沒有紀錄檔", "there is no journal yet"))
        return
    (directory / DATABASE).open("rb").close()
    found = recent_faults(directory, RECENT)
    if found:
        means = Said(
            "紀錄有損壞或缺漏；閘門會自行換新並回報，請保留證據。",
            "The journal is damaged or incomplete; the agent replaces and reports it. Keep what there is.",
        )
        yield fail(
            same("; ".join(fault.text for fault in found[:3])), means, verify, "sudo systemctl restart tapgate-edge"
        )
    else:
        yield ok(
            Said(f"最近 {RECENT} 筆與標記相符", f"the newest {RECENT} events follow from each other, and the mark fits")
        )


def writable(subject: Subject) -> Iterator[Verdict]:
    """As the running agent finds it, and the reserve with it."""
    status = subject.status
    if status is None or status["journal_writable"] is None:
        yield not_known(NOT_RUNNING)
    elif not status["journal_writable"]:
        means = Said(
            "寫不進紀錄，所以拒絕進入；離開不受影響。", "Nothing can be recorded, so entry is denied; leaving is not."
        )
        yield fail(Said("無法寫入", "it cannot be written"), means, "df -h", "sudo dmesg --level=err,warn | tail -n 20")
    elif status["journal_reserve_spent"]:
        means = Said(
            "磁碟滿了，已動用備用空間；用完就會拒絕進入。",
            "The disk is full and the reserve is in use: once it is spent, entry is denied.",
        )
        yield warn(
            Said("已動用備用空間", "the reserve is in use"),
            means,
            "df -h",
            "sudo apt clean",
            "sudo journalctl --vacuum-size=50M",
        )
    else:
        yield ok(Said("可以寫入，備用空間還在", "it can be written; the reserve is there"))


def set_aside(subject: Subject) -> Iterator[Verdict]:
    """Damaged stores that were replaced and could not be read out yet."""
    directory = subject.data
    if directory is None:
        yield not_known(NO_SETTINGS)
        return
    if is_there(directory):
        os.listdir(directory)  # what follows passes over what it may not see
    found = unsalvaged(directory)
    means = Said(
        "裡面可能還有沒送出的紀錄；閘門啟動時會再讀一次。",
        "It may hold events that were never sent; the agent reads it out when it starts.",
    )
    for path in found:
        yield warn(same(str(path)), means, "sudo systemctl restart tapgate-edge")
    if not found:
        yield ok(Said("沒有", "none"))


CHECKS = (
    Check("journal-whole", Said("紀錄完整（抽查最近）", "Journal whole (newest part)"), whole),
    Check("journal-writable", Said("紀錄可寫入", "Journal writable"), writable),
    Check("journal-set-aside", Said("待救回的紀錄", "Stores set aside"), set_aside),
)
