"""An auditor that trusts nobody's word: it knows what was released and what was receipted, and looks the rest up.

It reads the files of agent and central by itself (SQL and `protocol`, none of their code), so that a fault in how
they read their own stores cannot hide what it did to them. Everything returns a list of findings; empty is good.
"""

import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import msgspec

from protocol.envelope import Keyring, open_as, unwrap
from protocol.errors import Refused
from protocol.events import Batch, Event, Receipt
from protocol.journal import extend, genesis
from protocol.wire import decode

SEQUENCE_BITS = 40
NOTHING_FREED = {"bind-taken": "bind", "consent-taken": "consent"}
"""Reasons by which the door is told and frees nothing, and the kind of their events."""
Name = tuple[str, int]
"""An event's name within a device: epoch in hex, sequence."""


class Released(NamedTuple):
    """One line of a dry release: what a door was told, and for which event."""

    epoch: str
    sequence: int
    outcome: str
    reason: str

    @property
    def name(self) -> Name:
        return self.epoch, self.sequence


class Journal(NamedTuple):
    """An agent's own record, as it lies on its disk."""

    publics: dict[Name, bytes]
    delivered: dict[str, int]
    receipts: list[bytes]
    findings: list[str]


class Custody(NamedTuple):
    """What central holds of one device."""

    publics: dict[Name, bytes]
    heads: dict[Name, bytes]
    findings: list[str]


def released(path: Path | bytes) -> list[Released]:
    """The lines of a dry release, the ones that stand for an event."""
    data = path if isinstance(path, bytes) else path.read_bytes() if path.exists() else b""
    lines = [line.split(" ") for line in data.decode().splitlines()]
    return [Released(line[0], int(line[1]), line[2], line[3]) for line in lines if int(line[1]) >= 0]


