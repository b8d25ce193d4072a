"""A database error quotes the row that it was about. No task of the server writes that into its log."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import structlog
from sqlalchemy.exc import IntegrityError

from central import flags, reports
from central.privacy import requiring

PERSON = "A-7714-K"
NOTHING: Any = None


async def fail(*_: Any) -> None:
    raise IntegrityError("INSERT …", {"reference": PERSON}, Exception(f"Key (reference)=({PERSON}) already exists."))


class Broken:
    """A database that every transaction fails in."""

    @contextlib.asynccontextmanager
    async def _transaction(self) -> Any:
        await fail()
        yield

    read = write = _transaction


def noted() -> reports.Reports:
    made = reports.Reports(Broken())  # type: ignore[arg-type]
    made.write = fail  # type: ignore[method-assign]
    return made


TASKS: dict[str, tuple[Any, str, Callable[[], Coroutine[Any, Any, None]]]] = {
    "flags": (flags, "LAPSE_EVERY_S", lambda: flags.lapse_for_ever(Broken(), NOTHING)),  # type: ignore[arg-type]
    "consent": (requiring, "EVERY_S", lambda: requiring.follow_for_ever(Broken(), NOTHING)),  # type: ignore[arg-type]
    "reports": (reports, "WRITE_EVERY_S", lambda: noted().run()),
}


@pytest.mark.parametrize("name", TASKS)
async def test_what_fails_is_said_without_the_row(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module, pause, work = TASKS[name]
    monkeypatch.setattr(module, pause, 0.01)
    before = structlog.get_config()
    structlog.configure(processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()])
    try:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await work()
    finally:
        structlog.configure(**before)
    said = capsys.readouterr().out
    assert "IntegrityError" in said
    assert PERSON not in said
