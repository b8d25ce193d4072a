"""What the screen says besides the reasons of `protocol.reasons`: zh-TW and English. Pure."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from protocol.reasons import HEADLINES, NEXT_STEPS, Reason


class Words(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str


Told = tuple[Words, Words]
"""What it is, and what to do next."""

NOTHING = Words("", "")
READY: Told = Words("請感應卡片", "Please tap your card"), NOTHING
UNDONE: Told = Words("已取消", "Taken back"), Words("請感應您自己的卡片", "Please tap your own card")
WAITING: Told = Words("閘門等待確認", "Waiting to be confirmed"), Words("請通知管理者", "Please tell the operator")
REVOKED: Told = Words("閘門已停用", "This gate was taken out of service"), Words("請走其他入口", "Use another entrance")
NO_READER: Told = Words("讀卡機維修中", "The reader is not working"), Words("請洽服務台", "Please ask at the desk")
DOOR_HELD: Told = Words("門沒有關好", "The door is open"), Words("請把門關上", "Please close it")
DOOR_FORCED: Told = Words("門被打開了", "The door was opened"), Words("請洽工作人員", "Please ask the staff")
FIRE: Told = Words("火警，請離開", "Fire alarm: please leave"), Words("請走逃生出口", "Use the emergency exits")
OFFLINE = Words("離線中，照常服務", "Offline, in service")
SOME_ONLY = Words("離線過久，僅部分卡別可進入", "Offline for long: only some cards are admitted")


def of_reason(reason: Reason, own: Mapping[Reason, Any]) -> Told:
    """The standard words, or a venue's own where it has some (`protocol.configuration.Wording`)."""
    headline, step = Words(*HEADLINES[reason]), Words(*NEXT_STEPS[reason])
    wording = own.get(reason)
    if wording is None:
        return headline, step
    return (
        Words(wording.zh or headline.zh, wording.en or headline.en),
        Words(wording.next_zh or step.zh, wording.next_en or step.en),
    )


def age(age_s: int) -> Words:
    """How old the list is, in the one unit that says it best."""
    for unit_s, zh, en in ((86_400, "天", "day"), (3_600, "小時", "hour"), (60, "分鐘", "minute")):
        if age_s >= unit_s:
            count = age_s // unit_s
            return Words(f"名單為 {count} {zh}前", f"list from {count} {en}{'s' if count > 1 else ''} ago")
    return Words("名單為剛剛", "list from just now")
