"""The door side: relay boards on the network, and what the running agent says of lock and contacts."""

import socket
from collections.abc import Iterator
from typing import Any

from edge_agent.checks import (
    NOT_RUNNING,
    Check,
    Said,
    Subject,
    Verdict,
    fail,
    not_applicable,
    not_known,
    ok,
    same,
    warn,
)
from edge_agent.commissioning.unit import UNIT
from edge_agent.release.settings import BoardSettings

CONNECT_S = 2.0


def boards(subject: Subject) -> Iterator[Verdict]:
    """Each relay board takes a connection. Beside a running agent nobody tries: some boards take one at a time."""
    found = subject.settings.boards if subject.settings is not None else {}
    for name, board in found.items():
        if subject.status is None:
            yield _board(name, board)
        else:
            yield not_known(Said("閘門程式正在使用，見「門」", "the agent uses it: see Door"), about=name)
    if not found:
        yield not_applicable(Said("沒有網路繼電器板", "there is no relay board on the network"))


def _board(name: str, board: BoardSettings) -> Verdict:
    where = f"{board.host}:{board.port}"
    try:
        socket.create_connection((board.host, board.port), CONNECT_S).close()
    except OSError as error:
        return fail(
            Said(f"{where}：連不上（{error}）", f"{where}: no connection ({error})"),
            Said(
                "門鎖不會動。檢查板子的電源、網路線與位址。",
                "The lock does not move. Look at its power, cable and address.",
            ),
            f"ping -c 3 {board.host}",
            f"nc -vz -w 3 {board.host} {board.port}",
            about=name,
        )
    return ok(same(where), about=name)


def door(subject: Subject) -> Iterator[Verdict]:
    """As the running agent finds it."""
    settings = subject.settings
    if settings is not None and not settings.release.output and not settings.inputs:
        yield not_applicable(Said("沒有設定門鎖與接點", "no lock and no contact is configured"))
        return
    if subject.status is None:
        yield not_known(NOT_RUNNING)
        return
    state: dict[str, Any] | None = subject.status.get("door")
    if state is None:
        yield not_known(Said("閘門程式沒有說", "the agent does not say"))
        return
    log = f"sudo journalctl -u {UNIT} -n 50 --no-pager"
    troubles = list(_troubles(state, log))
    yield from troubles
    if not troubles:
        yield ok(Said("門鎖與接點正常", "lock and contacts are well"))


def _troubles(state: dict[str, Any], log: str) -> Iterator[Verdict]:
    if trouble := state.get("lock_trouble"):
        means = Said("准許了也打不開門。", "The door does not open for those who are granted.")
        yield fail(same(trouble), means, f"sudo systemctl restart {UNIT}", log)
    if blind := state.get("blind"):
        means = Said("看不到有沒有人通過。", "Nobody can tell whether people go through.")
        yield fail(same(", ".join(blind)), means, log)
    if state.get("fire"):
        means = Said("火警中；下面的指令列出可能還在裡面的人。", "The fire alarm is on; this tells who may be inside.")
        yield warn(Said("火警", "fire alarm"), means, "tapgate-edge inside")
    if state.get("tamper"):
        means = Said(
            "有人打開了外殼，或防拆接點的線鬆了。", "The case was opened, or the wire of its contact is loose."
        )
        yield warn(Said("防拆接點動作", "the tamper contact is on"), means, log)


CHECKS = (
    Check("outputs", Said("網路繼電器板", "Relay boards"), boards),
    Check("door", Said("門", "Door"), door),
)
