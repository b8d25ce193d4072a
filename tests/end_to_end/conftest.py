"""A founded town to copy, a PC/SC service and a PostgreSQL, each made once for the tests that ask for it."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.edge_agent.readers.conftest import Desk
from tests.end_to_end.quick_town import Places, QuickTown, found, run_here
from tests.support.postgres import cluster
from tests.support.private_pcscd import PrivatePcscd


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("town")
    found(directory)
    return directory


@pytest.fixture
async def places(template: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Places]:
    monkeypatch.setattr("deploy.town.run", run_here)
    async with Places(template) as places:
        yield places


@pytest.fixture
async def town(places: Places) -> QuickTown:
    """With central serving; gates are joined by the test."""
    town = places.settle()
    await town.start_central()
    return town


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """A real PC/SC service with a virtual reader; agents started from here on use it."""
    monkeypatch.setenv("PCSCLITE_CSOCK_NAME", os.environ.get("PCSCLITE_CSOCK_NAME", ""))  # put back at the end
    service = PrivatePcscd()
    service.start()
    desk = Desk(service)
    yield desk
    desk.clear()
    service.kill()
    service.close()


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    with cluster() as url:
        yield url
