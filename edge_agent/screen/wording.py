"""What the screen says besides the reasons of `protocol.reasons`: zh-TW and English. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from protocol.consent import ConsentDetail, ConsentNotice, Said
from protocol.history import Note
from protocol.notices import in_words
from protocol.reasons import HEADLINES, NEXT_STEPS, Reason


class Words(NamedTuple):
    """One text in both languages."""

    zh: str
    en: str


Told = tuple[Words, Words]
"""What it is, and what to do next."""

NOTHING = Words("", "")
DESK = Words("請洽服務台", "Please ask at the desk")
READY: Told = Words("請感應卡片", "Please tap your card"), NOTHING
REPEATED: Told = Words("剛才已經感應過了", "You have tapped already"), NOTHING
NOT_OPENED: Told = Words("門沒有打開", "The way did not open"), Words("請再感應一次", "Please tap again")
UNDONE: Told = Words("已取消", "Taken back"), Words("請感應您自己的卡片", "Please tap your own card")
TOO_LATE: Told = Words("來不及取消了", "Too late to take it back"), DESK
STARTING: Told = Words("準備中", "Starting"), Words("請稍候", "One moment, please")
WAITING: Told = Words("閘門等待確認", "Waiting to be confirmed"), Words("請管理者比對這組字", "Compare these words")
REVOKED: Told = Words("閘門已停用", "This gate was taken out of service"), DESK
NO_READER: Told = Words("讀卡機沒有接上", "The reader is not connected"), DESK
READER_FAILS: Told = Words("讀卡機修復中", "The reader is being repaired"), DESK
DOOR_HELD: Told = Words("門沒有關好", "The door is open"), Words("請把門關上", "Please close it")
DOOR_FORCED: Told = Words("門被打開了", "The door was opened"), Words("請洽工作人員", "Please ask the staff")
STATING = Words("請感應您的卡片", "Now tap your card")
NOT_STATED = Words("沒有記下任何表示", "Nothing was recorded")
SAID = {Said.GIVEN: Words("同意", "I agree"), Said.WITHDRAWN: Words("不同意或撤回", "I do not agree, or take it back")}
FIRE: Told = Words("火警，請離開", "Fire alarm: please leave"), Words("請走逃生出口", "Use the emergency exits")
OFFLINE = Words("離線中", "Offline")
OFFLINE_IN_SERVICE = Words("離線中，照常服務", "Offline, in service")
NOT_RENEWED = Words("名單久未更新", "The list is not being renewed")
SOME_ONLY = Words("離線過久，僅部分卡別可進入", "Offline for long: only some cards are admitted")


WAYS = {"in": Words("進", "In"), "out": Words("出", "Out")}
SIGNED = {
    Reason.SIGNED_IN: Words("簽到", "Signed in"),
    Reason.SIGNED_OUT: Words("簽退", "Signed out"),
    Reason.RECORDED: Words("已記錄", "Recorded"),
}
"""What is said in place of the way, as large, where a tap signs in or out."""


def of_notes(notes: Iterable[Note]) -> Words:
    """What a person is told beside the answer, in the order in which it was said; a code that is not known is not."""
    told = [words for code, number in notes if (words := in_words(code, number)) is not None]
    return Words(" · ".join(zh for zh, _ in told), " · ".join(en for _, en in told))


def said_of(detail: ConsentDetail, notices: Sequence[ConsentNotice]) -> Words:
    """A statement in words: to what, and what."""
    notice = next((each for each in notices if each.purpose == detail.purpose), None)
    zh, en = (notice.title_zh, notice.title_en) if notice else ("", "")
    zh, en = zh or en or detail.purpose, en or zh or detail.purpose
    return Words(f"{zh}：{SAID[detail.said].zh}", f"{en}: {SAID[detail.said].en}")


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


def with_age(text: Words, age_s: int) -> Words:
    """A text, and how old the list is in the one unit that says it best: days from the second one on."""
    for unit_s, least, zh, en in ((86_400, 2, "天", "day"), (3_600, 1, "小時", "hour"), (60, 1, "分鐘", "minute")):
        count = age_s // unit_s
        if count >= least:
            ending = "s" if count > 1 else ""
            return Words(f"{text.zh}・名單為 {count} {zh}前", f"{text.en} · list from {count} {en}{ending} ago")
    return Words(f"{text.zh}・名單為剛剛", f"{text.en} · list from just now")
