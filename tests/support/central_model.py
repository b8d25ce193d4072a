"""Central in memory, judging as the real one does: its tables are a model, the line to it loses and repeats."""

from typing import Any

from central.claim import read_upload, verify
from central.ingest import EpochState, Holding, judge, overlaps
from edge_agent.uplink import NetworkFailure
from protocol.envelope import Keyring, digest, open_as
from protocol.messages import Batch, EpochHeld, Holdings, Inventory, Poll
from tests.support.central_side import DEVICE, CentralSide
from tests.support.line import Line

Name = tuple[bytes, int]
"""Epoch and sequence of an event."""


class Custody:
    """Central's tables. Every entry is made as `central.custody` makes it."""

    def __init__(self) -> None:
        self.states: dict[bytes, EpochState] = {}
        self.batches: list[tuple[bytes, Batch, str]] = []
        self.receipts: dict[tuple[bytes, int, bytes], bytes] = {}
        self.events: dict[Name, bytes] = {}
        self.asked: set[bytes] = set()

    def take(self, side: CentralSide, body: bytes, now_ms: int) -> list[bytes]:
        claim = verify(read_upload(body), Keyring.of(side.device_signer.public))
        batch = claim.batch
        name = (batch.epoch, batch.first, claim.sealed.digest)
        if name in self.receipts:
            return [self.receipts[name]]
        verdict = judge(claim, self._holding(claim), now_ms)
        assert verdict.answer is not None
        answer = side.receipts.seal(verdict.answer)
        assert verdict.outcome != "forked", "nobody else speaks in this device's name"
        self.asked |= {found.digest for found in verdict.evidence if found.kind == "gap"}
        if verdict.outcome:
            self.receipts[name] = answer
            self.batches.append((batch.epoch, batch, verdict.outcome))
            if verdict.state is not None:
                self.states[batch.epoch] = verdict.state
            for row in verdict.rows:
                identity = (row[1], row[2])
                assert identity not in self.events, "counted twice"
                self.events[identity] = batch.events[row[2] - batch.first]
        return [answer]

    def _holding(self, claim: Any) -> Holding:
        batch = claim.batch
        about = {batch.epoch} | ({claim.start.previous_epoch} if claim.start else set())
        states = tuple(s for s in self.states.values() if s.epoch in about or s.previous_epoch in about)
        asked = claim.start is not None and digest(claim.start_envelope) in self.asked
        holding = Holding(states, asked=asked)
        if overlaps(claim, holding.of(batch.device, batch.epoch)):
            touching = [
                other
                for epoch, other, _ in self.batches
                if epoch == batch.epoch
                and other.first <= claim.last
                and other.first + len(other.events) - 1 >= batch.first - 1
            ]
            holding = holding._replace(batches=tuple(sorted(touching, key=lambda other: other.first)))
        return holding

    def through(self, epoch: bytes) -> int:
        return self.states[epoch].through if epoch in self.states else -1


class Side(CentralSide):
    """Publishes from memory and judges uploads as central does."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.custody = Custody()

    def take(self, body: bytes) -> list[bytes]:
        return self.custody.take(self, body, self.now_ms)

    def holdings(self, body: bytes) -> list[bytes]:
        asked = open_as(Inventory, body, Keyring.of(self.device_signer.public))
        found = tuple(EpochHeld(each.epoch, self.custody.through(each.epoch)) for each in asked.epochs)
        return [self.receipts.seal(Holdings(DEVICE, self.generation, found, asked.nonce, self.now_ms))]

    def answer(self, poll: Poll) -> list[bytes]:
        changed = (self.parts(), self.generation) != (self.manifest.parts, self.manifest.generation)
        if changed or (poll.manifest != self.number and self.manifest.at_ms < self.now_ms - 60_000):
            self.publish()
        return super().answer(poll)


class FaultyLine(Line):
    """Loses requests and answers, delivers twice, and answers with what belongs to an earlier question."""

    def __init__(self, central: CentralSide) -> None:
        super().__init__(central)
        self.fault = ""
        self.earlier: dict[str, list[tuple[bytes, ...]]] = {}

    async def send(self, path: str, body: bytes, timeout_s: float = 30) -> tuple[bytes, ...]:
        fault, self.fault = self.fault, ""
        if fault == "request lost":
            raise NetworkFailure(fault)
        found = await super().send(path, body)
        if fault == "twice":
            found = await super().send(path, body)
        earlier = self.earlier.setdefault(path, [])
        earlier.append(found)
        del earlier[:-5]
        if fault == "answer lost":
            raise NetworkFailure(fault)
        return earlier[0] if fault == "out of order" else found
