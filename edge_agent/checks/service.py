"""The services that have to run: pcscd for the readers, and the agent itself by systemd."""

import socket
from collections.abc import Iterator

from edge_agent.checks import Check, Said, Subject, Verdict, fail, not_applicable, not_known, ok, same, warn
from edge_agent.commissioning.machine import pcscd_socket
from edge_agent.commissioning.unit import UNIT

CONNECT_S = 2.0

NO_PCSC = Said("沒有設定需要 pcscd 的讀卡機", "no configured reader needs pcscd")


def pcscd_installed(subject: Subject) -> Iterator[Verdict]:
    """The program that speaks to PC/SC readers."""
    if not subject.needs_pcsc:
        yield not_applicable(NO_PCSC)
        return
    found = next((path for path in ("/usr/sbin/pcscd", "/usr/bin/pcscd") if subject.machine.path(path).exists()), None)
    if found is None:
        yield fail(
            Said("找不到 pcscd", "there is no pcscd"),
            Said("沒有這個服務就無法使用 PC/SC 讀卡機。", "Without this service no PC/SC reader can be used."),
            "sudo apt install pcscd libccid",
        )
    else:
        yield ok(same(found))


def pcscd_answers(subject: Subject) -> Iterator[Verdict]:
    """Its socket takes a connection, which also starts it where systemd watches the socket."""
    if not subject.needs_pcsc:
        yield not_applicable(NO_PCSC)
        return
    path = pcscd_socket()
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(CONNECT_S)
            probe.connect(str(subject.machine.path(path)))
    except PermissionError:
        yield not_known(Said(f"沒有權限連線到 {path}", f"no permission to connect to {path}"))
    except OSError as error:
        yield fail(
            Said(
                f"{path}：無法連線（{error.strerror or error}）", f"{path}: no connection ({error.strerror or error})"
            ),
            Said("pcscd 沒有在執行，刷卡不會有反應。", "pcscd is not running: taps will do nothing."),
            "sudo systemctl enable --now pcscd.socket",
            "sudo systemctl restart pcscd",
        )
    else:
        yield ok(same(str(path)))


def pcscd_at_boot(subject: Subject) -> Iterator[Verdict]:
    """systemd watches its socket after the next start of the machine too."""
    if not subject.needs_pcsc:
        yield not_applicable(NO_PCSC)
        return
    ran = subject.machine.run(("systemctl", "is-enabled", "pcscd.socket"))
    word = ran.text.strip().splitlines()[-1] if ran is not None and ran.text.strip() else ""
    if word in ("enabled", "static", "alias", "linked", "enabled-runtime"):
        yield ok(same(f"pcscd.socket: {word}"))
    elif word in ("disabled", "masked", "not-found"):
        unmask = ("sudo systemctl unmask pcscd.socket",) if word == "masked" else ()
        yield warn(
            same(f"pcscd.socket: {word}"),
            Said("重新開機後 pcscd 不會自動啟動。", "After the next boot pcscd will not start by itself."),
            *unmask,
            "sudo systemctl enable --now pcscd.socket",
        )
    else:
        yield not_known(Said("systemd 沒有回答", "systemd does not answer"))


def agent_unit(subject: Subject) -> Iterator[Verdict]:
    """The agent is started at boot, and again when it ends."""
    properties = ("LoadState", "ActiveState", "SubState", "UnitFileState", "NRestarts")
    ran = subject.machine.run(("systemctl", "show", UNIT, f"--property={','.join(properties)}"))
    told = dict(line.split("=", 1) for line in ran.text.splitlines() if "=" in line) if ran is not None else {}
    if "LoadState" not in told:
        yield _unit_by_its_file(subject)
        return
    seen = same(f"{UNIT}: {told.get('ActiveState')} ({told.get('SubState')}), {told.get('UnitFileState') or '–'}")
    if told["LoadState"] == "not-found":
        yield _no_unit(subject)
    elif told.get("ActiveState") == "failed" or told.get("SubState") == "auto-restart":
        yield fail(
            seen,
            Said(
                "閘門程式一啟動就結束，原因寫在系統紀錄裡。", "The agent ends as soon as it starts; its log says why."
            ),
            f"journalctl -u {UNIT} -n 20 --no-pager",
            f"sudo systemctl restart {UNIT}",
        )
    elif told.get("UnitFileState") not in ("enabled", "static", "enabled-runtime"):
        yield warn(
            seen,
            Said("重新開機後閘門程式不會自動啟動。", "After the next boot the agent will not start by itself."),
            f"sudo systemctl enable --now {UNIT}",
        )
    else:
        yield ok(seen)


def _unit_by_its_file(subject: Subject) -> Verdict:
    """systemd does not answer: only the file can be looked at."""
    if subject.service_user is None:
        return _no_unit(subject)
    return not_known(
        Said(f"已安裝 {UNIT}，但 systemd 沒有回答", f"{UNIT} is installed, but systemd does not answer"),
        f"systemctl status {UNIT}",
    )


def _no_unit(subject: Subject) -> Verdict:
    return warn(
        Said(f"沒有安裝 {UNIT}", f"{UNIT} is not installed"),
        Said("閘門程式不會隨開機啟動。", "The agent does not start with the machine."),
        f"sudo {subject.program} setup --yes --unit",
    )


CHECKS = (
    Check("pcscd-installed", Said("PC/SC 服務已安裝", "PC/SC service installed"), pcscd_installed),
    Check("pcscd-answers", Said("PC/SC 服務有回應", "PC/SC service answers"), pcscd_answers),
    Check("pcscd-at-boot", Said("PC/SC 服務隨開機啟動", "PC/SC service starts at boot"), pcscd_at_boot),
    Check("agent-unit", Said("閘門程式隨開機啟動", "Agent starts at boot"), agent_unit),
)
