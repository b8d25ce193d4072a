"""What failed in a transaction: of the data, which is passed over, or of the database's own state, which passes."""

import sqlite3

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

PASSING = frozenset({"08", "25", "40", "53", "55", "57", "58"})
"""Classes of PostgreSQL's errors that say nothing of a row: connections, transactions, resources, operators."""

log = structlog.get_logger()


def is_of_the_data(error: Exception) -> bool:
    """Not of the database's own state: a full disk, a lost connection, a lost race. SQLite says also of a statement
    that it cannot carry out that it is an operational error."""
    cause = getattr(error, "orig", None)
    if getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR:
        return True
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout | OSError):
        return False
    return (getattr(cause, "sqlstate", None) or "")[:2] not in PASSING


def say(event: str, error: Exception, **where: object) -> None:
    """In the log, without what a database's error quotes: a row may be personal."""
    is_ours = not isinstance(error, DBAPIError)
    log.error(event, **where, error=type(error).__name__, exc_info=error if is_ours else None)
