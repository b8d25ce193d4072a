"""Who may do what: the agent at pcscd, the agent's user with its files, and nobody else with its keys."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from edge_agent import identity as identity_file
from edge_agent.checks import (
    NO_SETTINGS,
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
from edge_agent.commissioning.machine import Machine

ACTIONS = ("org.debian.pcsc-lite.access_pcsc", "org.debian.pcsc-lite.access_card")
POLICY = "/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"
RULES = tuple(f"{folder}/polkit-1/rules.d" for folder in ("/etc", "/run", "/usr/local/share", "/usr/share"))
NO_UNIT = Said("沒有安裝服務，不以專用帳號執行", "no unit is installed: it does not run as a user of its own")


def service_user(subject: Subject) -> Iterator[Verdict]:
    """The user that the unit names."""
    user = subject.service_user
    if user is None:
        yield not_applicable(NO_UNIT)
    elif subject.machine.user(user) is None:
        yield fail(
            Said(f"沒有使用者 {user}", f"there is no user {user}"),
            Said(
                "服務以這個帳號執行，沒有它就無法啟動。", "The service runs as this user and cannot start without it."
            ),
            f"sudo useradd --system --user-group --home-dir / --no-create-home --shell /usr/sbin/nologin {user}",
        )
    else:
        yield ok(same(user))


def polkit_rule(subject: Subject) -> Iterator[Verdict]:
    """pcscd lets only people at the console use readers, unless a rule lets this user."""
    user, machine = subject.service_user, subject.machine
    if not subject.needs_pcsc or user is None:
        yield not_applicable(Said("不需要", "not needed"))
        return
    if user == "root" or not machine.path(POLICY).exists():
        yield not_applicable(Said("這裡的 pcscd 不經 polkit 檢查", "pcscd does not ask polkit here"))
        return
    rules = [path for folder in RULES for path in machine.folders(folder) if path.suffix == ".rules"]
    naming = [path for path in rules if _lets(path, user)]
    readable = [path for path in naming if path.stat().st_mode & stat.S_IROTH]
    means = Said(
        "pcscd 會拒絕閘門程式，讀卡機看起來像不存在。",
        "pcscd turns the agent away: readers look as if they were not there.",
    )
    if readable:
        yield ok(same(str(readable[0])))
    elif naming:
        seen = Said(f"polkitd 讀不到 {naming[0]}", f"polkitd cannot read {naming[0]}")
        yield fail(seen, means, f"sudo chmod 644 {naming[0]}", "sudo systemctl restart polkit")
    else:
        seen = Said(f"沒有規則允許 {user} 使用讀卡機", f"no rule lets {user} use readers")
        yield fail(seen, means, f"sudo {subject.program} setup --yes --unit", "sudo systemctl restart pcscd")


def _lets(path: Path, user: str) -> bool:
    text = path.read_text(encoding="utf-8", errors="replace")
    return all(action in text for action in ACTIONS) and f'"{user}"' in text


def settings_file(subject: Subject) -> Iterator[Verdict]:
    """It can be used, the agent may read it, and not everybody may write it."""
    path, user = Path(subject.config_path), subject.service_user
    if subject.settings is None:
        means = Said("閘門程式無法啟動。", "The agent cannot start.")
        mend = f"sudo {subject.program} setup" if not path.exists() else f"sudoedit {path}"
        yield fail(same(subject.settings_error), means, mend)
        return
    found = path.stat()
    if found.st_mode & stat.S_IWOTH:
        means = Said("任何人都能改設定。", "Anybody may change the settings.")
        yield fail(same(f"{path}: {stat.filemode(found.st_mode)}"), means, f"sudo chmod 644 {path}")
    elif user is not None and not _may_read(subject.machine, user, found):
        seen = Said(f"{user} 讀不到 {path}", f"{user} cannot read {path}")
        yield fail(seen, Said("服務無法啟動。", "The service cannot start."), f"sudo chmod 644 {path}")
    else:
        yield ok(same(str(path)))


def _may_read(machine: Machine, user: str, found: os.stat_result) -> bool:
    ids = machine.user(user)
    if ids is None or ids[0] == 0:
        return True  # another check says that there is no such user
    if found.st_uid == ids[0]:
        return bool(found.st_mode & stat.S_IRUSR)
    if found.st_gid == ids[1]:
        return bool(found.st_mode & stat.S_IRGRP)
    return bool(found.st_mode & stat.S_IROTH)


def data_directory(subject: Subject) -> Iterator[Verdict]:
    """It belongs to the agent's user, whole, and nobody else may look in."""
    directory = subject.data
    if directory is None:
        yield not_known(NO_SETTINGS)
        return
    try:
        found = directory.stat()
    except FileNotFoundError:
        yield _no_directory(subject, directory)
        return
    user = subject.service_user
    ids = subject.machine.user(user) if user is not None else None
    owner = ids[0] if ids is not None else found.st_uid
    mend = f"sudo chown -R {user or found.st_uid}: {directory}"
    means = Said("閘門程式無法寫入自己的資料，會拒絕進入。", "The agent cannot write its own data and denies entry.")
    strange = [path.name for path in sorted(directory.iterdir()) if path.stat().st_uid != owner]
    if found.st_uid != owner:
        yield fail(Said(f"{directory} 不屬於 {user}", f"{directory} does not belong to {user}"), means, mend)
    elif strange:
        seen = Said(f"擁有者不對：{'、'.join(strange[:3])}", f"of another owner: {', '.join(strange[:3])}")
        yield fail(seen, means, mend)
    elif found.st_mode & 0o077:
        means = Said("這台機器上的其他帳號可以查看資料目錄。", "Other users of this machine may look into the data.")
        yield fail(same(f"{directory}: {stat.filemode(found.st_mode)}"), means, f"sudo chmod 700 {directory}")
    else:
        yield ok(same(str(directory)))


def _no_directory(subject: Subject, directory: Path) -> Verdict:
    user = subject.service_user or "$USER"
    return warn(
        Said(f"還沒有 {directory}", f"there is no {directory} yet"),
        Said("加入中央或第一次啟動時會建立。", "Enrolling, or the first start, makes it."),
        f"sudo install -d -m 700 -o {user} {directory}",
    )


def key_file(subject: Subject) -> Iterator[Verdict]:
    """The device's keys: readable by its user alone."""
    directory = subject.data
    if directory is None:
        yield not_known(NO_SETTINGS)
        return
    path = directory / identity_file.FILE
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        yield not_applicable(Said("尚未加入中央，沒有金鑰", "not enrolled: there are no keys"))
    else:
        if stat.S_IMODE(mode) == 0o600:
            yield ok(same(f"{path}: {stat.filemode(mode)}"))
        else:
            means = Said(
                "別的帳號可能已經看過金鑰；改好權限後請考慮重新加入中央。",
                "Others may have read the keys; consider enrolling anew.",
            )
            yield fail(same(f"{path}: {stat.filemode(mode)}"), means, f"sudo chmod 600 {path}")


CHECKS = (
    Check("service-user", Said("服務帳號", "Service user"), service_user),
    Check("polkit-rule", Said("使用讀卡機的權限（polkit）", "Permission to use readers (polkit)"), polkit_rule),
    Check("settings-file", Said("設定檔", "Settings file"), settings_file),
    Check("data-directory", Said("資料目錄", "Data directory"), data_directory),
    Check("key-file", Said("金鑰檔", "Key file"), key_file),
)
