"""The API against its own description, as each role: whatever is sent, the answer is one that the document names."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from central.actions.registry import ACTIONS
from central.keys import Keys
from central.openapi import document
from central.store.database import open_database
from central.store.migrate import migrate_async
from tests.central.actors import NOW_MS
from tests.central.city import City
from tests.central.console.person import console_over

ROLES = ("admin", "auditor", "operator", "coordinator")
EXAMPLES = {"admin": 3, "auditor": 1, "operator": 1, "coordinator": 1}
CHECKS: list[CheckFunction] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


class Served:
    """A console in a thread of its own: the fuzzer asks and waits."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self.address, self.secrets = "", dict[str, str]()

    def __enter__(self) -> "Served":
        self._thread.start()
        assert self._ready.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _serve(self) -> None:
        url = f"sqlite:///{self._directory / 'central.db'}"
        await migrate_async(url)
        keys = Keys.create(self._directory / "keys", None, NOW_MS)
        async with open_database(url) as database:
            city = City(database, keys)
            await city.found()
            await city.add_members(3)
            async with console_over(database, keys, url, self._directory / "data") as console:
                for role in ROLES:
                    await console.account(role, role, venues=("main",), teams=("greeters",))
                    self.secrets[role] = await console.token(role)
                self.address = console.address
                self._ready.set()
                await self._stop.wait()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("fuzzed")) as made:
        yield made


SCHEMA = schemathesis.openapi.from_dict(document(ACTIONS.values()))
OPERATIONS = [found.ok() for found in SCHEMA.get_all_operations()]


@pytest.mark.parametrize("role", ROLES)
def test_whatever_is_sent_the_answer_is_one_that_is_described(served: Served, role: str) -> None:
    headers = {"Authorization": f"Bearer {served.secrets[role]}"}
    assert len(OPERATIONS) > 150
    faults: list[str] = []
    for operation in OPERATIONS:

        @settings(
            max_examples=EXAMPLES[role],
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def tried(case: schemathesis.Case) -> None:
            response = case.call(base_url=f"{served.address}/api/v1", headers=headers)
            case.validate_response(response, checks=CHECKS)

        try:
            tried()
        except BaseException as error:  # a group of failures is no Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            faults.append(f"{operation.path}: {said(error)}")
    assert faults == []


def said(error: BaseException) -> str:
    """What a failure says, with what it holds within."""
    parts = getattr(error, "exceptions", ())
    return " | ".join(map(said, parts)) if parts else " ".join(str(error).split())[:700]
