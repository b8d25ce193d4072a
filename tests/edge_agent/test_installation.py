"""What setting up changes on the machine itself: users, services, whom data belongs to; and that it is all shipped."""

import os
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.commissioning import installation
from edge_agent.commissioning.installation import NotDone, Plan
from edge_agent.commissioning.machine import Machine, Ran
from tests.edge_agent.gate_machine import GateMachine


def recording(answers: dict[str, Ran | None]) -> tuple[Callable[..., Any], list[str]]:
    said: list[str] = []

    def run(command: tuple[str, ...], limit_s: float = 0) -> Ran | None:
        said.append(" ".join(command))
        return answers.get(" ".join(command), Ran(0, ""))

    return run, said


UDEV = ("udevadm control --reload", "udevadm trigger --subsystem-match=usb --subsystem-match=gpio")


def carry_out(machine: Machine, changed: bool = True, start: bool = True) -> None:
    for step in installation.services(machine, ("pcscd.socket", "tapgate-edge.service"), changed, start):
        if not step.is_done():
            step.do()


def changes(said: list[str]) -> list[str]:
    return [command for command in said if not command.startswith("systemctl is-")]


def test_services_are_enabled_and_the_agent_started() -> None:
    run, said = recording({})
    carry_out(Machine(run=run))
    assert changes(said) == [
        *UDEV,
        "systemctl daemon-reload",
        "systemctl enable pcscd.socket",
        "systemctl enable tapgate-edge.service",
        "systemctl restart tapgate-edge.service",
    ]


def test_services_that_run_are_left_alone_unless_something_changed() -> None:
    answers: dict[str, Ran | None] = {
        "systemctl is-enabled pcscd.socket": Ran(0, "enabled\n"),
        "systemctl is-enabled tapgate-edge.service": Ran(0, "enabled\n"),
        "systemctl is-active tapgate-edge.service": Ran(0, "active\n"),
    }
    run, said = recording(answers)
    carry_out(Machine(run=run), changed=False)
    assert changes(said) == []
    carry_out(Machine(run=run), changed=True)
    assert changes(said) == [*UDEV, "systemctl daemon-reload", "systemctl restart tapgate-edge.service"]


def test_an_agent_that_has_not_joined_is_not_started() -> None:
    run, said = recording({})
    carry_out(Machine(run=run), start=False)
    assert not any("restart" in command for command in said)


@pytest.mark.parametrize("answer", [None, Ran(1, "Failed to enable unit:\n  it is masked\n")])
def test_a_program_that_fails_is_said_with_its_own_words(answer: Ran | None) -> None:
    run, _ = recording({"systemctl enable pcscd.socket": answer})
    with pytest.raises(
        NotDone, match=r"systemctl enable pcscd.socket: (Failed to enable unit: it is masked|there is no)"
    ):
        carry_out(Machine(run=run))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_data_that_root_left_behind_is_handed_to_the_agents_user(gate: GateMachine) -> None:
    class Live(Machine):
        runs = True

    gate.write("/etc/passwd", "tapgate:x:12345:12346::/:/bin/false\n")
    gate.write("/var/lib/tapgate-edge/identity.json", "{}", 0o600)
    plan = Plan("/etc/tapgate/edge.toml", None, installation.DATA_DIR, unit=True)
    (step,) = [s for s in installation.files(Live(gate.root, gate.machine().run), plan) if "data" in s.what.en]
    assert not step.is_done()
    step.do()
    assert step.is_done()
    about = gate.at("/var/lib/tapgate-edge/identity.json").stat()
    assert (about.st_uid, about.st_gid, about.st_mode & 0o777) == (12345, 12346, 0o600)


def test_everything_that_is_installed_is_part_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    shipped = project["tool"]["setuptools"]["data-files"]
    assert {f"share/tapgate/{name}" for name in (*installation.RULES, "systemd")} <= shipped.keys()
    root = Path(__file__).parents[2]
    assert all(list(root.glob(pattern)) for patterns in shipped.values() for pattern in patterns)
