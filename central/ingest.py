"""Decide the custody of a claim: what to keep and what to answer, given what is held (SPEC §6.2, §6.4). Pure: no
I/O, no clock, no SQL. The answer is signed by the caller.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from central.claim import Claim, Evidence
from protocol.envelope import digest
from protocol.journal import genesis, heads, personal_digest
from protocol.messages import Batch, Custody, Event, Exempt, Kind, Personal, Receipt, Resume


class EpochState(NamedTuple):
    """What is held of one epoch, and the predecessor that its statement names (SPEC §6.2)."""

    epoch: bytes
    through: int
    head: bytes
    previous_epoch: bytes = b""
    previous_sequence: int = -1


class Holding(NamedTuple):
    """What is held that a claim can meet: its epoch, the one it names, those that name either."""

    epochs: tuple[EpochState, ...] = ()
    batches: tuple[Batch, ...] = ()
    """Stored ones that touch the claim's sequences; needed only where the claim overlaps (`overlaps`)."""
    revoked: bool = False
    asked: bool = False
    """Event 0 was answered once already by a resume for the epoch that it names."""

    def of(self, device: str, epoch: bytes) -> EpochState:
        """The epoch's state; nothing held is sequence −1 at the genesis head."""
        found = next((state for state in self.epochs if state.epoch == epoch), None)
        return found or EpochState(epoch, -1, genesis(device, epoch))


EventRow = tuple[str, bytes, int, int, str, str, str, str, str, str, int, str, bytes | None, bytes | None]
"""A row of the table `events`, in the order of its columns."""


class Verdict(NamedTuple):
    """What to store and what to answer."""

    answer: Receipt | Resume | None
    """None: the device is revoked, and told so."""
    outcome: str
    """How the batch is stored (accepted, untrusted, forked); empty: not as a batch."""
    taken_first: int
    rows: list[EventRow]
    state: EpochState | None
    """The epoch's new state; None when it did not move."""
    evidence: list[Evidence]


# --- from a claim to a verdict --------------------------------------------------------------------------------


def overlaps(claim: Claim, state: EpochState) -> bool:
    """True when `judge` needs the stored batches that touch the claim."""
    return claim.batch.first <= state.through


def judge(claim: Claim, holding: Holding, now_ms: int) -> Verdict:
    """The table of SPEC §6.4. `now_ms` stands in the answer."""
    batch = claim.batch
    state = holding.of(batch.device, batch.epoch)
    if batch.first > state.through + 1 + batch.lost:
        return _gap(claim, state, holding.revoked, now_ms)
    stored = _stored_heads(holding.batches) if overlaps(claim, state) else {state.through: state.head}
    contradicted = _contradiction(claim, stored)
    if contradicted is not None:
        return _fork(claim, contradicted, holding.revoked, now_ms)
    held = {
        sequence
        for other in holding.batches
        for sequence in range(max(other.first, batch.first), other.first + len(other.events))
    }
    forgotten = _forgotten(claim, state, holding)
    if forgotten is not None and not holding.revoked:
        return _ask_again(claim, forgotten, now_ms)
    rows, exceptions = _sort(claim, holding.revoked)
    if held:
        rows = [row for row in rows if row[2] not in held]
    moved = claim.last > state.through
    return Verdict(
        None if holding.revoked else _receipt(claim, now_ms, exceptions=exceptions),
        "untrusted" if holding.revoked else "accepted",
        rows[0][2] if rows else claim.last + 1,
        rows,
        _advanced(claim, state) if moved else None,
        [*_loss(claim, state), *_copies(claim, state, holding)],
    )


def _gap(claim: Claim, state: EpochState, revoked: bool, now_ms: int) -> Verdict:
    sealed, batch = claim.sealed, claim.batch
    detail = f"epoch {batch.epoch.hex()}: held through {state.through}, sent from {batch.first}"
    body = sealed.body if revoked else sealed.envelope_bytes  # a revoked device will not send it again
    resume = Resume(batch.device, batch.epoch, state.through + 1, state.head, now_ms)
    evidence = Evidence("gap", sealed.digest, detail, body)
    return Verdict(None if revoked else resume, "", 0, [], None, [evidence])


def _forgotten(claim: Claim, state: EpochState, holding: Holding) -> EpochState | None:
    """The epoch that a new one names, where less of it is held than the device knows: central lost a tail (its
    disk was set back), since a device delivers its epochs in order. Asked once: the device may have pruned it."""
    start = claim.start
    if start is None or not start.previous_epoch or state.through >= 0 or holding.asked:
        return None
    before = holding.of(claim.batch.device, start.previous_epoch)
    return before if start.previous_sequence > before.through else None


def _ask_again(claim: Claim, before: EpochState, now_ms: int) -> Verdict:
    detail = f"epoch {claim.batch.epoch.hex()} names {before.epoch.hex()} beyond {before.through}, which is held"
    resume = Resume(claim.batch.device, before.epoch, before.through + 1, before.head, now_ms)
    evidence = Evidence("gap", digest(claim.start_envelope), detail, claim.start_envelope)
    return Verdict(resume, "", 0, [], None, [evidence])


def _fork(claim: Claim, sequence: int, revoked: bool, now_ms: int) -> Verdict:
    """The personal parts are kept with the evidence: after the receipt the device may let go of them."""
    sealed = claim.sealed
    detail = f"epoch {claim.batch.epoch.hex()}: other bytes at sequence {sequence}"
    answer = None if revoked else _receipt(claim, now_ms, fork=True)
    evidence = Evidence("fork", sealed.digest, detail, sealed.body)
    return Verdict(answer, "forked", claim.last + 1, [], None, [evidence])


