"""The agent itself: does it run, is it known to central, and is what it holds fresh enough to decide by?"""

import errno
import os
from collections.abc import Iterator

from edge_agent import identity as identity_file
from edge_agent import status
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
from edge_agent.commissioning.unit import UNIT
from edge_agent.files import is_there
from edge_agent.identity import IdentityDamaged
from edge_agent.journal.database import ERRORS
from edge_agent.preview import at_rest
from edge_agent.published.parts import MANIFEST, AtRest
from protocol.decision import Staleness, staleness
from protocol.envelope import Keyring
from protocol.errors import Refused
from protocol.messages import Ages, Manifest


def running(subject: Subject) -> Iterator[Verdict]:
    """It answers on its socket."""
    if subject.status is not None:
        yield ok(Said("有回應", "it answers"))
        return
    if subject.data is not None:
        socket = subject.data / status.SOCKET
        if is_there(socket) and not os.access(socket, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(socket))
    means = Said("沒有人在看讀卡機：刷卡不會有反應。", "Nobody watches the readers: taps will do nothing.")
    if subject.service_user is not None:
        yield fail(NOT_RUNNING, means, f"sudo systemctl start {UNIT}", f"journalctl -u {UNIT} -n 20 --no-pager")
    else:
        yield fail(NOT_RUNNING, means, f"{subject.program} run")


def enrolled(subject: Subject) -> Iterator[Verdict]:
    """It has keys, and an operator has confirmed them."""
    directory = subject.data
    if directory is None:
        yield not_known(NO_SETTINGS)
        return
    enrol = f"sudo {subject.program} enrol TOKEN"
    try:
        identity = identity_file.load(directory)
    except IdentityDamaged as error:
        means = Said("金鑰檔壞了，必須重新加入中央。", "The key file is damaged: this device has to be enrolled again.")
        aside = f"sudo mv {directory} {directory}.damaged"
        yield fail(same(str(error)), means, "tapgate-central device invite GATE", aside, enrol)
        return
    if identity is None or not identity.device:
        means = Said(
            "中央還不認得這台裝置。請管理者產生加入碼。",
            "Central does not know this device yet. Ask an operator for a join token.",
        )
        yield fail(Said("尚未加入中央", "not enrolled"), means, "tapgate-central device invite GATE", enrol)
    elif subject.status is not None and any("confirm this device" in text for text in subject.status["troubles"]):
        means = Said(
            "管理者要先比對字詞並確認，資料才會下來。",
            "An operator has to compare the words and confirm before data flows.",
        )
        mend = (
            "tapgate-central device list --state pending",
            f"tapgate-central device confirm {identity.device} --words WORDS",
        )
        yield fail(Said(f"{identity.device} 等待確認", f"{identity.device} waits to be confirmed"), means, *mend)
    else:
        yield ok(Said(f"{identity.device}，閘門 {identity.gate}", f"{identity.device}, gate {identity.gate}"))


# --- the list -------------------------------------------------------------------------------------------------------


def list_age(subject: Subject) -> Iterator[Verdict]:
    """Against the three ages that central signed for this gate."""
    directory = subject.data
    if directory is None:
        yield not_known(NO_SETTINGS)
        return
    try:
        found = subject.status or status.of_stopped(directory)
        ages = _ages(subject)
    except (IdentityDamaged, FileNotFoundError, *ERRORS, Refused, TypeError, ValueError) as error:
        yield not_known(Said(f"讀不到：{error}", f"it cannot be read: {error}"), f"sudo {subject.program} doctor")
        return
    age_s = found["allowlist_age_s"]
    contact = ("tapgate-central device list", f"sudo journalctl -u {UNIT} -n 20 --no-pager")
    if not found["device"]:
        yield not_applicable(Said("尚未加入中央", "not enrolled"))
        return
    if age_s is None:
        means = Said("沒有名單時不放行任何人進入。", "Without a list nobody is let in.")
        yield fail(Said("還沒有收到名單", "no list has come yet"), means, *contact)
        return
    seen = Said(
        f"版本 {found['allowlist_version']}，{found['allowlist_rows']:,} 張卡，{_age(age_s).zh}前確認",
        f"version {found['allowlist_version']}, {found['allowlist_rows']:,} cards, confirmed {_age(age_s).en} ago",
    )
    if ages is None:
        yield not_known(seen)
        return
    stage = staleness(ages, age_s * 1_000)
    if stage is Staleness.FRESH:
        yield ok(seen)
    elif stage is Staleness.WARN:
        means = Said(
            "閘門離線已久，新名單沒有下來；再久會開始限制進入。",
            "Offline for long: no newer list comes. Later the gate restricts entry.",
        )
        yield warn(seen, means, *contact)
    elif stage is Staleness.RESTRICT:
        means = Said("離線過久，只有部分身分可以進入。", "Offline too long: only some classes are let in.")
        yield fail(seen, means, *contact)
    else:
        yield fail(seen, Said("離線過久，不放行任何人進入。", "Offline too long: nobody is let in."), *contact)


