"""What every test may rely on."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")  # a busy machine breaks no promise: speed is measured by `make bench`


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> Iterator[None]:
    """A command that ran in this process may have turned the log down."""
    yield
    structlog.reset_defaults()
