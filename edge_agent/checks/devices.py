"""The devices that the agent opens by itself: there, and its user may use them."""

import importlib.util
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from edge_agent.checks import NO_SETTINGS, Check, Said, Subject, Verdict, fail, not_applicable, not_known, ok, same
from edge_agent.commissioning.hardware import serial_line
from edge_agent.commissioning.machine import Machine
from edge_agent.commissioning.unit import UNIT
from edge_agent.release.settings import GpioInputSettings, GpioOutputSettings


def serial_ports(subject: Subject) -> Iterator[Verdict]:
    """A reader on a serial line is there, and the agent's user may use it."""
    paths = [reader.path for reader in subject.settings.readers if reader.kind == "nfc"] if subject.settings else []
    devices = [device for path in paths if (device := serial_line(path))]
    for device in devices:
        missing = Said(
            "讀卡機沒接上，或換插孔後改了名字。", "The reader is not plugged in, or has another name in this socket."
        )
        yield _usable(subject, device, missing, "ls -l /dev/serial/by-id/")
    if not devices:
        yield not_applicable(Said("沒有接在序列埠的讀卡機", "no reader is on a serial line"))


def gpio_chips(subject: Subject) -> Iterator[Verdict]:
    """The chips whose lines move the door or tell of it."""
    settings = subject.settings
    wired = [*settings.outputs.values(), *settings.inputs.values()] if settings is not None else []
    chips = sorted({each.chip for each in wired if isinstance(each, GpioOutputSettings | GpioInputSettings)})
    for chip in chips:
        missing = Said(
            "這台電腦沒有這個 GPIO 晶片，門不會動。", "This machine has no such chip: the door does not move."
        )
        yield _usable(subject, chip, missing, "ls -l /dev/gpiochip*")
    if not chips:
        yield not_applicable(Said("沒有用到 GPIO", "no GPIO line is used"))


def _usable(subject: Subject, device: str, missing: Said, look: str) -> Verdict:
    machine, user = subject.machine, subject.service_user
    try:
        found = machine.path(device).stat()
    except FileNotFoundError:
        return fail(Said(f"沒有 {device}", f"there is no {device}"), missing, look, about=device)
    if user is None or _may_use(machine, user, found):
        return ok(same(stat.filemode(found.st_mode)), about=device)
    group = _group_of(machine, found.st_gid)
    means = Said("閘門程式打不開它。", "The agent cannot open it.")
    if found.st_mode & stat.S_IRGRP and found.st_mode & stat.S_IWGRP and group != "root":
        seen = Said(f"{user} 不在群組 {group}", f"{user} is not in group {group}")
        return fail(seen, means, f"sudo usermod -aG {group} {user}", f"sudo systemctl restart {UNIT}", about=device)
    seen = Said(
        f"{user} 沒有權限（{stat.filemode(found.st_mode)}）", f"{user} may not use it ({stat.filemode(found.st_mode)})"
    )
    return fail(seen, means, f"sudo {subject.program} setup --yes --unit", about=device)


def _may_use(machine: Machine, user: str, found: os.stat_result) -> bool:
    ids = machine.user(user)
    if ids is None or ids[0] == 0:
        return True  # another check says that there is no such user
    if found.st_uid == ids[0]:
        return found.st_mode & 0o600 == 0o600
    _, members = machine.members(_group_of(machine, found.st_gid)) or (0, frozenset[str]())
    if found.st_gid == ids[1] or user in members:
        return found.st_mode & 0o060 == 0o060
    return found.st_mode & 0o006 == 0o006


def _group_of(machine: Machine, gid: int) -> str:
    for line in (machine.read("/etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) > 3 and fields[2] == str(gid):
            return fields[0]
    return str(gid)


# --- what they are driven with --------------------------------------------------------------------------------------


def packages(subject: Subject) -> Iterator[Verdict]:
    """The optional Python packages that the settings ask for."""
    settings = subject.settings
    if settings is None:
        yield not_known(NO_SETTINGS)
        return
    kinds = {reader.kind for reader in settings.readers}
    wired = [*settings.outputs.values(), *settings.inputs.values()]
    wanted = {
        "smartcard": ("pyscard", "pcsc" in kinds),
        "nfc": ("nfcpy", "nfc" in kinds),
        "gpiod": ("gpiod", any(isinstance(each, GpioOutputSettings | GpioInputSettings) for each in wired)),
        "pymodbus": ("pymodbus", bool(settings.boards)),
    }
    pip = Path(sys.executable).with_name("pip")
    needed = {module: package for module, (package, is_needed) in wanted.items() if is_needed}
    lacking = [package for module, package in needed.items() if importlib.util.find_spec(module) is None]
    for package in lacking:
        before = ("sudo apt install libpcsclite-dev swig gcc python3-dev",) if package == "pyscard" else ()
        means = Said(
            "少了它，設定的讀卡機或門鎖無法使用。", "Without it the reader or lock in the settings cannot be used."
        )
        yield fail(
            Said(f"沒有安裝 {package}", f"{package} is not installed"), means, *before, f"sudo {pip} install {package}"
        )
    if needed and not lacking:
        yield ok(same(", ".join(needed.values())))
    elif not needed:
        yield not_applicable(Said("目前的設定不需要", "the settings need none"))


CHECKS = (
    Check("serial-port", Said("序列埠", "Serial port"), serial_ports),
    Check("gpio", Said("GPIO", "GPIO"), gpio_chips),
    Check("packages", Said("選用套件", "Optional packages"), packages),
)
