"""A damaged store: noticed, set aside whole, and what can still be read carried over (never erased).

Both halves can be cut short at any point and are taken up again at the next start.
"""

import datetime as dt
from pathlib import Path

import structlog

from edge_agent.files import replace_file, sync_directory
from edge_agent.journal.database import Limits, StoreDamaged
from edge_agent.journal.salvage import carry_over
from edge_agent.journal.store import DATABASE, Store
from protocol.messages import StoreDetail

log = structlog.get_logger(__name__)

WHY = "why.txt"
DONE = "salvaged.txt"
COMPANIONS = ("-wal", "-shm")


def open_store(directory: Path, limits: Limits, wall_ms: int) -> Store:
    """The store, or a new one where it is damaged: `salvage` comes next. Raises as opening does."""
    if not (directory / DATABASE).exists():
        _finish_moving(directory)
    try:
        return Store(directory, limits)
    except StoreDamaged as error:
        why = str(error)
    set_aside(directory, wall_ms, why)
    return Store(directory, limits)


def set_aside(directory: Path, wall_ms: int, why: str) -> None:
    """Move the database and its companions into a folder of their own, with what was found."""
    if not (directory / DATABASE).exists():
        return
    stamp = dt.datetime.fromtimestamp(wall_ms / 1_000, dt.UTC).strftime("%Y%m%dT%H%M%S")
    aside, number = directory / f"damaged-{stamp}", 1
    while aside.exists():
        number += 1
        aside = directory / f"damaged-{stamp}-{number}"
    aside.mkdir(mode=0o700)
    replace_file(aside / WHY, why.encode())
    sync_directory(directory)
    for suffix in ("", *COMPANIONS):
        path = directory / (DATABASE + suffix)
        if path.exists():
            path.rename(aside / path.name)
            sync_directory(directory)
    sync_directory(aside)
    log.error("store-set-aside", folder=aside.name, why=why)


def _finish_moving(directory: Path) -> None:
    """Companions without their database: setting it aside was cut short. A new database must not find them."""
    aside = max((path.parent for path in directory.glob(f"damaged-*/{DATABASE}")), default=None)
    for suffix in COMPANIONS:
        path = directory / (DATABASE + suffix)
        if path.exists() and aside is not None:
            path.rename(aside / path.name)
            sync_directory(directory)


def unsalvaged(directory: Path) -> list[Path]:
    """The folders that have not been read yet, the oldest first."""
    return sorted(path.parent for path in directory.glob(f"damaged-*/{WHY}") if not (path.parent / DONE).exists())


def salvage(aside: Path, store: Store) -> list[StoreDetail]:
    """Carry every row that still proves itself into a fresh store, before its first epoch. Returns what to say of it.

    Raises JournalUnwritable when there is no room yet: then it is done again, which does no harm.
    """
    found = carry_over(aside / DATABASE, store)
    replace_file(aside / DONE, f"{found.events} events\n".encode())
    log.error("store-salvaged", folder=aside.name, events=found.events, missing=len(found.missing))
    why = (aside / WHY).read_text(errors="replace")[:500]
    lost = [StoreDetail("damaged", "events lost", *run) for run in found.missing]
    return [StoreDetail("damaged", why), *lost]