def _ages(subject: Subject) -> Ages | None:
    identity = identity_file.load(subject.data) if subject.data is not None else None
    if identity is None or subject.data is None:
        return None
    opened = AtRest(at_rest(subject.data)[0], Keyring.of(identity.root_public)).opened(MANIFEST)
    return opened.message.ages if opened is not None and isinstance(opened.message, Manifest) else None


def _age(seconds: int) -> Said:
    for size, zh, en in ((86_400, "天", "days"), (3_600, "小時", "hours"), (60, "分鐘", "minutes")):
        if seconds >= 2 * size:
            return Said(f"{seconds // size} {zh}", f"{seconds // size} {en}")
    return Said(f"{seconds} 秒", f"{seconds} seconds")


def troubles(subject: Subject) -> Iterator[Verdict]:
    """Parts that central published and the agent could not take up."""
    if subject.status is None:
        yield not_known(NOT_RUNNING)
        return
    found = [text for text in subject.status["troubles"] if "confirm this device" not in text]
    means = Said(
        "閘門繼續用上一版；中央也看得到這個問題。", "The gate keeps the last good version; central sees this too."
    )
    for text in found:
        yield warn(same(text), means, f"sudo journalctl -u {UNIT} -n 50 --no-pager")
    if not found:
        yield ok(Said("都已採用", "all taken up"))


# --- readers --------------------------------------------------------------------------------------------------------


def readers(subject: Subject) -> Iterator[Verdict]:
    """Each configured reader, as the running agent knows it."""
    if subject.settings is None:
        yield not_known(NO_SETTINGS)
        return
    if not subject.settings.readers:
        means = Said("沒有讀卡機就無法刷卡。", "Without a reader nobody can tap.")
        yield fail(Said("沒有設定讀卡機", "no reader is configured"), means, f"sudo {subject.program} setup")
        return
    if subject.status is None:
        yield not_known(NOT_RUNNING, f"{subject.program} readers")
        return
    for reader in subject.status["readers"]:
        yield _reader(subject, reader)


def _reader(subject: Subject, reader: dict[str, str]) -> Verdict:
    state, name = reader["state"], reader["name"]
    why = reader.get("alarm") or reader.get("why")
    seen = same(f"{state}{f' – {why}' if why else ''}")
    restart = (f"sudo systemctl restart {UNIT}", f"{subject.program} readers")
    if state == "ready":
        return ok(seen, about=name)
    if state in ("starting", "recovering"):
        means = Said(
            "還在啟動或恢復中；一分鐘後仍然如此再處理。", "It is starting or being recovered: look again in a minute."
        )
        return warn(seen, means, f"{subject.program} readers", about=name)
    if state == "absent":
        means = Said("找不到讀卡機：檢查 USB 線與插孔。", "The reader is not found: look at its cable and socket.")
        return fail(seen, means, "lsusb", *restart, about=name)
    means = Said(
        "讀卡機沒有反應：請拔掉 USB，等三秒再插回去。",
        "The reader hangs: unplug it, wait three seconds, plug it in again.",
    )
    return fail(seen, means, "sudo systemctl restart pcscd", *restart, about=name)


CHECKS = (
    Check("agent-running", Said("閘門程式執行中", "Agent runs"), running),
    Check("enrolled", Said("已加入中央", "Enrolled"), enrolled),
    Check("list-age", Said("名單新鮮度", "Age of the list"), list_age),
    Check("published-parts", Said("中央發布的內容", "Published parts"), troubles),
    Check("reader", Said("讀卡機", "Readers"), readers),
)
