"""What every test may rely on."""

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile("any-machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any-machine")  # a busy machine breaks no promise: speed is measured by `make bench`


def pytest_collection_finish(session: pytest.Session) -> None:
    """Tests that belong together stay on one process, or nobody starts: what pytest-xdist reads to keep them so is not
    pytest's public interface, and a version that moved it scattered them without a word."""
    if session.config.getoption("loadgroup", False):
        apart = [item for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
        if apart:
            pytest.exit(f"{apart[0].nodeid} is not kept with its group: this pytest-xdist and pytest do not match", 3)


@pytest.fixture(autouse=True)
def log_as_at_the_start() -> Iterator[None]:
    """A command that ran in this process may have turned the log down."""
    yield
    structlog.reset_defaults()
