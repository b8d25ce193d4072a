"""`doctor`: one broken thing at a time, on a machine that is otherwise whole. What cannot be looked at is never ok."""

import json
import os
from importlib import resources

import pytest

from edge_agent.checks import Result
from edge_agent.commissioning.machine import Ran
from tests.edge_agent.gate_machine import (
    DATA,
    MOUNTS,
    PLIST,
    RULE,
    TIME,
    UNIT_STATE,
    Break,
    GateMachine,
    ran,
)

OK, WARN, FAIL = Result.OK, Result.WARN, Result.FAIL
NOT_APPLICABLE, NOT_KNOWN = Result.NOT_APPLICABLE, Result.NOT_KNOWN


MACHINE_CHECKS = (
    "pcscd-installed",
    "pcscd-answers",
    "pcscd-at-boot",
    "agent-unit",
    "service-user",
    "polkit-rule",
    "settings-file",
    "data-directory",
    "driver",
    "reader-in-pcsc",
    "escape",
    "kernel-modules",
    "time-sync",
    "disk-writable",
    "file-system",
    "disk-wear",
)


@pytest.mark.parametrize("id_", MACHINE_CHECKS)
def test_a_machine_that_is_set_up_well_is_found_well(gate: GateMachine, id_: str) -> None:
    assert gate.result(id_) is OK, gate.look(id_)


def remove(path: str) -> Break:
    return lambda gate: gate.remove(path)


def write(path: str, text: str, mode: int = 0o644) -> Break:
    return lambda gate: gate.write(path, text, mode) and None


def says(command: str, answer: Ran | None) -> Break:
    return lambda gate: gate.said.__setitem__(command, answer)


def configure(text: str) -> Break:
    return lambda gate: gate.configure(text)


def chmod(path: str, mode: int) -> Break:
    return lambda gate: gate.at(path).chmod(mode)


def both(*breaks: Break) -> Break:
    def all_of_them(gate: GateMachine) -> None:
        for break_ in breaks:
            break_(gate)

    return all_of_them


SIMULATED = '[[readers]]\nname = "front"\nkind = "simulated"\npath = "taps"\n'
PN532 = '[[readers]]\nname = "front"\nkind = "nfc"\npath = "tty:USB0:pn532"\n'
MMC = "/sys/devices/mmc/block/mmcblk0/device"
NVME = MOUNTS.replace("179:2", "259:2").replace("/dev/mmcblk0p2", "/dev/nvme0n1p2")


def plug_nvme(gate: GateMachine) -> None:
    gate.write("/proc/self/mountinfo", NVME)
    gate.write("/sys/devices/pci/nvme0n1/nvme0n1p2/partition", "2\n")
    gate.link("/sys/class/block/nvme0n1p2", "/sys/devices/pci/nvme0n1/nvme0n1p2")


def smart(**told: object) -> Break:
    return both(plug_nvme, says("smartctl --json", Ran(0, json.dumps(told))))


def mounted(line: str) -> Break:
    return write("/proc/self/mountinfo", MOUNTS + f"30 21 0:40 / /var rw,relatime - {line}\n")


def nvme_used(percent: int) -> Break:
    return smart(nvme_smart_health_information_log={"percentage_used": percent})


def sata_left(value: int) -> Break:
    return smart(ata_smart_attributes={"table": [{"id": 5, "value": 1}, {"id": 177, "value": value}]})


def only(device: tuple[str, str, str, str]) -> Break:
    """Nothing else is on USB."""

    def replug(gate: GateMachine) -> None:
        gate.remove("/sys/bus/usb/devices/1-1")
        gate.plug("1-1", *device)

    return replug


OMNIKEY = ("076b:5022", "HID Global", "OMNIKEY 5022 Smart Card Reader", "0b")
RC_S380 = ("054c:06c1", "SONY", "RC-S380/S", "ff")
OWN = "/etc/tapgate/profiles/generic-pcsc.toml"
GENERIC_TEXT = resources.files("firmware_profiles").joinpath("generic-pcsc.toml").read_text()


