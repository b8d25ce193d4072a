"""What setting up a gate puts on the machine, step by step. Each step knows whether it is done already, and is done
whole or not at all, so that setting up may be broken off anywhere and begun again."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import edge_agent
from edge_agent.checks import Said
from edge_agent.commissioning.machine import Machine, Ran
from edge_agent.commissioning.unit import UNIT
from edge_agent.files import replace_file

UNIT_FILE = f"/etc/systemd/system/{UNIT}"
RULES = {"polkit": "/etc/polkit-1/rules.d", "udev": "/etc/udev/rules.d"}
"""Folders of `deploy/` and where their files go."""
USERS_FILE = "/etc/sysusers.d/tapgate.conf"
SLEEP_FILE = "/etc/systemd/sleep.conf.d/tapgate.conf"
KIOSK = "tapgate-kiosk"
KIOSK_UNIT = f"{KIOSK}.service"
DESKTOP = "/etc/systemd/system/display-manager.service"
"""Where there is one, somebody logs in to a desktop; where not, the kiosk has the whole screen to itself."""
DATA_DIR = Path("/var/lib/tapgate-edge")
USER = "tapgate"
INSTALLED_AT = "/opt/tapgate/bin/tapgate-edge"
CHANGE_S = 60.0


class NotDone(Exception):
    """A step could not be carried out; the text says which and why."""


class Step(NamedTuple):
    """One thing that is wanted of the machine."""

    what: Said
    is_done: Callable[[], bool]
    do: Callable[[], None]


class Plan(NamedTuple):
    """How the agent shall be installed."""

    config_path: str
    """On the machine that is set up."""
    settings: str | None
    """The text of the settings file; None: it stays as it is."""
    data_dir: Path
    program: str = INSTALLED_AT
    user: str = USER
    unit: bool = False
    screen: bool = False
    groups: tuple[str, ...] = ()
    """Further groups of the user: those of serial lines and GPIO."""


def shipped(name: str) -> Path:
    """A file or folder of `deploy/`: beside the source, or where installing the package put it. Raises NotDone."""
    places = (Path(edge_agent.__file__).parents[1] / "deploy", Path(sys.prefix) / "share" / "tapgate")
    found = next((place / name for place in places if (place / name).exists()), None)
    if found is None:
        raise NotDone(f"{name} is in none of {', '.join(map(str, places))}: install the package anew")
    return found


# --- before enrolling ---------------------------------------------------------------------------------------------


def files(machine: Machine, plan: Plan) -> Iterator[Step]:
    """Settings, user, data directory, rules, unit: everything that enrolling and starting need."""
    if plan.settings is not None:
        yield _file(machine, plan.config_path, plan.settings, keeps_old=True)
    if plan.unit:
        yield _file(machine, USERS_FILE, users_text(plan))
        if machine.runs:
            yield _user(machine, plan.user, plan.groups, USERS_FILE)
    yield _data(machine, plan)
    if plan.unit:
        for name, folder in RULES.items():
            for rules in sorted(shipped(name).glob("*.rules")):
                text = rules.read_text(encoding="utf-8").replace('"tapgate"', f'"{plan.user}"')
                yield _file(machine, f"{folder}/{rules.name}", text)
        yield _file(machine, UNIT_FILE, unit_text(plan))
    if plan.unit or plan.screen:
        yield _file(machine, SLEEP_FILE, _text("systemd/tapgate-sleep.conf"))
    if plan.screen:
        yield from _kiosk(machine, plan)


def _kiosk(machine: Machine, plan: Plan) -> Iterator[Step]:
    """The browser at every boot. It is not started now: it would take the terminal that this is typed at."""
    if is_desktop(machine):
        yield _file(machine, f"/etc/xdg/autostart/{KIOSK}.desktop", _ours(f"kiosk/{KIOSK}.desktop", plan))
        return
    users = f"/etc/sysusers.d/{KIOSK}.conf"
    yield _file(machine, users, _text(f"kiosk/{KIOSK}.conf"))
    if machine.runs:
        yield _user(machine, KIOSK, (), users)
    yield _file(machine, f"/etc/systemd/system/{KIOSK_UNIT}", _ours(f"kiosk/{KIOSK_UNIT}", plan))


def is_desktop(machine: Machine) -> bool:
    """Whether the machine starts into a desktop."""
    return machine.path(DESKTOP).is_symlink() or machine.path(DESKTOP).exists()


def _text(name: str) -> str:
    return shipped(name).read_text(encoding="utf-8")


def _ours(name: str, plan: Plan) -> str:
    """A shipped file with this plan's program and settings."""
    text, call = _text(name), f"{INSTALLED_AT} --config /etc/tapgate/edge.toml"
    if call not in text:
        raise NotDone(f"{name} has no {call!r}")
    return text.replace(call, f"{plan.program} --config {plan.config_path}")


def users_text(plan: Plan) -> str:
    """For systemd-sysusers, which makes the user now and, on an image, at its first start."""
    lines = [f'u {plan.user} - "Tapgate agent" /', *(f"m {plan.user} {group}" for group in plan.groups)]
    return "\n".join(lines) + "\n"


