"""Why a gate answered as it did: stable codes, and in zh-TW and English what it is and what to do next (SPEC §9)."""

from enum import StrEnum


class Reason(StrEnum):
    """A code never changes its meaning and is never used again for another."""

    OK = "ok"
    LEAVING = "leaving"
    UID_RANDOM = "uid-random"
    UID_PLACEHOLDER = "uid-placeholder"
    UID_INCOMPLETE = "uid-incomplete"
    UID_UNREADABLE = "uid-unreadable"
    UNKNOWN_CARD = "unknown-card"
    CARD_BLOCKED = "card-blocked"
    CARD_LOST = "card-lost"
    CARD_REPLACED = "card-replaced"
    NOT_YET_VALID = "not-yet-valid"
    EXPIRED = "expired"
    CLASS_LAPSED = "class-lapsed"
    CLASS_NOT_ADMITTED = "class-not-admitted"
    OUTSIDE_HOURS = "outside-hours"
    CLOSED = "closed"
    LIST_MISSING = "list-missing"
    LIST_STALE = "list-stale"
    LIST_TOO_OLD = "list-too-old"
    CLOCK_UNTRUSTED = "clock-untrusted"
    JOURNAL_UNWRITABLE = "journal-unwritable"
    NOT_ENROLLED = "not-enrolled"
    STAFF_ADMITTED = "staff-admitted"
    LIMIT_REACHED = "limit-reached"
    TOO_SOON = "too-soon"
    ALREADY_INSIDE = "already-inside"
    ADMITTED_AGAIN = "admitted-again"
    FULL = "full"
    HISTORY_UNKNOWN = "history-unknown"
    POINTS_SHORT = "points-short"
    SIGNED_IN = "signed-in"
    SIGNED_OUT = "signed-out"
    RECORDED = "recorded"
    BIND_TAKEN = "bind-taken"
    CONSENT_TAKEN = "consent-taken"


HEADLINES: dict[Reason, tuple[str, str]] = {
    Reason.OK: ("請進", "Please go in"),
    Reason.LEAVING: ("請慢走", "Goodbye"),
    Reason.STAFF_ADMITTED: ("工作人員放行", "Admitted by staff"),
    Reason.UID_RANDOM: ("這張卡每次卡號都不同", "This card changes its number each time"),
    Reason.UID_PLACEHOLDER: ("這不是有效的卡片", "This is not a usable card"),
    Reason.UID_INCOMPLETE: ("沒有讀完整", "The card was not read completely"),
    Reason.UID_UNREADABLE: ("讀不到卡號", "The card could not be read"),
    Reason.UNKNOWN_CARD: ("這張卡尚未登記", "This card is not registered"),
    Reason.CARD_BLOCKED: ("這張卡已停用", "This card is blocked"),
    Reason.CARD_LOST: ("這張卡已掛失", "This card was reported lost"),
    Reason.CARD_REPLACED: ("這張卡已換發", "This card was replaced"),
    Reason.NOT_YET_VALID: ("這張卡尚未生效", "This card is not valid yet"),
    Reason.EXPIRED: ("這張卡已過期", "This card has expired"),
    Reason.CLASS_LAPSED: ("您的資格已到期", "Your entitlement has ended"),
    Reason.CLASS_NOT_ADMITTED: ("您的卡別不適用於此處", "Your kind of card is not for here"),
    Reason.OUTSIDE_HOURS: ("現在不是您可進入的時段", "You cannot enter at this time"),
    Reason.CLOSED: ("今日不開放", "Closed today"),
    Reason.LIST_MISSING: ("閘門尚未就緒", "This gate is not ready"),
    Reason.LIST_STALE: ("閘門離線過久", "This gate has been offline"),
    Reason.LIST_TOO_OLD: ("閘門離線過久，暫停服務", "This gate was offline too long"),
    Reason.CLOCK_UNTRUSTED: ("閘門時鐘異常", "This gate's clock is wrong"),
    Reason.JOURNAL_UNWRITABLE: ("閘門無法記錄，暫停進入", "This gate cannot keep records"),
    Reason.NOT_ENROLLED: ("閘門尚未啟用", "This gate is not in service"),
    Reason.LIMIT_REACHED: ("已達使用次數上限", "You have used all your entries"),
    Reason.TOO_SOON: ("距上次進場時間太短", "It is too soon after your last entry"),
    Reason.ALREADY_INSIDE: ("這張卡已在場內", "This card is inside already"),
    Reason.ADMITTED_AGAIN: ("請進", "Please go in"),
    Reason.FULL: ("場內人數已滿", "It is full inside"),
    Reason.HISTORY_UNKNOWN: ("目前無法確認使用紀錄", "Earlier visits cannot be checked now"),
    Reason.POINTS_SHORT: ("點數不足", "Not enough points"),
    Reason.SIGNED_IN: ("已簽到", "Signed in"),
    Reason.SIGNED_OUT: ("已簽退", "Signed out"),
    Reason.RECORDED: ("已記錄", "Recorded"),
    Reason.BIND_TAKEN: ("已收到卡片", "Card received"),
    Reason.CONSENT_TAKEN: ("已記下您的表示", "Your statement is recorded"),
}
"""What it is: (zh-TW, English)."""