BROKEN: dict[str, tuple[str, Break, Result, str]] = {
    # what is broken: (check, how, result, what the mending holds)
    "no pcscd": ("pcscd-installed", remove("/usr/sbin/pcscd"), FAIL, "apt install pcscd"),
    "pcscd not wanted": ("pcscd-installed", configure(SIMULATED), NOT_APPLICABLE, ""),
    "pcscd stopped": ("pcscd-answers", remove("/run/pcscd/pcscd.comm"), FAIL, "enable --now pcscd.socket"),
    "pcscd disabled": ("pcscd-at-boot", says("systemctl is-enabled", Ran(1, "disabled\n")), WARN, "enable --now"),
    "pcscd masked": ("pcscd-at-boot", says("systemctl is-enabled", Ran(1, "masked\n")), WARN, "unmask"),
    "pcscd untold": ("pcscd-at-boot", says("systemctl is-enabled", None), NOT_KNOWN, ""),
    "no systemd bus": (
        "pcscd-at-boot",
        says("systemctl is-enabled", Ran(1, "Failed to connect to bus: Host is down\n")),
        NOT_KNOWN,
        "",
    ),
    "no unit": (
        "agent-unit",
        says("systemctl show", ran(UNIT_STATE, LoadState="not-found")),
        WARN,
        "setup --yes --unit",
    ),
    "unit fails": ("agent-unit", says("systemctl show", ran(UNIT_STATE, ActiveState="failed")), FAIL, "journalctl"),
    "unit restarts": (
        "agent-unit",
        says("systemctl show", ran(UNIT_STATE, SubState="auto-restart")),
        FAIL,
        "journalctl",
    ),
    "unit disabled": (
        "agent-unit",
        says("systemctl show", ran(UNIT_STATE, UnitFileState="disabled")),
        WARN,
        "systemctl enable --now tapgate-edge",
    ),
    "systemd silent": ("agent-unit", says("systemctl show", None), NOT_KNOWN, "systemctl status"),
    "systemd silent, no unit": (
        "agent-unit",
        both(says("systemctl show", None), remove("/etc/systemd/system/tapgate-edge.service")),
        WARN,
        "setup --yes --unit",
    ),
    "no user": ("service-user", write("/etc/passwd", "root:x:0:0::/:/bin/sh\n"), FAIL, "useradd --system"),
    "no unit, no user": ("service-user", remove("/etc/systemd/system/tapgate-edge.service"), NOT_APPLICABLE, ""),
    "no rule": ("polkit-rule", remove("/etc/polkit-1/rules.d/50-tapgate-pcsc.rules"), FAIL, "setup --yes --unit"),
    "half a rule": (
        "polkit-rule",
        write("/etc/polkit-1/rules.d/50-tapgate-pcsc.rules", RULE.replace("access_card", "other")),
        FAIL,
        "setup",
    ),
    "rule for another": (
        "polkit-rule",
        write("/etc/polkit-1/rules.d/50-tapgate-pcsc.rules", RULE.replace('"tapgate"', '"tapgatx"')),
        FAIL,
        "setup",
    ),
    "rule that polkitd cannot read": (
        "polkit-rule",
        chmod("/etc/polkit-1/rules.d/50-tapgate-pcsc.rules", 0o600),
        FAIL,
        "chmod 644",
    ),
    "no polkit": (
        "polkit-rule",
        remove("/usr/share/polkit-1/actions/org.debian.pcsc-lite.policy"),
        NOT_APPLICABLE,
        "",
    ),
    "no settings": ("settings-file", remove("/etc/tapgate/edge.toml"), FAIL, "setup"),
    "wrong settings": ("settings-file", configure("[[reders]]\n"), FAIL, "sudoedit"),
    "settings for all to write": ("settings-file", chmod("/etc/tapgate/edge.toml", 0o666), FAIL, "chmod 644"),
    "no data": ("data-directory", remove(DATA), WARN, "install -d -m 700"),
    "data for all to see": ("data-directory", chmod(DATA, 0o755), FAIL, "chmod 700"),
    "keys for all to see": ("key-file", write(f"{DATA}/identity.json", "{}", 0o644), FAIL, "chmod 600"),
    "keys as they should be": ("key-file", write(f"{DATA}/identity.json", "{}", 0o600), OK, ""),
    "no keys": ("key-file", lambda gate: None, NOT_APPLICABLE, ""),
    "no serial line needed": ("serial-port", lambda gate: None, NOT_APPLICABLE, ""),
    "serial line gone": ("serial-port", configure(PN532), FAIL, "by-id"),
    "a reader that no driver knows": (
        "driver",
        write("/etc/libccid_Info.plist", PLIST.format(options="0x0001").replace("072F", "072E")),
        FAIL,
        "apt install libacsccid1 libccid",
    ),
    "no drivers at all": ("driver", remove("/usr/lib/pcsc/drivers/ifd-ccid.bundle"), FAIL, "apt install"),
    "a garbage driver list": ("driver", write("/etc/libccid_Info.plist", "no plist"), FAIL, "apt install"),
    "no reader on USB": ("driver", remove("/sys/bus/usb/devices/1-1"), NOT_APPLICABLE, ""),
    "no USB": ("driver", remove("/sys/bus/usb"), NOT_KNOWN, ""),
    "on USB, not in pcscd": ("reader-in-pcsc", lambda gate: setattr(gate, "slots", []), FAIL, "restart pcscd"),
    "another one in pcscd": (
        "reader-in-pcsc",
        lambda gate: setattr(gate, "slots", ["HID Global OMNIKEY 5022 Smart Card Reader 00 00"]),
        FAIL,
        "restart pcscd",
    ),
    "pcscd cannot be asked": ("reader-in-pcsc", lambda gate: setattr(gate, "slots", None), NOT_KNOWN, "pcscd"),
    "a module in the way": (
        "kernel-modules",
        write("/proc/modules", "pn533_usb 20480 0 - Live 0x0\n"),
        FAIL,
        "modprobe",
    ),
    "escape held back": (
        "escape",
        write("/etc/libccid_Info.plist", PLIST.format(options="0x0004")),
        WARN,
        "sed -i '/ifdDriverOptions/{n;s/0x[0-9A-Fa-f]*/0x0005/}' /etc/libccid_Info.plist",
    ),
    "escape not wanted": ("escape", only(OMNIKEY), NOT_APPLICABLE, ""),
    "escape untold": ("escape", write("/etc/libccid_Info.plist", "no plist"), NOT_KNOWN, ""),
    "no USB for escape": ("escape", remove("/sys/bus/usb"), NOT_KNOWN, ""),
    "a reader for nfcpy": ("driver", only(RC_S380), NOT_APPLICABLE, ""),
    "a reader for nfcpy, not in pcscd": ("reader-in-pcsc", only(RC_S380), NOT_APPLICABLE, ""),
    "the kernel took it": (
        "kernel-modules",
        both(only(RC_S380), write("/proc/modules", "port100 1 0 - Live 0x0\nnfc 1 1 port100, Live 0x0\n")),
        FAIL,
        "modprobe --remove port100 nfc",
    ),
    "no own profiles": ("own-profiles", lambda gate: None, NOT_APPLICABLE, ""),
    "an own profile": ("own-profiles", write(OWN, GENERIC_TEXT), OK, ""),
    "a wrong own profile": ("own-profiles", write(OWN, GENERIC_TEXT + "\nbeep = 3\n"), FAIL, "sudoedit"),
    "an own profile for all to write": ("own-profiles", write(OWN, GENERIC_TEXT, 0o666), FAIL, "sudoedit"),
    "a module, no reader": (
        "kernel-modules",
        both(write("/proc/modules", "nfc 20480 0 - Live 0x0\n"), remove("/sys/bus/usb/devices/1-1")),
        WARN,
        "blacklist nfc",
    ),
    "no module list": ("kernel-modules", remove("/proc/modules"), NOT_KNOWN, ""),
    "not synchronised": ("time-sync", says("timedatectl show", ran(TIME, NTPSynchronized="no")), WARN, "timesync"),
    "synchronisation off": (
        "time-sync",
        says("timedatectl show", ran(TIME, NTPSynchronized="no", NTP="no")),
        WARN,
        "set-ntp true",
    ),
    "no time service": (
        "time-sync",
        says("timedatectl show", ran(TIME, NTPSynchronized="no", NTP="no", CanNTP="no")),
        WARN,
        "apt install systemd-timesyncd",
    ),
    "time untold": ("time-sync", says("timedatectl show", None), NOT_KNOWN, "timedatectl"),
    "chrony, synchronised": (
        "time-sync",
        both(
            says("timedatectl show", None),
            says("chronyc -c", Ran(0, "C0A80101,ntp,3,1700000000.1,-0.0002,0,0,-1,0,0,0.01,0.001,64.2,Normal\n")),
        ),
        OK,
        "",
    ),
    "chrony, lost": (
        "time-sync",
        both(
            says("timedatectl show", None),
            says("chronyc -c", Ran(0, "00000000,,0,0,0,0,0,0,0,0,1,1,0,Not synchronised\n")),
        ),
        WARN,
        "chronyc makestep",
    ),
    "read-only": (
        "disk-writable",
        write("/proc/self/mountinfo", MOUNTS.replace("rw,noatime", "ro")),
        FAIL,
        "remount,rw /",
    ),
    "no mounts told": ("disk-writable", remove("/proc/self/mountinfo"), NOT_KNOWN, ""),
    "in memory": ("file-system", mounted("tmpfs tmpfs rw"), FAIL, "sudoedit"),
    "on a stick": ("file-system", mounted("vfat /dev/sda1 rw"), FAIL, "sudoedit"),
    "over the network": ("file-system", mounted("nfs4 server:/x rw"), FAIL, "sudoedit"),
    "an unheard-of one": ("file-system", mounted("newfs /dev/sda1 rw"), NOT_KNOWN, ""),
    "laid over memory": (
        "file-system",
        write(
            "/proc/self/mountinfo",
            "30 21 0:40 / / rw - overlay overlay rw,lowerdir=/lower,upperdir=/over/up,workdir=/over/work\n"
            "31 30 0:41 / /over rw - tmpfs tmpfs rw\n",
        ),
        FAIL,
        "sudoedit",
    ),
    "eMMC nearly worn": ("disk-wear", write(f"{MMC}/life_time", "0x01 0x09\n"), WARN, "lsblk"),
    "eMMC worn out": ("disk-wear", write(f"{MMC}/life_time", "0x0b 0x01\n"), FAIL, "lsblk"),
    "eMMC at its end": ("disk-wear", write(f"{MMC}/pre_eol_info", "0x03\n"), FAIL, "lsblk"),
    "eMMC that tells nothing": ("disk-wear", write(f"{MMC}/life_time", "0x00 0x00\n"), NOT_KNOWN, ""),
    "SD card": ("disk-wear", remove(f"{MMC}/life_time"), NOT_KNOWN, ""),
    "NVMe, young": ("disk-wear", nvme_used(3), OK, ""),
    "NVMe, old": ("disk-wear", nvme_used(85), WARN, "nvme0n1"),
    "NVMe, worn out": ("disk-wear", nvme_used(140), FAIL, "nvme0n1"),
    "NVMe that fails": ("disk-wear", smart(smart_status={"passed": False}), FAIL, "nvme0n1"),
    "SATA, young": ("disk-wear", sata_left(97), OK, ""),
    "SATA, old": ("disk-wear", sata_left(10), WARN, ""),
    "a disk without attributes": ("disk-wear", smart(), NOT_KNOWN, ""),
    "no smartctl": ("disk-wear", plug_nvme, NOT_KNOWN, "apt install smartmontools"),
    "smartctl without leave": (
        "disk-wear",
        both(
            plug_nvme, says("smartctl --json", Ran(2, "Smartctl open device: /dev/nvme0n1 failed: Permission denied"))
        ),
        NOT_KNOWN,
        "sudo tapgate-edge",
    ),
    "no journal yet": ("journal-whole", lambda gate: None, NOT_APPLICABLE, ""),
    "agent stopped": ("agent-running", lambda gate: None, FAIL, "systemctl start tapgate-edge"),
    "agent stopped, no unit": (
        "agent-running",
        remove("/etc/systemd/system/tapgate-edge.service"),
        FAIL,
        "tapgate-edge",
    ),
    "not enrolled": ("enrolled", lambda gate: None, FAIL, "enrol TOKEN"),
    "keys damaged": ("enrolled", write(f"{DATA}/identity.json", "{}"), FAIL, "device invite"),
    "no readers": ("reader", configure(""), FAIL, "setup"),
    "clock of a stopped agent": ("clock", lambda gate: None, NOT_KNOWN, ""),
}


