"""What came of one epoch, drawn together into runs; what is missing or odd is a run of its own. Pure."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

LIVE, QUEUED, UNTRUSTED, FORKED, MISSING = "live", "queued", "untrusted", "forked", "missing"


class Came(NamedTuple):
    """One batch. `first`: of the events that it brought anew; `at_ms`: of that and of its last event, 0 = not known."""

    first: int
    through: int
    first_at_ms: int
    last_at_ms: int
    received_ms: int
    outcome: str
    resent: int


class Run(msgspec.Struct, frozen=True):
    """Sequences in a row to which one thing happened. Times are those of the gate; those of a missing run are those of
    its neighbours. `delay_ms`: the longest that one of them waited."""

    kind: str
    first: int
    through: int
    from_ms: int
    until_ms: int
    received_from_ms: int
    received_until_ms: int
    batches: int
    resent: int
    delay_ms: int


def runs(came: Iterable[Came], late_ms: int) -> list[Run]:
    """Of one epoch, by sequence; forked ones stand after those that they contradict."""
    found: list[Run] = []
    forked: list[Run] = []
    for batch in sorted(came, key=lambda each: (each.first, each.received_ms)):
        run = _run(batch, late_ms)
        if run.kind == FORKED:
            forked.append(run)
            continue
        if run.first > run.through:
            continue  # it brought nothing anew
        before = found[-1] if found else None
        if before is not None and run.first > before.through + 1:
            found.append(_missing(before, run))
        elif before is not None and run.kind == before.kind:
            found[-1] = _joined(before, run)
            continue
        found.append(run)
    return found + forked


def _run(batch: Came, late_ms: int) -> Run:
    delay_ms = max(0, batch.received_ms - batch.first_at_ms) if batch.first_at_ms else 0
    kind = batch.outcome if batch.outcome in (UNTRUSTED, FORKED) else QUEUED if delay_ms > late_ms else LIVE
    from_ms = batch.first_at_ms or batch.received_ms
    until_ms = batch.last_at_ms or batch.received_ms
    span = (min(from_ms, until_ms), max(from_ms, until_ms), batch.received_ms, batch.received_ms)
    return Run(kind, batch.first, batch.through, *span, 1, batch.resent, delay_ms)


def _missing(before: Run, after: Run) -> Run:
    span = (before.until_ms, max(before.until_ms, after.from_ms), after.received_from_ms, after.received_from_ms)
    return Run(MISSING, before.through + 1, after.first - 1, *span, 0, 0, 0)


def _joined(run: Run, more: Run) -> Run:
    return Run(
        *(run.kind, run.first, more.through),
        *(min(run.from_ms, more.from_ms), max(run.until_ms, more.until_ms)),
        min(run.received_from_ms, more.received_from_ms),
        max(run.received_until_ms, more.received_until_ms),
        *(run.batches + more.batches, run.resent + more.resent, max(run.delay_ms, more.delay_ms)),
    )


def missing(found: Sequence[Run]) -> int:
    """How many sequences never came."""
    return sum(run.through + 1 - run.first for run in found if run.kind == MISSING)