def unit_text(plan: Plan) -> str:
    """The shipped unit with this plan's paths and user."""
    text = _ours(f"systemd/{UNIT}", plan)
    state = f"StateDirectory={plan.data_dir.name}\nStateDirectoryMode=0700"
    if plan.data_dir.parent != Path("/var/lib"):
        state = f"ReadWritePaths={plan.data_dir}"
    for old, new in (
        ("User=tapgate\nGroup=tapgate", f"User={plan.user}\nGroup={plan.user}"),
        ("StateDirectory=tapgate-edge\nStateDirectoryMode=0700", state),
    ):
        if old not in text:
            raise NotDone(f"systemd/{UNIT} has no {old.splitlines()[0]!r}")
        text = text.replace(old, new)
    return text


def _file(machine: Machine, path: str, text: str, keeps_old: bool = False) -> Step:
    place = machine.path(path)

    def is_done() -> bool:
        return machine.read(path) == text and place.stat().st_mode & 0o777 == 0o644

    def do() -> None:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        old = machine.read(path) if keeps_old else None
        if old not in (None, text):
            replace_file(place.with_name(place.name + ".old"), place.read_bytes(), 0o644)
        replace_file(place, text.encode(), 0o644)

    return Step(Said(f"寫入 {path}", f"write {path}"), is_done, do)


def _user(machine: Machine, user: str, wanted: tuple[str, ...], file: str) -> Step:
    def is_done() -> bool:
        groups = [machine.members(group) for group in wanted]
        return machine.user(user) is not None and all(group and user in group[1] for group in groups)

    def do() -> None:
        change(machine, "systemd-sysusers", str(machine.path(file)))

    return Step(Said(f"建立使用者 {user}", f"make the user {user}"), is_done, do)


def _data(machine: Machine, plan: Plan) -> Step:
    place = machine.path(plan.data_dir)

    def owner() -> tuple[int, int] | None:
        """Whom it has to belong to; None: whoever makes it. On an image, systemd hands it over at the first start."""
        return machine.user(plan.user) if plan.unit and machine.runs else None

    def is_done() -> bool:
        if not place.is_dir() or place.stat().st_mode & 0o777 != 0o700:
            return False
        ids = owner()
        return ids is None or all(path.stat().st_uid == ids[0] for path in (place, *place.iterdir()))

    def do() -> None:
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        place.chmod(0o700)
        if (ids := owner()) is not None:
            for path in (place, *place.rglob("*")):
                os.chown(path, *ids, follow_symlinks=False)

    return Step(Said(f"準備資料目錄 {plan.data_dir}", f"prepare the data directory {plan.data_dir}"), is_done, do)


# --- after enrolling ----------------------------------------------------------------------------------------------


def services(machine: Machine, units: Sequence[str], changed: bool, start: bool) -> Iterator[Step]:
    """`units` are started at every boot; where `start` is set, the agent is started now as well.

    `changed`: something that a running agent has to read anew.
    """
    if not machine.runs:
        for unit in (each for each in units if each in (UNIT, KIOSK_UNIT)):  # other packages see to their own
            yield _enabled_on_an_image(machine, unit)
        return
    reload = Said("重新載入 udev 規則", "reload the rules of udev")
    yield Step(reload, lambda: not changed, lambda: _reload_udev(machine))
    yield _command(machine, Said("重新載入 systemd", "reload systemd"), not changed, "daemon-reload")
    for unit in units:
        enabled = _says(machine, "is-enabled", unit) in ("enabled", "static", "alias")
        yield _command(machine, Said(f"開機啟動 {unit}", f"start {unit} at boot"), enabled, "enable", unit)
    if not start or UNIT not in units:
        return
    active = _says(machine, "is-active", UNIT) == "active" and not changed
    yield _command(machine, Said(f"啟動 {UNIT}", f"start {UNIT}"), active, "restart", UNIT)


def _enabled_on_an_image(machine: Machine, unit: str) -> Step:
    """As `systemctl enable` does it."""
    place = machine.path(f"/etc/systemd/system/multi-user.target.wants/{unit}")

    def do() -> None:
        place.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        place.symlink_to(f"/etc/systemd/system/{unit}")

    return Step(Said(f"開機啟動 {unit}", f"start {unit} at boot"), place.is_symlink, do)


def _reload_udev(machine: Machine) -> None:
    """Also for what is plugged in already."""
    change(machine, "udevadm", "control", "--reload")
    change(machine, "udevadm", "trigger", "--subsystem-match=usb", "--subsystem-match=gpio")


def _says(machine: Machine, question: str, unit: str) -> str:
    ran = machine.run(("systemctl", question, unit))
    return ran.text.strip() if ran is not None else ""


def _command(machine: Machine, what: Said, done: bool, *words: str) -> Step:
    return Step(what, lambda: done, lambda: change(machine, "systemctl", *words))


def change(machine: Machine, *command: str) -> None:
    """Run a program that changes the machine. Raises NotDone with what it said."""
    ran: Ran | None = machine.run(command, limit_s=CHANGE_S)
    if ran is None or ran.code != 0:
        said = " ".join(ran.text.split()) if ran is not None else "there is no such program, or it did not end"
        raise NotDone(f"{' '.join(command)}: {said}")
