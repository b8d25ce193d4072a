"""A journal as a file: the same signed uploads that HTTP would carry, for a device that cannot send them."""

from collections.abc import Iterator
from pathlib import Path

from edge_agent.files import sync_directory, sync_file
from edge_agent.identity import Identity
from edge_agent.journal.outbox import Run, next_run_after
from edge_agent.journal.store import Store
from protocol.messages import Upload, encode

FORMAT = "tapgate-journal-1"


def export(store: Store, identity: Identity, path: Path, everything: bool) -> int:
    """Write undelivered events (or all that are kept) as length-prefixed frames. Returns how many events.

    The file appears whole or not at all.
    """
    signer, count = identity.signer(), 0
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        file.write(_frame(encode({"format": FORMAT, "device": identity.device})))
        for run in _runs(store, everything):
            envelope = signer.seal(run.batch(identity.device))
            file.write(_frame(encode(Upload(envelope, tuple(run.personals)))))
            count += len(run.publics)
    sync_file(temporary)
    temporary.replace(path)
    sync_directory(path.parent)
    return count


def _runs(store: Store, everything: bool) -> Iterator[Run]:
    after: tuple[int, int] | None = None
    while (run := next_run_after(store, after, everything)) is not None:
        yield run
        after = (run.epoch_number, run.first + len(run.publics) - 1)


def _frame(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data
