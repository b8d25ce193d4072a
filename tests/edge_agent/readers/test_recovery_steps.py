"""Restarting the service, and why an absent reader can be helped."""

import sys
import threading
from pathlib import Path

import pytest

from edge_agent.commissioning.machine import Machine
from edge_agent.readers import ReaderFacts, presence, recovery
from edge_agent.readers.presence import why_it_can_be_helped
from edge_agent.readers.recovery import RESTART_PCSCD, ServiceRestart, StepFailed
from firmware_profiles import ProfileBook

BOOK = ProfileBook()
ACR122U = ReaderFacts("ACS ACR122U 00 00", "acr122u")
ACR1252U = ReaderFacts("ACS ACR1252 00 00", "acr1252u (local)")
NEVER_SEEN = ReaderFacts()
GENERIC = ReaderFacts("Some reader 00 00", "generic-pcsc")


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


def test_a_service_is_restarted(tmp_path: Path) -> None:
    ServiceRestart(python(f"open({str(tmp_path / 'done')!r}, 'w')"))()
    assert (tmp_path / "done").exists()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (python("import sys; sys.exit('Access denied')"), "Access denied"),
        (python("raise SystemExit(4)"), "exit code 4"),
        (("tapgate-no-such-program", "restart"), "there is no tapgate-no-such-program here"),
    ],
    ids=["refused", "silent", "not there"],
)
def test_a_restart_that_is_refused_says_why(command: tuple[str, ...], why: str) -> None:
    with pytest.raises(StepFailed, match=why):
        ServiceRestart(command)()


def test_a_restart_that_does_not_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RESTART_LIMIT_S", 0.2)
    with pytest.raises(StepFailed, match="not done after"):
        ServiceRestart(python("import time; time.sleep(60)"))()


def test_readers_behind_one_service_share_its_restart(tmp_path: Path) -> None:
    count, now_s = tmp_path / "count", [1_000.0]
    command = python(f"import time; open({str(count)!r}, 'a').write('x'); time.sleep(0.2)")
    restart = ServiceRestart(command, lambda: now_s[0])
    threads = [threading.Thread(target=restart) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count.read_text() == "x"
    now_s[0] += recovery.FRESH_S
    restart()
    assert count.read_text() == "xx"


def test_a_restart_that_failed_is_not_taken_for_one(tmp_path: Path) -> None:
    restart = ServiceRestart(python("raise SystemExit('no')"))
    for _ in range(2):
        with pytest.raises(StepFailed):
            restart()


def test_polkit_permits_exactly_what_is_run() -> None:
    rule = (Path(__file__).parents[3] / "deploy/polkit/51-tapgate-restart-pcscd.rules").read_text()
    verb, unit = RESTART_PCSCD[-2:]
    assert f'action.lookup("verb") === "{verb}"' in rule
    assert f'action.lookup("unit") === "{unit}"' in rule
    assert 'subject.user === "tapgate"' in rule
    assert 'action.id === "org.freedesktop.systemd1.manage-units"' in rule


def plugged(root: Path, *devices: tuple[str, str]) -> Machine:
    """A machine that is only files, with USB devices of (identifier, class of its interface)."""
    for number, (usb, interface) in enumerate(devices):
        place = root / "sys/bus/usb/devices" / f"1-{number}"
        (place / f"1-{number}:1.0").mkdir(parents=True)
        (place / "idVendor").write_text(usb[:4].lower())
        (place / "idProduct").write_text(usb[5:].lower())
        (place / f"1-{number}:1.0" / "bInterfaceClass").write_text(interface)
    return Machine.below(root)


CCID, HID = "0b", "03"


@pytest.mark.parametrize(
    ("facts", "others", "devices", "hidden"),
    [
        (ACR122U, [], [("072F:2200", CCID)], "072F:2200"),
        (ACR122U, [], [("046D:C31C", HID)], ""),
        (ACR122U, [], [], ""),
        (ACR122U, [], [("072F:223B", CCID)], ""),  # another model is another reader
        (ACR122U, [ACR122U], [("072F:2200", CCID)], ""),  # that one is the other reader
        (ACR122U, [ACR122U], [("072F:2200", CCID), ("072F:2200", CCID)], "072F:2200"),
        (ACR122U, [ACR1252U], [("072F:2200", CCID)], "072F:2200"),
        (ACR1252U, [], [("072F:223B", CCID)], "072F:223B"),
        (NEVER_SEEN, [], [("1234:5678", CCID)], "1234:5678"),
        (NEVER_SEEN, [ACR122U], [("072F:2200", CCID)], ""),
        (NEVER_SEEN, [], [("1234:5678", HID)], ""),
        (GENERIC, [], [("1234:5678", CCID)], "1234:5678"),
    ],
)
def test_a_reader_that_usb_lists_and_the_service_does_not_show_can_be_helped(
    tmp_path: Path, facts: ReaderFacts, others: list[ReaderFacts], devices: list[tuple[str, str]], hidden: str
) -> None:
    why = why_it_can_be_helped(facts, others, BOOK, plugged(tmp_path, *devices))
    assert why == (f"{hidden} is plugged in, and the PC/SC service does not show it" if hidden else "")


def test_a_service_that_is_gone_can_be_helped_whatever_is_plugged_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", str(tmp_path / "nobody listens"))
    assert not presence.service_answers()
    assert why_it_can_be_helped(ACR122U, [], BOOK, Machine()) == "the PC/SC service does not answer"


def test_a_kernel_that_does_not_tell_of_usb_speaks_against_nobody(tmp_path: Path) -> None:
    assert why_it_can_be_helped(ACR122U, [], BOOK, Machine.below(tmp_path)) == ""