@pytest.mark.parametrize("what", BROKEN)
def test_each_broken_thing_is_found_and_mended_by_a_command(gate: GateMachine, what: str) -> None:
    id_, break_, result, mend = BROKEN[what]
    break_(gate)
    (verdict,) = gate.look(id_)
    assert verdict.result is result, verdict
    assert mend in "\n".join(verdict.mend)
    if result in (WARN, FAIL):
        assert verdict.mend
        assert all(verdict.means)
    assert all(verdict.seen)


def test_data_of_another_user_is_found(gate: GateMachine) -> None:
    gate.write("/etc/passwd", f"tapgate:x:{os.geteuid() + 1}:5::/:/bin/false\n")
    (verdict,) = gate.look("data-directory")
    assert verdict.result is FAIL
    assert verdict.mend == (f"sudo chown -R tapgate: {gate.at(DATA)}",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_one_file_that_root_left_in_the_data_is_found(gate: GateMachine) -> None:
    gate.write("/etc/passwd", "tapgate:x:12345:12345::/:/bin/false\n")
    os.chown(gate.at(DATA), 12345, 12345)
    assert gate.result("data-directory") is OK
    gate.write(f"{DATA}/identity.json", "{}", 0o600)
    (verdict,) = gate.look("data-directory")
    assert verdict.result is FAIL
    assert "identity.json" in verdict.seen.en


def test_settings_that_the_service_cannot_read_are_found(gate: GateMachine) -> None:
    gate.write("/etc/passwd", f"tapgate:x:{os.geteuid() + 1}:{os.getegid() + 1}::/:/bin/false\n")
    assert gate.result("settings-file") is OK
    gate.config.chmod(0o600)
    assert gate.result("settings-file") is FAIL
