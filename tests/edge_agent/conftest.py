"""An agent's parts and a central in memory, for every test here."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.edge_agent.gate_machine import GateMachine, PcscdSocket
from tests.support.central_side import CentralSide
from tests.support.edge_side import Edge


@pytest.fixture
def central() -> CentralSide:
    side = CentralSide()
    side.publish()
    return side


@pytest.fixture
def edge(tmp_path: Path, central: CentralSide) -> Iterator[Edge]:
    """Enrolled and started; it holds nothing yet."""
    with Edge(tmp_path / "edge", central) as made:
        yield made


@pytest.fixture
def stocked(edge: Edge) -> Edge:
    """It holds everything that central published."""
    edge.take_all()
    return edge


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[GateMachine]:
    """The machine of a gate, as files, with something that listens in pcscd's place."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", "/run/pcscd/pcscd.comm")
    with tempfile.TemporaryDirectory(prefix="tg-", dir="/tmp") as short:  # a socket's path must be
        made = GateMachine(Path(short))
        pcscd = PcscdSocket(made.at("/run/pcscd/pcscd.comm"))
        yield made
        pcscd.close()