def read_journal(directory: Path, device: str) -> Journal:
    """The agent's database in `directory`, with every break of its chain as a finding."""
    findings: list[str] = []
    publics: dict[Name, bytes] = {}
    db = sqlite3.connect(f"file:{directory / 'agent.db'}?mode=ro", uri=True)
    try:
        findings += [f"journal: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        epochs = {number: (epoch.hex(), stored) for number, epoch, stored in db.execute("SELECT * FROM epochs")}
        head, last = b"", -1
        for id_, public, previous in db.execute("SELECT id, public, previous FROM events ORDER BY id"):
            number, sequence = id_ >> SEQUENCE_BITS, id_ & ((1 << SEQUENCE_BITS) - 1)
            epoch = epochs[number][0]
            expected = genesis(device, bytes.fromhex(epoch)) if sequence == 0 else head if id_ == last + 1 else previous
            if previous != expected:
                findings.append(f"journal: the chain breaks before {epoch} {sequence}")
            if msgspec.msgpack.decode(public, type=Event).sequence != sequence:
                findings.append(f"journal: {epoch} {sequence} says it is another sequence")
            publics[epoch, sequence] = public
            head, last = extend(previous, public), id_
        delivered = {epoch: int.from_bytes(stored[:8], signed=True) for epoch, stored in epochs.values()}
        receipts = [row[0] for row in db.execute("SELECT envelope FROM receipts ORDER BY epoch, first")]
    finally:
        db.close()
    return Journal(publics, delivered, receipts, findings)


def read_custody(database: Path, device: str) -> Custody:
    """What central's SQLite file holds of `device`: row against batch, batch against chain."""
    findings: list[str] = []
    publics: dict[Name, bytes] = {}
    heads: dict[Name, bytes] = {}
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        findings += [f"central: {row[0]}" for row in db.execute("PRAGMA integrity_check") if row[0] != "ok"]
        stored = db.execute(
            "SELECT envelope, taken_first FROM batches WHERE device = ? AND outcome != 'forked' ORDER BY epoch, first",
            (device,),
        )
        for envelope, taken_first in stored:
            batch = decode(Batch, unwrap(envelope).payload)
            head, epoch = batch.previous_head, batch.epoch.hex()
            for sequence, public in enumerate(batch.events, batch.first):
                head = extend(head, public)
                if sequence < taken_first:
                    continue
                if (epoch, sequence) in publics:
                    findings.append(f"central: {epoch} {sequence} is in custody twice")
                publics[epoch, sequence] = public
                heads[epoch, sequence] = head
        for (epoch, sequence), public in publics.items():
            start = genesis(device, bytes.fromhex(epoch))
            before = heads.get((epoch, sequence - 1)) if sequence else start
            if before is not None and extend(before, public) != heads[epoch, sequence]:
                findings.append(f"central: the chain breaks before {epoch} {sequence}")
        for epoch_bytes, through, head in db.execute(
            "SELECT epoch, through, head FROM epochs WHERE device = ?", (device,)
        ):
            if heads.get((epoch_bytes.hex(), through)) != head:
                findings.append(f"central: the head of {epoch_bytes.hex()} is not that of its event {through}")
        rows = Counter(
            (epoch.hex(), sequence)
            for epoch, sequence in db.execute("SELECT epoch, sequence FROM events WHERE device = ?", (device,))
        )
        findings += [f"central: {name} is counted {times} times" for name, times in rows.items() if times != 1]
        findings += [f"central: {name} is in a batch but not counted" for name in publics.keys() - rows.keys()]
        findings += [f"central: {name} is counted but in no batch" for name in rows.keys() - publics.keys()]
    finally:
        db.close()
    return Custody(publics, heads, findings)


def audit_released(seen: Iterable[Released], journal: Mapping[Name, bytes], custody: Mapping[Name, bytes]) -> list[str]:
    """Everything released is written down, with the outcome that the door was told, and was released once."""
    findings, times = [], Counter(line.name for line in seen)
    findings += [f"{name} was released {count} times" for name, count in times.items() if count > 1]
    for line in seen:
        public = journal.get(line.name) or custody.get(line.name)
        if public is None:
            findings.append(f"{line.name} was released ({line.outcome}) and is neither in the journal nor at central")
            continue
        event = msgspec.msgpack.decode(public, type=Event)
        kind = NOTHING_FREED.get(line.reason, "tap")
        if (event.kind, event.decision, event.reason) != (kind, line.outcome, line.reason):
            findings.append(f"{line.name} was released as {line.outcome}, written down as {event.decision}")
    return findings


def audit_receipts(journal: Journal, custody: Custody, ring: Keyring, device: str) -> list[str]:
    """Every receipt that the agent holds is signed, and central has what it says; nothing is taken as delivered
    without one; both sides hold the same bytes."""
    findings = []
    for envelope in journal.receipts:
        try:
            receipt = open_as(Receipt, envelope, ring)
        except Refused as error:
            findings.append(f"a receipt in the journal does not open: {error}")
            continue
        epoch = receipt.epoch.hex()
        missing = [s for s in range(receipt.first, receipt.through + 1) if (epoch, s) not in custody.publics]
        if receipt.device != device or missing:
            findings.append(f"central signed for {epoch} {receipt.first}-{receipt.through} and lacks {missing[:5]}")
        elif not receipt.fork and custody.heads[epoch, receipt.through] != receipt.head:
            findings.append(f"central signed another head than it holds at {epoch} {receipt.through}")
    for epoch, through in journal.delivered.items():
        missing = [s for s in range(through + 1) if (epoch, s) not in custody.publics]
        if missing:
            findings.append(f"{epoch} counts as delivered through {through}, central lacks {missing[:5]}")
    for name, public in journal.publics.items():
        if custody.publics.get(name, public) != public:
            findings.append(f"{name} is one thing in the journal and another at central")
    return findings


def audit(seen: Iterable[Released], agent: Path, central: Path, ring: Keyring, device: str) -> list[str]:
    """All of the above, of one device, while nobody writes."""
    journal, custody = read_journal(agent, device), read_custody(central, device)
    return [
        *journal.findings,
        *custody.findings,
        *audit_released(list(seen), journal.publics, custody.publics),
        *audit_receipts(journal, custody, ring, device),
    ]
