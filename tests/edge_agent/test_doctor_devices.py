"""`doctor` on what the agent opens by itself: serial lines, GPIO chips, and the packages that drive them."""

import importlib.util
import os
import socket

import pytest

from edge_agent.checks import Result
from edge_agent.commissioning.hardware import serial_line, serial_ports
from tests.edge_agent.gate_machine import GateMachine

OK, WARN, FAIL = Result.OK, Result.WARN, Result.FAIL
NOT_APPLICABLE, NOT_KNOWN = Result.NOT_APPLICABLE, Result.NOT_KNOWN
PN532 = '[[readers]]\nname = "front"\nkind = "nfc"\npath = "tty:USB0:pn532"\n'
GPIO = '[outputs.lock]\nkind = "gpio"\nline = 17\n[inputs.door]\nkind = "gpio"\nline = 4\nchip = "/dev/gpiochip4"\n'


def another_user(gate: GateMachine) -> None:
    """The service runs as somebody who owns nothing here."""
    gate.write("/etc/passwd", f"tapgate:x:{os.geteuid() + 1}:{os.getegid() + 1}::/:/bin/false\n")


def test_a_serial_line_is_for_those_in_its_group(gate: GateMachine) -> None:
    gate.configure(PN532)
    another_user(gate)
    port = gate.write("/dev/ttyUSB0", "", 0o660)
    gate.write("/etc/group", f"dialout:x:{port.stat().st_gid}:\n")
    (verdict,) = gate.look("serial-port")
    assert (verdict.result, verdict.about) == (FAIL, "/dev/ttyUSB0")
    assert "sudo usermod -aG dialout tapgate" in verdict.mend
    gate.write("/etc/group", f"dialout:x:{port.stat().st_gid}:tapgate\n")
    assert gate.result("serial-port") is OK
    gate.at("/dev/ttyUSB0").chmod(0o600)
    (verdict,) = gate.look("serial-port")
    assert verdict.result is FAIL
    assert verdict.mend == ("sudo tapgate-edge setup --yes --unit",)


def test_each_chip_that_is_used_is_looked_at(gate: GateMachine) -> None:
    gate.configure(GPIO)
    gate.write("/dev/gpiochip0", "", 0o660)
    first, second = gate.look("gpio")
    assert (first.result, first.about) == (OK, "/dev/gpiochip0")
    assert (second.result, second.about, second.mend) == (FAIL, "/dev/gpiochip4", ("ls -l /dev/gpiochip*",))


def test_nothing_wired_needs_nothing(gate: GateMachine) -> None:
    assert gate.result("gpio") is NOT_APPLICABLE
    assert gate.result("serial-port") is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("settings", "module", "package"),
    [
        (PN532, "nfc", "nfcpy"),
        (GPIO, "gpiod", "gpiod"),
        ('[boards.relays]\nhost = "192.0.2.7"\n', "pymodbus", "pymodbus"),
        ('[[readers]]\nname = "a"\nkind = "pcsc"\n', "smartcard", "pyscard"),
    ],
)
def test_a_package_that_the_settings_need_is_looked_for(
    gate: GateMachine, monkeypatch: pytest.MonkeyPatch, settings: str, module: str, package: str
) -> None:
    gate.configure(settings)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == module else object())
    (verdict,) = gate.look("packages")
    assert verdict.result is FAIL
    assert package in verdict.seen.en
    assert verdict.mend[-1].endswith(f"pip install {package}")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert gate.result("packages") is OK


def test_settings_that_need_no_package_are_content(gate: GateMachine) -> None:
    gate.configure('[[readers]]\nname = "a"\nkind = "simulated"\npath = "x"\n')
    assert gate.result("packages") is NOT_APPLICABLE


@pytest.mark.parametrize(
    ("path", "device"),
    [
        ("tty:USB0:pn532", "/dev/ttyUSB0"),
        ("tty:AMA0", "/dev/ttyAMA0"),
        ("tty:/dev/serial/by-id/usb-1a86:pn532", "/dev/serial/by-id/usb-1a86"),
        ("usb:054c:06c1", ""),
        ("usb", ""),
    ],
)
def test_the_device_behind_an_nfcpy_path_is_known(path: str, device: str) -> None:
    assert serial_line(path) == device


def test_an_adapter_goes_by_the_name_that_stays_its_own(gate: GateMachine) -> None:
    for name in ("ttyUSB0", "ttyUSB1", "ttyS1", "tty0"):
        gate.write(f"/dev/{name}", "")
    gate.link("/dev/serial/by-id/usb-CP2102-if00", "/dev/ttyUSB1")
    assert serial_ports(gate.machine()) == ["/dev/serial/by-id/usb-CP2102-if00", "/dev/ttyUSB0"]


# --- the door side --------------------------------------------------------------------------------------------------

WIRED = '[release]\noutput = "lock"\n[outputs.lock]\nkind = "modbus"\nboard = "relays"\nrelay = 0\n'
BOARD = '[boards.relays]\nhost = "127.0.0.1"\nport = {port}\n'


def test_a_board_that_answers_and_one_that_is_gone_are_told_apart(gate: GateMachine) -> None:
    with socket.socket() as board:
        board.bind(("127.0.0.1", 0))
        port = board.getsockname()[1]
        gate.configure(WIRED + BOARD.format(port=port))
        (verdict,) = gate.look("outputs")
        assert (verdict.result, verdict.about) == (FAIL, "relays")
        assert verdict.mend == ("ping -c 3 127.0.0.1", f"nc -vz -w 3 127.0.0.1 {port}")
        board.listen()
        assert gate.result("outputs") is OK
        gate.status = {"running": True}
        assert gate.result("outputs") is NOT_KNOWN, "a running agent may hold the board's only connection"
    gate.configure("")
    assert gate.result("outputs") is NOT_APPLICABLE


WELL = {"lock_trouble": "", "blind": [], "fire": False, "tamper": False}


@pytest.mark.parametrize(
    ("door", "result"),
    [
        (WELL, OK),
        (WELL | {"lock_trouble": "the board does not answer"}, FAIL),
        (WELL | {"blind": ["door"]}, FAIL),
        (WELL | {"fire": True}, WARN),
        (WELL | {"tamper": True}, WARN),
    ],
)
def test_what_the_agent_says_of_the_door_is_judged(gate: GateMachine, door: dict[str, object], result: Result) -> None:
    gate.configure(WIRED + BOARD.format(port=9))
    gate.status = {"running": True, "door": door}
    (verdict,) = gate.look("door")
    assert verdict.result is result
    assert verdict.mend or result is OK


def test_a_door_of_which_nobody_tells_is_not_known(gate: GateMachine) -> None:
    assert gate.result("door") is NOT_APPLICABLE
    gate.configure(WIRED + BOARD.format(port=9))
    assert gate.result("door") is NOT_KNOWN
    gate.status = {"running": True}
    assert gate.result("door") is NOT_KNOWN
