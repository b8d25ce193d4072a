"""What every test may rely on."""

from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> Iterator[None]:
    """A command that ran in this process may have turned the log down."""
    yield
    structlog.reset_defaults()
