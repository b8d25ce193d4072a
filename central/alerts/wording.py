"""What a person reads of an alert: what happened and what to do, in zh-TW and English. Pure."""

import datetime as dt
from collections.abc import Mapping
from typing import Any, Literal
from zoneinfo import ZoneInfo

from central.alerts.conditions import Kind
from protocol.time_zones import CITY_ZONE

Language = Literal["zh-TW", "en"]

_HEADLINES: dict[Kind, tuple[str, str]] = {
    Kind.SILENT: ("閘門 {target} 沒有回報", "Gate {target} is silent"),
    Kind.SKEW: ("裝置 {target} 的時鐘不準", "The clock of device {target} is off"),
    Kind.DISK: ("{target} 的磁碟空間不足", "Little disk space is left on {target}"),
    Kind.CERTIFICATE: ("{target} 的憑證需要處理", "The certificate of {target} needs attention"),
    Kind.DENIALS: ("閘門 {target} 的拒絕次數突然增加", "Denials jumped at gate {target}"),
    Kind.STALE: ("裝置 {target} 的名單過舊", "Device {target} holds an old list"),
    Kind.HALTED: ("分階段發布 {target} 已中止", "Rollout {target} halted"),
    Kind.UNTOLD: ("外部系統 {target} 未接收事件", "The system {target} takes no events"),
    Kind.LIBRARY: ("圖書館系統 {target} 沒有回應", "The library system {target} does not answer"),
    Kind.INCIDENT: ("個資事件 {target} 尚未完成通知", "Not everybody was told of incident {target} yet"),
    Kind.OVERDUE: ("緊急：個資事件 {target} 已逾通知期限", "Urgent: the time to tell of incident {target} is over"),
}

_ADVICE: dict[Kind, tuple[str, str]] = {
    Kind.SILENT: (
        "請檢查該處的電源與網路，再看裝置本身的狀態頁。閘門仍會照手上的名單判斷。",
        "Check power and network there, then the device's own status. The gate goes on deciding by the list it holds.",
    ),
    Kind.SKEW: (
        "請檢查裝置的校時設定與電池；偏差超過兩分鐘時，閘門會視為時鐘錯誤。",
        "Check how the device sets its time, and its battery. Beyond two minutes the gate calls its clock wrong.",
    ),
    Kind.DISK: (
        "請騰出空間或更換儲存裝置；寫不下紀錄的閘門會拒絕進入。",
        "Make room or replace the disk. A gate that cannot write its journal denies entry.",
    ),
    Kind.CERTIFICATE: (
        "請更新憑證，以 `keys state` 列入新的憑證，再重新啟動伺服器。",
        "Renew it, name the new one by `keys state`, and start the server again.",
    ),
    Kind.DENIALS: (
        "請看拒絕的原因：名單、規則或讀卡機最近是否更動過？",
        "Look at the reasons: were the list, the policy or the reader changed lately?",
    ),
    Kind.STALE: (
        "請檢查裝置的連線與磁碟；名單再舊下去，閘門會限制進入，最後關閉。",
        "Check the device's line and disk. As its list grows older the gate restricts entry, and closes in the end.",
    ),
    Kind.HALTED: (
        "請查看發布的原因，再決定繼續推進或回復舊內容。",
        "Look at the rollout and why it halted; then go on with it, or go back to the old content.",
    ),
    Kind.UNTOLD: (
        "請通知對方檢查接收的服務；修復後在「對外事件」按「繼續」，會從中斷處補送。",
        "Ask its people to look at what receives there, then resume it: it goes on where it stopped.",
    ),
    Kind.LIBRARY: (
        "閘門照原有資料判斷，但資料會變舊。請在「圖書館系統」測試連線，並聯絡館方資訊人員。",
        "Gates go on with what they hold, which grows older. Test the line under Library systems, and ask its people.",
    ),
    Kind.INCIDENT: (
        "請通知當事人與主管機關，並在「個資保護」登錄通知時間。",
        "Tell those concerned and the authority, and write down under Privacy when they were told.",
    ),
    Kind.OVERDUE: (
        "請立即通知當事人與主管機關，說明遲延原因，並在「個資保護」登錄。",
        "Tell those concerned and the authority at once, say why it is late, and write it down under Privacy.",
    ),
}

_OPENED = {"zh-TW": "發生", "en": "Opened"}
_RESOLVED = {"zh-TW": "已解除", "en": "Over"}


TEST = {
    "zh-TW": "這是測試訊息：收到它，就表示警示可以送到這裡。",
    "en": "This is a test: alerts can reach you here.",
}
_TEST_LINE = {"zh-TW": "測試訊息", "en": "A test"}


def headline(kind: str, target: str, language: str) -> str:
    """One line: what is wrong, and where."""
    return _of(_HEADLINES[Kind(kind)], language).format(target=target)


def advice(kind: str, language: str) -> str:
    """What to do about it."""
    return _of(_ADVICE[Kind(kind)], language)


def detail(kind: str, facts: Mapping[str, Any], language: str, zone: str = CITY_ZONE) -> str:
    """What was seen when it opened. Facts that are missing make no text fail: rows outlive versions."""
    try:
        return _DETAILS[Kind(kind)](facts, language == "en", zone)
    except (KeyError, TypeError, ZeroDivisionError):
        return ""


def told(what: str, kind: str, target: str, language: str) -> str:
    """The headline, with whether it begins or is over."""
    if what == "test":
        return _TEST_LINE[language if language in _TEST_LINE else "en"]
    word = (_OPENED if what == "opened" else _RESOLVED)[language if language in _OPENED else "en"]
    mark = "：" if language == "zh-TW" else ": "
    return f"{word}{mark}{headline(kind, target, language)}"


