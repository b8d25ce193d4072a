"""Which USB device is behind a PC/SC slot.

CCID drivers tell a reader's bus and address as its channel: 0x0020, bus, address. The kernel knows whose they are.
Drivers of other readers tell something else, or nothing; then the reader's name has to do.
"""

from pathlib import Path

_USB = 0x0020
DEVICES = Path("/sys/bus/usb/devices")


def usb_id(channel: int | None, devices: Path = DEVICES) -> str:
    """`072F:2200`; empty where nobody can tell."""
    if channel is None or channel >> 16 != _USB:
        return ""
    place = (channel >> 8 & 0xFF, channel & 0xFF)
    try:
        for device in sorted(devices.iterdir()):
            if place == (_number(device / "busnum"), _number(device / "devnum")):
                return f"{_line(device / 'idVendor')}:{_line(device / 'idProduct')}".upper()
    except OSError:  # no such folder, or the reader was unplugged while we looked
        return ""
    return ""


def _number(path: Path) -> int:
    text = _line(path) if path.exists() else ""  # interfaces, listed beside the devices, have no address
    return int(text) if text.isdecimal() else -1


def _line(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip()
