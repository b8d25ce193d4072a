"""Check a proof, step by step, so that a person can follow (SPEC §11.2). Pure."""

import datetime as dt
from collections.abc import Callable
from typing import TypeVar

from protocol.envelope import Keyring, key_id, open_as, unwrap
from protocol.errors import Refused
from protocol.journal import genesis, heads, personal_digest
from protocol.messages import (
    Batch,
    Custody,
    Enrolled,
    EpochStart,
    Event,
    KeyStatement,
    Kind,
    Receipt,
    Revoked,
    Role,
    decode,
)
from protocol.proof import Check, Checked, Finding, Proof, Step

K = TypeVar("K")
M = TypeVar("M", Enrolled, Receipt, Revoked)


def check_file(data: bytes, root_public: bytes | None = None) -> Checked:
    """Checks a file. `root_public`: the root that the reader trusts; without it the file's own is only shown."""
    try:
        proof = decode(Proof, data)
    except Refused as refused:
        form = Check(Step.FORM, Finding.FAILS, "The file is no proof, or is damaged: {why}.", {"why": str(refused)})
        return Checked((form, *(_unchecked(step) for step in Step if step is not Step.FORM)))
    return check_proof(proof, root_public)


def check_proof(proof: Proof, root_public: bytes | None = None) -> Checked:
    """The same for one that is decoded already."""
    return _Checking(proof, root_public).all()


def _unchecked(step: Step) -> Check:
    return Check(step, Finding.NOT_CHECKED, "Not checked: it needs what was not found above.", {})


class _Fails(Exception):
    """A step found something wrong."""

    def __init__(self, text: str, **values: object) -> None:
        super().__init__(text)
        self.text, self.values = text, {name: str(value) for name, value in values.items()}


class _Unfounded(Exception):
    """A step needs what another did not find."""


Said = tuple[str, dict[str, str]]


def _said(text: str, **values: object) -> Said:
    return text, {name: str(value) for name, value in values.items()}


