"""The machine of a gate as a tree of files: whole at first, then broken by a test in one place."""

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_agent.checks import Result, Subject, Verdict
from edge_agent.commissioning.machine import Machine, Ran
from edge_agent.doctor import CHECKS, examine, subject_of

DATA = "/var/lib/tapgate-edge"
UNIT = """[Service]
User=tapgate
ExecStart=/opt/tapgate/bin/tapgate-edge run
"""
RULE = """polkit.addRule(function (action, subject) {
    if ((action.id === "org.debian.pcsc-lite.access_pcsc" || action.id === "org.debian.pcsc-lite.access_card") &&
        subject.user === "tapgate") { return polkit.Result.YES; }
});
"""
PLIST = """<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
    <key>ifdDriverOptions</key><string>{options}</string>
    <key>ifdVendorID</key><array><string>0x072F</string><string>0x076B</string></array>
    <key>ifdProductID</key><array><string>0x2200</string><string>0x5022</string></array>
</dict></plist>
"""
MOUNTS = """21 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
22 21 0:20 / /proc rw - proc proc rw
"""
UNIT_STATE = {"LoadState": "loaded", "ActiveState": "active", "SubState": "running", "UnitFileState": "enabled"}
TIME = {"CanNTP": "yes", "NTP": "yes", "NTPSynchronized": "yes"}


class GateMachine:
    """A small computer with an ACR122U on USB, eMMC, systemd and a unit for the agent."""

    def __init__(self, root: Path) -> None:
        self.root, self.config = root, root / "etc/tapgate/edge.toml"
        self.slots: list[str] | None = ["ACS ACR122U PICC Interface 00 00"]
        self.said: dict[str, Ran | None] = {
            "systemctl show": ran(UNIT_STATE),
            "systemctl is-enabled": Ran(0, "enabled\n"),
            "timedatectl show": ran(TIME),
        }
        self.status: dict[str, Any] | None = None
        me, group = os.geteuid(), os.getegid()
        self.write("/etc/passwd", f"root:x:0:0::/root:/bin/sh\ntapgate:x:{me}:{group}::/:/usr/sbin/nologin\n")
        self.write("/etc/group", f"tapgate:x:{group}:\ndialout:x:20:\n")
        self.write("/etc/systemd/system/tapgate-edge.service", UNIT)
        self.write("/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy", "")
        self.write("/etc/polkit-1/rules.d/50-tapgate-pcsc.rules", RULE)
        self.write("/usr/sbin/pcscd", "")
        self.write("/etc/libccid_Info.plist", PLIST.format(options="0x0001"))
        plist = self.at("/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist")
        plist.parent.mkdir(parents=True)
        plist.symlink_to("/etc/libccid_Info.plist")
        self.plug("1-1", "072f:2200", "ACS", "ACR122U PICC Interface")
        self.write("/proc/modules", "usbcore 401408 2 xhci_hcd, Live 0x0\n")
        self.write("/proc/self/mountinfo", MOUNTS)
        self.write("/sys/devices/mmc/block/mmcblk0/device/life_time", "0x01 0x02\n")
        self.write("/sys/devices/mmc/block/mmcblk0/device/pre_eol_info", "0x01\n")
        self.write("/sys/devices/mmc/block/mmcblk0/mmcblk0p2/partition", "2\n")
        self.link("/sys/class/block/mmcblk0p2", "/sys/devices/mmc/block/mmcblk0/mmcblk0p2")
        self.configure('[[readers]]\nname = "front"\nkind = "pcsc"\n')
        self.at(DATA).mkdir(parents=True, mode=0o700)

    # --- breaking it --------------------------------------------------------------------------------------------

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def write(self, path: str, text: str, mode: int = 0o644) -> Path:
        file = self.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)
        return file

    def link(self, path: str, target: str) -> None:
        self.at(path).parent.mkdir(parents=True, exist_ok=True)
        self.at(path).symlink_to(os.path.relpath(self.at(target), self.at(path).parent))

    def remove(self, path: str) -> None:
        found = self.at(path)
        shutil.rmtree(found) if found.is_dir() else found.unlink()

    def configure(self, text: str, data: str = DATA) -> None:
        self.write("/etc/tapgate/edge.toml", f'data_dir = "{data}"\n{text}')

    def plug(self, port: str, usb: str, maker: str, product: str, interface_class: str = "0b") -> None:
        """Into a USB socket."""
        vendor, _, number = usb.partition(":")
        told = {"idVendor": vendor, "idProduct": number, "manufacturer": maker, "product": product}
        for name, text in told.items():
            self.write(f"/sys/bus/usb/devices/{port}/{name}", text + "\n")
        self.write(f"/sys/bus/usb/devices/{port}/{port}:1.0/bInterfaceClass", interface_class + "\n")

    # --- looking at it ------------------------------------------------------------------------------------------

    def machine(self) -> Machine:
        def run(command: tuple[str, ...], limit_s: float = 0) -> Ran | None:
            return self.said.get(" ".join(command[:2]))

        return Machine(self.root, run, lambda: self.slots, os.geteuid())

    def subject(self) -> Subject:
        import msgspec

        found = subject_of(self.config, self.machine(), "tapgate-edge")
        return found if self.status is None else msgspec.structs.replace(found, status=self.status)

    def look(self, id_: str) -> list[Verdict]:
        """What one check says."""
        check = next(check for check in CHECKS if check.id == id_)
        return [finding.verdict for finding in examine(self.subject(), [check])]

    def result(self, id_: str) -> Result:
        """Of a check that says one thing."""
        (verdict,) = self.look(id_)
        return verdict.result


def ran(told: dict[str, str], **changes: str) -> Ran:
    """What a program says that tells KEY=VALUE."""
    return Ran(0, "".join(f"{key}={value}\n" for key, value in (told | changes).items()))


class PcscdSocket:
    """Something that listens where pcscd does."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(8)

    def close(self) -> None:
        self._socket.close()


Break = Callable[[GateMachine], None]
