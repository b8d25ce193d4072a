"""nfcpy's frontends: opened once, found out about, closed when the process ends; and why one cannot be opened.

ACR122U and SCL3711 cannot be opened a second time (nfcpy issues 115, 154, 231, 239, 243), hence one frontend for each
path in a process, whoever uses it. A PN532 on a serial line minds not being closed (203), hence the closing at exit.
"""

import atexit
import contextlib
import errno
import importlib
import os
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from edge_agent.commissioning.hardware import modules, usb_devices
from edge_agent.commissioning.machine import Machine
from edge_agent.readers.pcsc_usb import usb_id
from edge_agent.readers.serial_line import SerialLine, device_file
from firmware_profiles import ProfileBook

try:
    _clf: Any = importlib.import_module("nfc.clf")
    _pn532: Any = importlib.import_module("nfc.clf.pn532")
except ImportError as error:
    raise ImportError("the nfc reader needs nfcpy: pip install tapgate[nfc]") from error

CLOSE_S = 1.0
"""How long closing waits for whoever is using the frontend: a thread that hangs in a driver never lets it go."""

_USB_CHANNEL = 0x0020
_opened: dict[str, Any] = {}


class Opened(NamedTuple):
    """An open frontend, and what it tells of itself."""

    frontend: Any
    hardware: str
    firmware: str
    usb: str
    """`072F:2200`; empty where it is not on USB, or nobody can tell."""


class CannotOpen(Exception):
    """The text says why, for people. `is_there`: the hardware is plugged in, and something is in its way."""

    def __init__(self, why: str, is_there: bool) -> None:
        super().__init__(why)
        self.is_there = is_there


def type_a() -> Any:
    """What is looked for: ISO/IEC 14443 type A at 106 kbit/s."""
    return _clf.RemoteTarget("106A")


def open_frontend(path: str, pause_s: float, pause: Callable[[float], None], book: ProfileBook) -> Opened:
    """The one frontend of a path in this process. Raises CannotOpen.

    `pause_s`: what the reader needs between opening and the first command; `pause` is called for it.
    """
    if path not in _opened:
        try:
            _opened[path] = _open(path, pause_s, pause)
        except Exception as error:  # drivers raise what their transport does: OSError, IndexError, struct.error, …
            raise _explained(path, error, book) from error
    return _told(_opened[path], path)


def _open(path: str, pause_s: float, pause: Callable[[float], None]) -> Any:
    file = device_file(path)
    if file is None:
        return _clf.ContactlessFrontend(path)
    line = SerialLine(file, pause_s, pause)
    try:
        device = _pn532.init(line)
    except BaseException:
        line.close()
        raise
    device._path = file
    frontend = _clf.ContactlessFrontend()
    frontend.device = device
    return frontend


def _told(frontend: Any, path: str) -> Opened:
    device = frontend.device
    chip = str(getattr(device, "chipset_name", ""))
    named = (getattr(device, "vendor_name", ""), getattr(device, "product_name", ""), chip)
    version = re.search(r"\bv?(\d+(?:\.\d+)+)$|v(\d[\d.]*)$", chip)
    place = re.fullmatch(r"usb:(\d+):(\d+)", str(getattr(device, "path", "")))
    usb = usb_id(_USB_CHANNEL << 16 | int(place[1]) << 8 | int(place[2])) if place else ""
    words = " ".join(str(word) for word in named if word)
    firmware = next(filter(None, version.groups()), "") if version else ""
    return Opened(frontend, f"{words} at {path}" if words else path, firmware, usb)


def is_gone(path: str, error: Exception) -> bool:
    """Whether the hardware itself was taken away, by its file or by what the system said."""
    file = device_file(path)
    if file is not None:
        return not os.path.exists(file)
    return isinstance(error, OSError) and error.errno == errno.ENODEV


def forget(path: str) -> None:
    """Closes it; the next `open_frontend` opens it again, where the reader lets it."""
    frontend = _opened.pop(path, None)
    if frontend is None:
        return
    if frontend.lock.acquire(timeout=CLOSE_S):
        frontend.lock.release()
        with contextlib.suppress(Exception):  # it is gone, or does not answer: nothing to lose
            frontend.close()
    elif device_file(path) is not None:
        with contextlib.suppress(Exception):  # somebody hangs in it: what it reads from is taken away
            frontend.device.chipset.transport.close()


@atexit.register
def forget_all() -> None:
    """When the process ends."""
    for path in list(_opened):
        forget(path)


# --- why it cannot be opened ------------------------------------------------------------------------------------


def _explained(path: str, error: Exception, book: ProfileBook) -> CannotOpen:
    why = f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno:
        why = os.strerror(error.errno)
    file = device_file(path)
    if file is not None:
        return _serial_explained(file, error, why)
    if path.startswith("usb"):
        return _usb_explained(path, why, book)
    return CannotOpen(f"{path}: {why}", is_there=False)


def _serial_explained(file: str, error: Exception, why: str) -> CannotOpen:
    if not os.path.exists(file):
        return CannotOpen(f"{file}: not plugged in", is_there=False)
    if isinstance(error, OSError):
        if error.errno == errno.EACCES:
            why = "no permission: the agent's user belongs into the group dialout"
        elif error.errno in (errno.EAGAIN, errno.EBUSY):
            why = "another program holds the line"
        elif error.errno == errno.ENODEV:
            why = "nothing that speaks like a PN532 answers: look at its wires and switches (HSU), cut its power"
    return CannotOpen(f"{file}: {why}", is_there=True)


def _usb_explained(path: str, why: str, book: ProfileBook) -> CannotOpen:
    """`usb:072f:2200` and `usb:072f` name what is wanted; with `usb` alone it is every one that a profile is for."""
    machine = Machine()
    wanted = path.removeprefix("usb").removeprefix(":").upper()
    named = re.fullmatch("[0-9A-F]{4}(:[0-9A-F]{4})?", wanted) is not None
    for device in usb_devices(machine) or ():
        matched = book.match_path("", device.usb)
        if device.usb.startswith(wanted) if named else matched is not None:
            in_the_way = matched.profile.kernel_modules if matched is not None else ()
            held_by = [module for module in in_the_way if module in (modules(machine) or ())]
            hint = "another program may hold it (pcscd), or the permission is missing"
            if held_by:
                hint = f"the kernel holds it: sudo modprobe -r {' '.join(held_by)}"
            return CannotOpen(f"{device.usb} is plugged in and cannot be opened: {why}; {hint}", is_there=True)
    return CannotOpen(f"{path}: not plugged in", is_there=False)