def when(at_ms: int, zone: str = CITY_ZONE) -> str:
    """A local time, with its distance from UTC."""
    return dt.datetime.fromtimestamp(at_ms / 1_000, ZoneInfo(zone)).strftime("%Y-%m-%d %H:%M:%S %z")


def span(ms: int, language: str) -> str:
    """How long, in the largest unit that says enough."""
    seconds = abs(ms) / 1_000
    for unit_s, chinese, english in ((86_400, "天", "d"), (3_600, "小時", "h"), (60, "分鐘", "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds / unit_s:.0f} {chinese if language == 'zh-TW' else english}"
    return f"{seconds:.0f} {'秒' if language == 'zh-TW' else 's'}"


def _of(pair: tuple[str, str], language: str) -> str:
    return pair[0] if language == "zh-TW" else pair[1]


# --- details ----------------------------------------------------------------------------------------------------


def _silent(facts: Mapping[str, Any], english: bool, zone: str) -> str:
    at, which = when(facts["heard_ms"], zone), ", ".join(facts["devices"])
    return f"Last heard of {at}: {which}." if english else f"最後一次回報：{at}（{which}）。"


def _skew(facts: Mapping[str, Any], english: bool, _zone: str) -> str:
    ahead = facts["skew_ms"] > 0
    if english:
        return f"It is {span(facts['skew_ms'], 'en')} {'ahead' if ahead else 'behind'}."
    return f"{'快了' if ahead else '慢了'} {span(facts['skew_ms'], 'zh-TW')}。"


def _disk(facts: Mapping[str, Any], english: bool, _zone: str) -> str:
    free, percent = facts["free_bytes"] / 1e9, 100 * facts["free_bytes"] / facts["total_bytes"]
    return f"{free:.1f} GB are free ({percent:.0f} %)." if english else f"剩餘 {free:.1f} GB（{percent:.0f} %）。"


def _certificate(facts: Mapping[str, Any], english: bool, zone: str) -> str:
    at = when(facts["until_ms"], zone)
    if not facts["is_named"]:
        return "The key statement does not name it." if english else "金鑰聲明沒有列出這張憑證。"
    return f"It ends {at}." if english else f"有效期限到 {at}。"


def _denials(facts: Mapping[str, Any], english: bool, _zone: str) -> str:
    lately = 100 * facts["denied"] / facts["taps"]
    before = 100 * facts["denied_before"] / (facts["taps_before"] or 1)
    if english:
        return (
            f"{facts['denied']} of {facts['taps']} taps in a quarter of an hour were denied ({lately:.0f} %);"
            f" before it was {before:.0f} %."
        )
    return f"一刻鐘內 {facts['taps']} 次感應有 {facts['denied']} 次被拒（{lately:.0f} %），先前為 {before:.0f} %。"


def _stale(facts: Mapping[str, Any], english: bool, zone: str) -> str:
    at, closes = when(facts["heard_ms"], zone), when(facts["heard_ms"] + facts["close_ms"], zone)
    if facts["list_newest"] > facts["list_held"]:
        text = "It does not hold the list that is in force. " if english else "手上的不是現行名單。"
    else:
        text = ""
    if english:
        return f"{text}Its last word is of {at}; without a newer one it closes {closes}."
    return f"{text}最後一次收到中央訊息：{at}；若一直沒有更新，將於 {closes} 關閉。"


def _halted(facts: Mapping[str, Any], english: bool, _zone: str) -> str:
    what, why, gates = facts["what"], facts["why"], facts["gates"]
    if english:
        end = "They have the old content again." if facts["is_back"] else "They keep the new content."
        return f"{what} was put in force at {gates} gates of this venue: {why}. {end}"
    end = "已自動回復舊內容。" if facts["is_back"] else "目前仍使用新內容。"
    return f"{what} 已發布到此場館的 {gates} 個閘門：{why}。{end}"


def _untold(facts: Mapping[str, Any], english: bool, zone: str) -> str:
    why, given_up = str(facts["why"]), bool(facts["is_dead"])
    since = f"{'Since' if english else '開始於'} {when(facts['failing_ms'], zone)}. " if facts["failing_ms"] else ""
    end = ("It was given up. " if english else "已放棄傳送。") if given_up else ""
    return f"{since}{end}{why}"


def _library(facts: Mapping[str, Any], english: bool, zone: str) -> str:
    since, why = when(facts["failing_ms"], zone), str(facts["failure"])
    last = when(facts["answered_ms"], zone) if facts["answered_ms"] else ("never" if english else "從未")
    if english:
        return f"It does not answer since {since} ({why}); its last answer: {last}."
    return f"{since} 起沒有回應（{why}）；最後一次答覆：{last}。"


_WHOM = {"authority": ("主管機關", "the authority"), "concerned": ("當事人", "those concerned")}


def _incident(facts: Mapping[str, Any], english: bool, _zone: str) -> str:
    by = when(facts["tell_by_ms"])
    whom = [_WHOM[each][english] for each in facts["untold"]]
    if english:
        return f"To be told by {by}: {', '.join(whom)}."
    return f"須於 {by} 前通知：{'、'.join(whom)}。"


_DETAILS = {
    Kind.SILENT: _silent,
    Kind.SKEW: _skew,
    Kind.DISK: _disk,
    Kind.CERTIFICATE: _certificate,
    Kind.DENIALS: _denials,
    Kind.STALE: _stale,
    Kind.HALTED: _halted,
    Kind.UNTOLD: _untold,
    Kind.LIBRARY: _library,
    Kind.INCIDENT: _incident,
    Kind.OVERDUE: _incident,
}