_DESK = ("請洽服務台", "Please ask at the desk")
_AGAIN = ("請再感應一次", "Please tap again")

NEXT_STEPS: dict[Reason, tuple[str, str]] = {
    Reason.OK: ("", ""),
    Reason.LEAVING: ("", ""),
    Reason.STAFF_ADMITTED: ("請進", "Please go in"),
    Reason.UID_RANDOM: ("請改用實體卡", "Please use a physical card"),
    Reason.UID_PLACEHOLDER: ("請改用實體卡", "Please use a physical card"),
    Reason.UID_INCOMPLETE: _AGAIN,
    Reason.UID_UNREADABLE: _AGAIN,
    Reason.UNKNOWN_CARD: _DESK,
    Reason.CARD_BLOCKED: _DESK,
    Reason.CARD_LOST: _DESK,
    Reason.CARD_REPLACED: ("請使用新卡", "Please use the new one"),
    Reason.NOT_YET_VALID: ("生效日起可使用", "Come back when it is"),
    Reason.EXPIRED: _DESK,
    Reason.CLASS_LAPSED: _DESK,
    Reason.CLASS_NOT_ADMITTED: _DESK,
    Reason.OUTSIDE_HOURS: ("請於開放時段再來", "Please come back during your hours"),
    Reason.CLOSED: ("請改日再來", "Please come another day"),
    Reason.LIST_MISSING: _DESK,
    Reason.LIST_STALE: _DESK,
    Reason.LIST_TOO_OLD: _DESK,
    Reason.CLOCK_UNTRUSTED: _DESK,
    Reason.JOURNAL_UNWRITABLE: _DESK,
    Reason.NOT_ENROLLED: _DESK,
    Reason.LIMIT_REACHED: _DESK,
    Reason.TOO_SOON: ("請稍後再來", "Please come back later"),
    Reason.ALREADY_INSIDE: _DESK,
    Reason.ADMITTED_AGAIN: ("離場時請記得感應", "Please tap when you leave"),
    Reason.FULL: ("請稍候再感應", "Please wait until somebody leaves"),
    Reason.HISTORY_UNKNOWN: _DESK,
    Reason.POINTS_SHORT: _DESK,
    Reason.SIGNED_IN: ("謝謝您來服務", "Thank you for coming"),
    Reason.SIGNED_OUT: ("辛苦了", "Thank you for your service"),
    Reason.RECORDED: ("系統稍後會配對時數", "Your hours are paired later"),
    Reason.BIND_TAKEN: ("請稍候", "One moment, please"),
    Reason.CONSENT_TAKEN: ("謝謝您", "Thank you"),
}
"""What the person does next: (zh-TW, English); empty = nothing."""


def _sentence(reason: Reason) -> tuple[str, str]:
    (zh, en), (next_zh, next_en) = HEADLINES[reason], NEXT_STEPS[reason]
    return (f"{zh}，{next_zh}" if next_zh else zh), (f"{en}. {next_en}" if next_en else en)


TEXTS: dict[Reason, tuple[str, str]] = {reason: _sentence(reason) for reason in Reason}
"""Both in one sentence: (zh-TW, English)."""
