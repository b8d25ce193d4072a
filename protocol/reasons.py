"""Why a gate answered as it did: stable codes, and what a person is told in zh-TW and English (SPEC §9)."""

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


TEXTS: dict[Reason, tuple[str, str]] = {
    Reason.OK: ("請進", "Please go in"),
    Reason.LEAVING: ("請慢走", "Goodbye"),
    Reason.UID_RANDOM: ("這張卡每次卡號都不同，無法使用", "This card changes its number each time and cannot be used"),
    Reason.UID_PLACEHOLDER: ("這不是有效的卡片，請改用實體卡", "This is not a usable card; please use a physical card"),
    Reason.UID_INCOMPLETE: ("沒有讀完整，請再感應一次", "The card was not read completely; please tap again"),
    Reason.UID_UNREADABLE: ("讀不到卡號，請再感應一次", "The card could not be read; please tap again"),
    Reason.UNKNOWN_CARD: ("這張卡尚未登記，請洽服務台", "This card is not registered; please ask at the desk"),
    Reason.CARD_BLOCKED: ("這張卡已停用，請洽服務台", "This card is blocked; please ask at the desk"),
    Reason.CARD_LOST: ("這張卡已掛失，請洽服務台", "This card was reported lost; please ask at the desk"),
    Reason.CARD_REPLACED: ("這張卡已換發，請使用新卡", "This card was replaced; please use the new one"),
    Reason.NOT_YET_VALID: ("這張卡尚未生效", "This card is not valid yet"),
    Reason.EXPIRED: ("這張卡已過期，請洽服務台", "This card has expired; please ask at the desk"),
    Reason.CLASS_LAPSED: ("您的資格已到期，請洽服務台", "Your entitlement has ended; please ask at the desk"),
    Reason.CLASS_NOT_ADMITTED: ("您的卡別不適用於此處", "Your kind of card does not admit you here"),
    Reason.OUTSIDE_HOURS: ("現在不是您可以進入的時段", "You cannot enter at this time"),
    Reason.CLOSED: ("今日不開放", "Closed today"),
    Reason.LIST_MISSING: ("閘門尚未就緒，請洽服務台", "This gate is not ready; please ask at the desk"),
    Reason.LIST_STALE: ("閘門離線過久，請洽服務台", "This gate has been offline; please ask at the desk"),
    Reason.LIST_TOO_OLD: (
        "閘門離線過久，暫停服務，請洽服務台",
        "This gate was offline too long and is closed; please ask",
    ),
    Reason.CLOCK_UNTRUSTED: ("閘門時鐘異常，請洽服務台", "This gate's clock is wrong; please ask at the desk"),
    Reason.JOURNAL_UNWRITABLE: (
        "閘門無法記錄，暫停進入，請洽服務台",
        "This gate cannot keep records; please ask at the desk",
    ),
    Reason.NOT_ENROLLED: ("閘門尚未啟用", "This gate is not in service"),
    Reason.STAFF_ADMITTED: ("工作人員放行，請進", "Admitted by staff, please go in"),
}