def _receipt(claim: Claim, now_ms: int, fork: bool = False, exceptions: Iterable[Exempt] = ()) -> Receipt:
    batch = claim.batch
    return Receipt(
        batch.device, batch.epoch, batch.first, claim.last, batch.head, now_ms, fork=fork, exceptions=tuple(exceptions)
    )


def _stored_heads(batches: Iterable[Batch]) -> dict[int, bytes]:
    """The head at each stored sequence, and the one that each stored run stands on."""
    found = {}
    for batch in batches:
        found[batch.first - 1] = batch.previous_head
        found.update(enumerate(heads(batch.previous_head, batch.events), batch.first))
    return found


def _contradiction(claim: Claim, stored: dict[int, bytes]) -> int | None:
    """The lowest sequence at which claim and store have different heads."""
    for sequence, head in enumerate((claim.batch.previous_head, *claim.heads), claim.batch.first - 1):
        if stored.get(sequence, head) != head:
            return sequence
        if len(stored) == 1:  # the common case: a batch that goes on where the last one ended
            return None
    return None


def _advanced(claim: Claim, state: EpochState) -> EpochState:
    state = state._replace(through=claim.last, head=claim.batch.head)
    if claim.start is None:
        return state
    return state._replace(
        previous_epoch=claim.start.previous_epoch, previous_sequence=max(-1, claim.start.previous_sequence)
    )


def _loss(claim: Claim, state: EpochState) -> list[Evidence]:
    first, through = state.through + 1, claim.batch.first - 1
    if first > through:
        return []
    detail = f"epoch {claim.batch.epoch.hex()}: sequences {first} to {through} declared lost"
    return [Evidence("loss", claim.sealed.digest, detail, b"")]


def _copies(claim: Claim, state: EpochState, holding: Holding) -> list[Evidence]:
    """Signs of a copied or restored disk: two successors of one epoch, or a successor that forgot something."""
    found, epoch, start = [], claim.batch.epoch, claim.start
    if start is not None and state.through < 0:
        named = start.previous_epoch
        twins = [s for s in holding.epochs if s.epoch != epoch and s.previous_epoch == named]
        before = next((s for s in holding.epochs if named and s.epoch == named), None)
        said = f"epoch {epoch.hex()} names {named.hex() or 'no epoch'}"
        why = ""
        if twins:
            why = f"{said}, as epoch {twins[0].epoch.hex()} does"
        elif before is not None and start.previous_sequence < before.through:
            why = f"{said} through {start.previous_sequence}, held through {before.through}"
        elif before is not None and start.previous_sequence == before.through and start.previous_head != before.head:
            why = f"{said} with another head at {start.previous_sequence}"
        if why:
            found.append(Evidence("fork", digest(claim.start_envelope), why, claim.start_envelope))
    for successor in holding.epochs:
        if successor.previous_epoch == epoch and state.through <= successor.previous_sequence < claim.last:
            why = (
                f"epoch {epoch.hex()} goes on after {successor.previous_sequence}, where {successor.epoch.hex()} began"
            )
            found.append(Evidence("fork", claim.sealed.digest, why, b""))
    return found


# --- one event at a time --------------------------------------------------------------------------------------

_decode_event = msgspec.msgpack.Decoder(Event).decode
_decode_personal = msgspec.msgpack.Decoder(Personal).decode
_KNOWN = frozenset(kind.value for kind in Kind)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def _sort(claim: Claim, revoked: bool) -> tuple[list[EventRow], list[Exempt]]:
    """A row for each event, and what the receipt says of those that could not simply be accepted."""
    device, epoch = claim.batch.device, claim.batch.epoch
    good = "untrusted" if revoked else "accepted"
    rows: list[EventRow] = []
    exceptions: list[Exempt] = []
    for sequence, (public, personal) in enumerate(
        zip(claim.batch.events, claim.sealed.personal, strict=True), claim.batch.first
    ):
        kept = personal or None
        try:
            event = _decode_event(public)
        except _UNREADABLE as error:
            exceptions.append(Exempt(sequence, Custody.REFUSED, f"does not decode: {error}"[:500]))
            rows.append((device, epoch, sequence, 0, "", "", "", "", "", "", 0, "refused", kept, None))
            continue
        at_ms, gate, kind = event.at_ms, event.gate, event.kind
        direction, decision, reason, rule = event.direction, event.decision, event.reason, event.rule
        outcome = good
        fault = _fault(event, sequence, personal)
        if fault:
            exceptions.append(Exempt(sequence, Custody.REFUSED, fault))
            outcome = "refused"
            gate, kind, direction, decision, reason, rule = (
                text.replace("\0", "") for text in (gate, kind, direction, decision, reason, rule)
            )
        elif kind not in _KNOWN:
            exceptions.append(Exempt(sequence, Custody.HELD, f"kind {kind} is not known here"))
            outcome = good if revoked else "held"
        rows.append(
            (
                device,
                epoch,
                sequence,
                at_ms,
                gate,
                kind,
                direction,
                decision,
                reason,
                rule,
                event.repeat_of,
                outcome,
                kept,
                event.detail or None,
            )
        )
    return rows, exceptions


def _fault(event: Event, sequence: int, personal: bytes) -> str:
    """Why a decoded event must be refused; empty when it need not."""
    if event.sequence != sequence:
        return f"says sequence {event.sequence}"
    if event.personal_digest != personal_digest(personal) and (personal or not event.personal_digest):
        return "the personal part is not the one of its digest"
    if personal:
        try:
            _decode_personal(personal)
        except _UNREADABLE:  # never the error's own text: it may quote what is personal
            return "the personal part does not decode"
    if event.kind == "start" and sequence:
        return "an epoch starts at sequence 0 only"
    if "\0" in f"{event.gate}{event.kind}{event.direction}{event.decision}{event.reason}{event.rule}":
        return "a text holds a zero character"  # which not every database can store
    return ""