class _Checking:
    """One proof being checked. What a step finds stands here for those that need it."""

    def __init__(self, proof: Proof, root_public: bytes | None) -> None:
        self._proof, self._root = proof, root_public
        self._statement: KeyStatement | None = None
        self._enrolled: Enrolled | None = None
        self._batch: Batch | None = None
        self._event: Event | None = None
        self._receipt: Receipt | None = None

    def all(self) -> Checked:
        steps: dict[Step, Callable[[], Said]] = {
            Step.FORM: self._form,
            Step.ROOT: self._trusted,
            Step.KEYS: self._keys,
            Step.DEVICE: self._device,
            Step.BATCH: self._signed,
            Step.CHAIN: self._chain,
            Step.EVENT: self._placed,
            Step.PERSONAL: self._personal,
            Step.RECEIPT: self._receipted,
            Step.CUSTODY: self._custody,
        }
        checks = tuple(_one(step, run) for step, run in steps.items())
        return Checked(checks, self._proof, self._batch, self._event, self._receipt)

    def _form(self) -> Said:
        return _said("The file is whole and of the kind {type}.", type=self._proof.type)

    def _trusted(self) -> Said:
        named = self._proof.root_public.hex()
        if self._root is None:
            return _said("The file goes by the root {root}: compare it with the one that you trust.", root=named)
        if self._root != self._proof.root_public:
            raise _Fails("The file goes by the root {root}, not by {yours}.", root=named, yours=self._root.hex())
        return _said("The file goes by the root that is trusted here, {root}.", root=named)

    def _keys(self) -> Said:
        try:
            ring = Keyring.of(self._proof.root_public)
        except ValueError:
            raise _Fails("The root is no Ed25519 key.") from None
        self._statement = _opened(KeyStatement, self._proof.keys, ring, None, "The key statement")
        return _said("The root signed key statement {number}.", number=self._statement.number)

    def _device(self) -> Said:
        enrolled = self._by_central(Enrolled, self._proof.enrolled, Role.PUBLISH, "The enrolment of the device")
        self._enrolled = enrolled
        key = key_id(enrolled.signing_public).hex()
        return _said("Central enrolled device {device} with key {key}.", device=enrolled.device, key=key)

    def _signed(self) -> Said:
        if self._enrolled is None:
            raise _Unfounded
        try:
            ring = Keyring.of(self._enrolled.signing_public)
        except ValueError:
            raise _Fails("The key of the device is no Ed25519 key.") from None
        batch = _opened(Batch, self._proof.batch, ring, None, "The batch")
        if batch.device != self._enrolled.device:
            raise _Fails("The batch is of {device}, not of {other}.", device=batch.device, other=self._enrolled.device)
        self._batch = batch
        last = batch.first + len(batch.events) - 1
        values = {"device": batch.device, "epoch": batch.epoch.hex(), "first": batch.first, "through": last}
        return _said("Device {device} signed the batch of epoch {epoch}, events {first} to {through}.", **values)

    def _chain(self) -> Said:
        batch = self._needed_batch()
        if heads(batch.previous_head, batch.events)[-1] != batch.head:
            raise _Fails("The events of the batch do not lead to the head that was signed.")
        if batch.first == 0:
            self._epoch(batch)
            return _said(
                "The chain leads from the signed beginning of the epoch to head {head}.", head=batch.head.hex()
            )
        return _said(
            "The chain leads from head {before} to head {head}.",
            before=batch.previous_head.hex(),
            head=batch.head.hex(),
        )

    def _epoch(self, batch: Batch) -> None:
        assert self._enrolled is not None
        if batch.previous_head != genesis(batch.device, batch.epoch):
            raise _Fails("Event 0 does not stand on the beginning of its epoch.")
        try:
            event = decode(Event, batch.events[0])
            start = open_as(EpochStart, event.detail, Keyring.of(self._enrolled.signing_public))
        except Refused as refused:
            raise _Fails("Event 0 is no signed statement of its epoch ({why}).", why=refused) from None
        if (event.kind, start.device, start.epoch) != (Kind.START, batch.device, batch.epoch):
            raise _Fails("Event 0 states another epoch.")

    def _placed(self) -> Said:
        batch, sequence = self._needed_batch(), self._proof.sequence
        if not batch.first <= sequence < batch.first + len(batch.events):
            raise _Fails("The batch holds no event {sequence}.", sequence=sequence)
        if batch.events[sequence - batch.first] != self._proof.public:
            raise _Fails("The batch holds other bytes at {sequence} than this event's.", sequence=sequence)
        try:
            self._event = decode(Event, self._proof.public)
        except Refused as refused:
            raise _Fails("The bytes at {sequence} are no event ({why}).", sequence=sequence, why=refused) from None
        if self._event.sequence != sequence:
            raise _Fails(
                "The event at {sequence} says that it is {said}.", sequence=sequence, said=self._event.sequence
            )
        name = f"{batch.device}/{batch.epoch.hex()}/{sequence}"
        return _said("Event {name} stands in the batch in these very bytes.", name=name)

    def _personal(self) -> Said:
        if self._event is None:
            raise _Unfounded
        signed, personal = self._event.personal_digest, self._proof.personal
        if personal and personal_digest(personal) != signed:
            raise _Fails("The personal part is not the one that was signed.")
        if personal:
            return _said("The personal part has the digest that was signed, {digest}.", digest=signed.hex())
        if signed:
            return _said("The personal part was left out; its digest is {digest}.", digest=signed.hex())
        return _said("The event has no personal part.")

    def _receipted(self) -> Said:
        batch = self._needed_batch()
        if not self._proof.receipt:
            raise _Fails("There is no receipt: central signed none for this batch.")
        receipt = self._by_central(Receipt, self._proof.receipt, Role.RECEIPT, "The receipt")
        said = (receipt.device, receipt.epoch, receipt.first, receipt.through, receipt.head)
        if said != (batch.device, batch.epoch, batch.first, batch.first + len(batch.events) - 1, batch.head):
            raise _Fails("The receipt is of other events.")
        self._receipt = receipt
        return _said("Central signed a receipt for these events, at {at}.", at=_utc(receipt.at_ms))

    def _custody(self) -> Said:
        if self._proof.revoked:
            revoked = self._by_central(Revoked, self._proof.revoked, Role.PUBLISH, "The revocation")
            raise _Fails(
                "Untrusted: central revoked device {device} at {at} and had this event only later.",
                device=revoked.device,
                at=_utc(revoked.at_ms),
            )
        if self._receipt is None:
            raise _Unfounded
        if self._receipt.fork:
            raise _Fails("Forked: these events contradict others of the same names and are kept as evidence only.")
        for exempt in self._receipt.exceptions:
            if exempt.sequence != self._proof.sequence:
                continue
            if exempt.custody is Custody.REFUSED:
                raise _Fails("Refused by central: {why}.", why=exempt.reason)
            return _said("In custody, held: {why}.", why=exempt.reason)
        return _said("In custody, accepted.")

    def _needed_batch(self) -> Batch:
        if self._batch is None:
            raise _Unfounded
        return self._batch

    def _by_central(self, kind: type[M], data: bytes, role: Role, what: str) -> M:
        """A message by a key that was in force when the message says that it was signed."""
        if self._statement is None:
            raise _Unfounded
        try:
            ring = Keyring.stated(self._statement, decode(kind, unwrap(data).payload).at_ms)
        except (Refused, ValueError) as error:
            raise _Fails(what + " cannot be read ({why}).", why=error) from None
        message = _opened(kind, data, ring, role, what)
        if self._batch is not None and message.device != self._batch.device:
            raise _Fails(what + " is of another device, {device}.", device=message.device)
        return message


def _utc(at_ms: int) -> str:
    return f"{dt.datetime.fromtimestamp(at_ms // 1_000, dt.UTC):%Y-%m-%dT%H:%M:%SZ}"


def _one(step: Step, run: Callable[[], Said]) -> Check:
    try:
        return Check(step, Finding.HOLDS, *run())
    except _Fails as fails:
        return Check(step, Finding.FAILS, fails.text, fails.values)
    except _Unfounded:
        return _unchecked(step)


def _opened(kind: type[K], data: bytes, ring: Keyring, role: Role | None, what: str) -> K:
    try:
        return open_as(kind, data, ring, role)
    except Refused as refused:
        raise _Fails(what + " does not hold ({why}).", why=refused) from None
