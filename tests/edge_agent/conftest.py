"""An agent's parts and a central in memory, for every test here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

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
