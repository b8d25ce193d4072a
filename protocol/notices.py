"""What a screen may tell a person beside the answer (SPEC §8.9): a code, its number, and its texts in two languages."""

NOTICES: dict[str, tuple[str, str]] = {
    "hold-ready": ("您預約的資料已到館", "Something you reserved is ready"),
    "overdue": ("您有逾期的資料", "Something you borrowed is overdue"),
    "library-blocked": ("您的借閱服務暫停中，請洽圖書館服務台", "Borrowing is suspended: please see the desk"),
    "library-expired": ("您的借閱證已到期，請洽圖書館服務台", "Your library card has expired: please see the desk"),
    "points": ("剩餘 {n} 點", "{n} points left"),
    "points-used": ("扣 {n} 點", "{n} points taken"),
    "due": ("請補差額 {n} 元", "Please pay NT${n}"),
    "minutes-month": ("本月服務 {h} 小時 {m} 分", "{h} h {m} min this month"),
    "may-sign-out": ("可以簽退了", "You may sign out"),
    "visits-left": ("還可使用 {n} 次", "{n} visits left"),
}
"""By code. One that this version does not know is passed over."""


def in_words(code: str, number: int) -> tuple[str, str] | None:
    """(zh-TW, English), or None for a code that is not known."""
    found = NOTICES.get(code)
    if found is None:
        return None
    hours, minutes = divmod(number, 60)
    zh, en = (text.format(n=number, h=hours, m=minutes) for text in found)
    return zh, en
