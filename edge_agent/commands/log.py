"""Where a command's log goes: standard error, one JSON line an entry, never a UID."""

import logging
import sys

import structlog

from edge_agent.support.recent_log import remember


def to_stderr(level: str) -> None:
    """From here on, entries of this level and above."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            remember,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
