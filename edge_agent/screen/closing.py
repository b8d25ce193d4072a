"""What the screen says of a closed gate: why, until when, and what still works. Pure; times are by the wall clock."""

import datetime as dt
from zoneinfo import ZoneInfo

from edge_agent.screen.wording import Words
from protocol.closure import STAFF_WHY
from protocol.messages import Closure

STILL_OUT = Words("簽退仍可感應", "You can still tap to sign out")
CLOSED_NOW = Words("目前不開放", "Closed now")
"""Rather than "closed today", since it may open again today."""
OPENED_BY_STAFF = Words("至工作人員開放為止", "until staff open it")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def why_of_staff(why: str) -> Words:
    """In words; of a code that this version does not know, the general ones."""
    return Words(*STAFF_WHY.get(why, STAFF_WHY["other"]))


def why_of(closure: Closure) -> Words:
    """Central's own words. Given in one language they stand for both; in none, nothing is said."""
    return Words(closure.why_zh or closure.why_en, closure.why_en or closure.why_zh)


def until(until_ms: int, now_ms: int, zone: str) -> Words:
    """When it is over: the time, and the date where it is not today's. The end of today is said as such."""
    at, now = _local(until_ms, zone), _local(now_ms, zone)
    if until_ms == day_end_ms(now_ms, zone):
        return Words("至今日結束", "until the end of today")
    if at.date() == now.date():
        return Words(f"至 {at:%H:%M}", f"until {at:%H:%M}")
    year_zh, year_en = (f"{at.year}年", f" {at.year}") if at.year != now.year else ("", "")
    day_zh, day_en = f"{year_zh}{at.month}月{at.day}日", f"{at.day} {MONTHS[at.month - 1]}{year_en}"
    return Words(f"至 {day_zh} {at:%H:%M}", f"until {at:%H:%M} on {day_en}")


def joined(why: Words, when: Words) -> Words:
    """One line a language."""
    return Words("，".join(filter(None, (why.zh, when.zh))), ", ".join(filter(None, (why.en, when.en))))


def day_end_ms(now_ms: int, zone: str) -> int:
    """The first moment of the next local day."""
    tomorrow = _local(now_ms, zone).date() + dt.timedelta(days=1)
    return int(dt.datetime.combine(tomorrow, dt.time(), ZoneInfo(zone)).timestamp() * 1_000)


def _local(at_ms: int, zone: str) -> dt.datetime:
    return dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(zone))
