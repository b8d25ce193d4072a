"""What is plugged into the machine, and which driver knows it: from /sys, /proc and driver lists, opening nothing."""

import plistlib
from pathlib import Path
from typing import Any, NamedTuple

from edge_agent.commissioning.machine import Machine
from edge_agent.files import is_there

DRIVERS = ("/usr/lib/pcsc/drivers", "/usr/local/lib/pcsc/drivers", "/usr/lib64/pcsc/drivers")
CCID_CLASS = "0b"
"""The USB class of smart card readers."""


class UsbDevice(NamedTuple):
    """One USB device."""

    usb: str
    """`072F:2200`."""
    name: str
    """As it calls itself."""
    port: str
    """Where it is plugged in, as the kernel counts: `1-1.2`."""
    is_ccid: bool


def usb_devices(machine: Machine) -> list[UsbDevice] | None:
    """Every USB device but hubs; None where the kernel does not tell."""
    if not is_there(machine.path("/sys/bus/usb/devices")):
        return None
    found = []
    for place in machine.folders("/sys/bus/usb/devices"):
        vendor, product = _line(place / "idVendor"), _line(place / "idProduct")
        if vendor and product and _line(place / "bDeviceClass") != "09":
            classes = {_line(path) for path in place.glob("*:*/bInterfaceClass")}
            name = " ".join(filter(None, (_line(place / "manufacturer"), _line(place / "product"))))
            found.append(UsbDevice(f"{vendor}:{product}".upper(), name, place.name, CCID_CLASS in classes))
    return found


def _line(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def modules(machine: Machine) -> frozenset[str] | None:
    """The kernel modules that are loaded; None where the kernel does not tell."""
    text = machine.read("/proc/modules")
    return None if text is None else frozenset(line.split(" ", 1)[0] for line in text.splitlines())


class Driver(NamedTuple):
    """One driver bundle of pcscd."""

    name: str
    plist: str
    """The file that lists what it drives and how, by its own path on that machine."""
    usb: frozenset[str]
    options: int | None
    """`ifdDriverOptions`; bit 0x01 lets escape commands through."""


def drivers(machine: Machine) -> list[Driver]:
    """The drivers that pcscd loads for USB readers. One whose list cannot be read drives nothing."""
    found = []
    for folder in DRIVERS:
        for bundle in machine.folders(folder):
            plist = bundle / "Contents" / "Info.plist"
            if bundle.suffix == ".bundle":
                found.append(_driver(machine, bundle.name.removesuffix(".bundle"), plist))
    return found


def _driver(machine: Machine, name: str, plist: Path) -> Driver:
    inside = f"/{plist.relative_to(machine.root)}"
    try:
        if plist.is_symlink():  # Debian keeps the list in /etc
            target = plist.readlink()
            inside = str(target) if target.is_absolute() else inside
        told: dict[str, Any] = plistlib.loads(machine.path(inside).read_bytes())
        vendors, products = told.get("ifdVendorID", []), told.get("ifdProductID", [])
        usb = {
            f"{int(vendor, 16):04X}:{int(product, 16):04X}" for vendor, product in zip(vendors, products, strict=False)
        }
        options = told.get("ifdDriverOptions")
        return Driver(name, inside, frozenset(usb), int(options, 16) if isinstance(options, str) else None)
    except (OSError, ValueError, TypeError, AttributeError, plistlib.InvalidFileException):
        return Driver(name, inside, frozenset(), None)


def serial_ports(machine: Machine) -> list[str]:
    """Serial lines that a reader may hang on: USB adapters, by the names that stay theirs in any socket, then the pins
    of a small computer."""
    lasting = machine.folders("/dev/serial/by-id")
    named = {path.resolve().name for path in lasting}
    wanted = ("ttyUSB", "ttyACM", "ttyAMA", "ttyS0")
    others = [path for path in machine.folders("/dev") if path.name.startswith(wanted) and path.name not in named]
    return [f"/{path.relative_to(machine.root)}" for path in (*lasting, *others)]


def serial_line(path: str) -> str:
    """The device behind an nfcpy path: `/dev/ttyUSB0` for `tty:USB0:pn532`; empty where it is none of a serial line."""
    if not path.startswith("tty:"):
        return ""
    name = path.removeprefix("tty:").rpartition(":")[0] or path.removeprefix("tty:")
    return name if name.startswith("/") else f"/dev/tty{name}"
