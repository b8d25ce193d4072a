"""The planted faults, each a small edit that a tired engineer could make."""

from tests.planted.fault import Edit, Fault
from tests.planted.judging import JUDGING
from tests.planted.libraries import LIBRARIES
from tests.planted.privacy import PRIVACY, TOLD
from tests.planted.settling import SETTLING

TAP = "tests/edge_agent/test_order_of_a_tap.py"
PASSAGE = "tests/edge_agent/test_gate_passage.py"
HISTORY = "tests/edge_agent/test_passage_and_history.py"
STATES = "tests/edge_agent/test_state_feed.py"
DELIVERED = "tests/edge_agent/test_what_counts_as_delivered.py"
FLOORS = "tests/edge_agent/test_lists_and_their_floors.py"
COMMITTED = "tests/central/test_answer_after_commit.py"
AS_SIGNED = "tests/protocol/test_as_signed.py"
VECTORS = "tests/protocol/test_vectors.py"
CUSTODY = "tests/central/test_custody.py"
STATEMENTS = "tests/central/privacy/test_kiosk_consent.py"
CONSENTING = "tests/edge_agent/test_consenting.py"
CARDS = "tests/central/test_card_import.py"
POWER = "tests/faults/test_power_cut.py::test_no_power_cut_takes_from"
POWER_AGENT = f"{POWER}_the_agent_what_was_released_receipted_or_published"
POWER_CENTRAL = f"{POWER}_central_what_it_has_receipted"

CENTRAL = (
    Fault(
        "acknowledge-before-commit",
        "A device lets go of events that central's disk never got.",
        "central/custody.py",
        (
            Edit(
                """\
                taken = await self._database.write_steps(self._take(claim, now_ms))
""",
                """\
                answered = asyncio.get_running_loop().create_future()
                steps = _answering(self._take(claim, now_ms), answered)
                self._storing = asyncio.create_task(self._database.write_steps(steps))
                taken = await answered
""",
            ),
            Edit(
                """\
class Custodian:
""",
                '''\
def _answering(steps, answered):
    """The device need not wait for the disk."""
    taken = yield from steps
    answered.get_loop().call_soon_threadsafe(answered.set_result, taken)
    return taken


class Custodian:
''',
            ),
            Edit(
                """\
from typing import NamedTuple
""",
                """\
import asyncio
from typing import NamedTuple
""",
            ),
        ),
        (COMMITTED,),
    ),
    Fault(
        "central-synchronous-normal",
        "A power cut takes back commits for which receipts were given.",
        "central/store/database.py",
        (Edit('"synchronous=FULL"', '"synchronous=NORMAL"'),),
        (POWER_CENTRAL,),
    ),
    Fault(
        "central-drops-events-close-in-time",
        "Two people who pass behind each other count as one; what was receipted is missing.",
        "central/ingest.py",
        (
            Edit(
                """\
    moved = claim.last > state.through
""",
                """\
    rows = [row for at, row in enumerate(rows) if not at or row[3] - rows[at - 1][3] >= 500 or row[2] < 2]
    moved = claim.last > state.through
""",
            ),
        ),
        ("tests/central/test_ingest.py",),
    ),
    Fault(
        "batch-verified-over-a-reencoding",
        "What is kept as proof is not what the device signed, and devices of another version cannot deliver.",
        "central/claim.py",
        (
            Edit(
                """\
    ring.check(sealed.envelope, None)
""",
                """\
    ring.check(msgspec.structs.replace(sealed.envelope, payload=encode(sealed.batch)), None)
""",
            ),
            Edit(
                "from protocol.messages import MAX_PERSONAL_BYTES,",
                "import msgspec\nfrom protocol.messages import encode, MAX_PERSONAL_BYTES,",
            ),
        ),
        ("tests/central/test_batch_as_signed.py",),
    ),
    Fault(
        "revoked-device-counts-as-good",
        "Whoever stole a device writes the town's statistics.",
        "central/ingest.py",
        (Edit('good = "untrusted" if revoked else "accepted"', 'good = "accepted"'),),
        (f"{CUSTODY}::test_revocation_counts_from_what_was_held",),
    ),
    Fault(
        "resend-gets-another-receipt",
        "Two signed answers to one batch: neither proves anything any more.",
        "central/custody.py",
        (
            Edit(
                'return Taken(self._revoked(device) if device.revoked else resent, "resent", 0)',
                """\
answer = self._keys.receipt.seal(
                Receipt(
                    device.id, claim.batch.epoch, claim.batch.first, claim.last, claim.batch.head, now_ms
                )
            )
            return Taken(self._revoked(device) if device.revoked else answer, "resent", 0)""",
            ),
            Edit("Outcome, Resume, decode", "Outcome, Receipt, Resume, decode"),
        ),
        (f"{CUSTODY}::test_the_same_batch_gets_the_same_receipt",),
    ),
    Fault(
        "late-statement-holds",
        "Who took a consent back at a counter gives it again by an older tap at a kiosk that was apart.",
        "central/actions/privacy/kiosk_settling.py",
        (Edit("if newest is not None and said_ms < newest:", "if newest is None and said_ms < 0:"),),
        (f"{STATEMENTS}::test_what_comes_late_does_not_undo_what_was_said_since_at_a_counter",),
    ),
    Fault(
        "tap-gives-what-needs-writing",
        "A found card gives a disability away.",
        "central/privacy/at_kiosks.py",
        (Edit("if purpose.written and detail.said is Said.GIVEN:", "if not purpose and detail.said is Said.GIVEN:"),),
        (f"{STATEMENTS}::test_what_cannot_be_taken_is_kept_and_told",),
    ),
    Fault(
        "import-last-write-wins",
        "A card opens doors in the name of whoever stands last in the file.",
        "central/actions/cards/import_plan.py",
        (
            Edit(
                """\
        why = f"this UID is bound to member {card.reference!r} already, the row names {row.member!r}"
        return Planned(row, RowVerdict(row.number, Verdict.COLLISION, why))
""",
                """\
        card = None  # it has changed hands
""",
            ),
            Edit("INSERT INTO", "INSERT OR REPLACE INTO", "central/actions/cards/import_store.py"),
        ),
        (f"{CARDS}::test_a_uid_is_never_taken_from_another_member",),
    ),
    Fault(
        "import-takes-random-uids",
        "Telephones that invent a number at every tap are enrolled, and one of them becomes somebody else.",
        "central/actions/cards/import_plan.py",
        (
            Edit(
                """\
        problem = judge(uid.raw)
""",
                """\
        problem = judge(uid.raw) if self._notation is None else None
""",
            ),
        ),
        (f"{CARDS}::test_a_refused_row_says_why_and_where",),
    ),
)

PROTOCOL = (
    Fault(
        "signature-over-a-reencoding",
        "Bytes that nobody signed pass as signed, and signed ones of another version do not.",
        "protocol/envelope.py",
        (
            Edit(
                """\
    ring.check(envelope, role)
    return decode(message, envelope.payload)
""",
                """\
    opened = decode(message, envelope.payload)
    ring.check(msgspec.structs.replace(envelope, payload=encode(opened)), role)
    return opened
""",
            ),
        ),
        (AS_SIGNED,),
    ),
    Fault(
        "token-without-length",
        "A 4-byte card and the beginning of a 7-byte one are told apart by luck, and no other implementation agrees.",
        "protocol/token.py",
        (Edit("bytes([len(uid.raw)]) + uid.raw", "uid.raw"),),
        (VECTORS,),
    ),
    Fault(
        "lower-manifest-accepted",
        "Yesterday's list, played back, lets blocked cards in.",
        "protocol/allowlist.py",
        (
            Edit(
                "(offered.number < held.number or (offered.number == held.number and offered != held))",
                "offered.number == held.number and offered != held",
            ),
        ),
        (VECTORS,),
    ),
)

EDGE = (
    Fault(
        "release-before-commit",
        "Somebody is in, and no disk knows.",
        "edge_agent/gate.py",
        (
            Edit(
                """\
            signal, last, repeats = self.store.commit(
                lambda transaction: self._write(transaction, holding, known, tap, read.reader)
            )
""",
                """\
            def work(transaction: Transaction) -> tuple[Signal, LastTap | None, LastTap | None]:
                signal, last, repeats = self._write(transaction, holding, known, tap, read.reader)
                self._signal(signal)  # the citizen waits, the disk is slow
                return signal, last, repeats

            signal, last, repeats = self.store.commit(work)
""",
            ),
            Edit(
                """\
                signal = msgspec.structs.replace(self._unwritten(holding.direction, error), reader=read.reader)
""",
                """\
                signal = msgspec.structs.replace(self._unwritten(holding.direction, error), reader=read.reader)
                self._signal(signal)
""",
            ),
            Edit(
                """\
        if not self._signal(signal):
""",
                """\
        if signal.reason == Reason.STAFF_ADMITTED and not self._signal(signal):
""",
            ),
        ),
        (TAP,),
    ),
    Fault(
        "synchronous-normal",
        "A power cut takes back taps that the door was already opened for.",
        "edge_agent/journal/database.py",
        (Edit("PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"),),
        (POWER_AGENT,),
    ),
    Fault(
        "list-synchronous-normal",
        "A power cut takes back a block that was in force.",
        "edge_agent/published/lists.py",
        (Edit("PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"),),
        (POWER_AGENT,),
    ),
    Fault(
        "edge-drops-a-second-tap",
        "A tap is answered and never written down, so nobody can say how many there were.",
        "edge_agent/gate.py",
        (
            Edit(
                """\
        decision = decide(holding.policy, known.entry, history, tap)
""",
                """\
        last = history.last if history is not None else None
        if last is not None and 0 <= tap.monotonic_ms - last.monotonic_ms < 1_000:
            outcome, reason = last.decision, last.reason
            return Signal(last.epoch, last.sequence, outcome, reason, tap.direction, True), last, last
        decision = decide(holding.policy, known.entry, history, tap)
""",
            ),
        ),
        (TAP,),
    ),
    Fault(
        "history-outside-the-transaction",
        "Two readers let the same ticket in twice: to both it is the first time.",
        "edge_agent/gate.py",
        (
            Edit(
                """\
        with self._one_at_a_time:
            holding = self.holding
""",
                """\
        with contextlib.nullcontext():  # the store takes one transaction at a time by itself
            holding = self.holding
""",
            ),
            Edit(
                """\
        with self.granted.lock:
            signal, last, repeats = self.store.commit(
                lambda transaction: self._write(transaction, holding, known, tap, read.reader)
            )
""",
                """\
        with self.store.reading() as connection:
            earlier = Transaction(connection, self.store.epoch, 0, b"")
            history = earlier.history(known.key) if known.key else None
        with self.granted.lock:
            signal, last, repeats = self.store.commit(
                lambda t: self._write(t, holding, known, tap, read.reader, history)
            )
""",
            ),
            Edit(
                """\
        self, transaction: Transaction, holding: Holding, known: Known, tap: Tap, reader: str
    ) ->""",
                """\
        self, transaction: Transaction, holding: Holding, known: Known, tap: Tap, reader: str, history: object
    ) ->""",
            ),
            Edit(
                """\
        history = transaction.history(known.key) if known.key else None
""",
                "",
            ),
        ),
        (TAP,),
    ),
    Fault(
        "random-uid-granted",
        "A telephone that invented a number on the list walks in as somebody.",
        "edge_agent/gate.py",
        (
            Edit(
                """\
        known = Known() if problem else self._recognise(holding, read)
""",
                """\
        known = self._recognise(holding, read) if len(read.raw) in (4, 7, 10) else Known()
        problem = None if known.entry else problem  # somebody enrolled it
""",
            ),
        ),
        (TAP,),
    ),
    Fault(
        "statement-opens-the-door",
        "Who is on no rule gets in by agreeing to something.",
        "edge_agent/consenting.py",
        (Edit("frees=not is_taken, reader=reader", "frees=True, reader=reader"),),
        (CONSENTING,),
    ),
    Fault(
        "statement-waits-for-ever",
        "The next person's tap, an hour later, is another one's statement in their name.",
        "edge_agent/consenting.py",
        (Edit("return waiting if waiting is not None and now_ms < waiting.until_ms else None", "return waiting"),),
        (CONSENTING,),
    ),
    Fault(
        "locked-in-when-unwritable",
        "A full disk keeps people inside.",
        "edge_agent/gate.py",
        (
            Edit(
                "outcome = Outcome.GRANTED if direction is Direction.OUT else Outcome.DENIED",
                "outcome = Outcome.DENIED",
            ),
        ),
        (TAP,),
    ),
    Fault(
        "let-in-when-unwritable",
        "A full disk opens the door to everybody, unrecorded.",
        "edge_agent/gate.py",
        (
            Edit(
                "outcome = Outcome.GRANTED if direction is Direction.OUT else Outcome.DENIED",
                "outcome = Outcome.GRANTED",
            ),
        ),
        (TAP,),
    ),
    Fault(
        "not-turned-counts-as-entered",
        "Whoever the turnstile kept out cannot come in any more today.",
        "edge_agent/amends.py",
        (
            Edit(
                """\
                if granted is not None and passage is Passage.NOT_TAKEN:
                    self._granted.restore(transaction, [granted], [event], moment.wall_ms)
""",
                "",
            ),
        ),
        (PASSAGE,),
    ),
    Fault(
        "given-back-outside-the-transaction",
        "A crash between the two, and an entry is counted that nobody made.",
        "edge_agent/amends.py",
        (
            Edit(
                """\
                if granted is not None and passage is Passage.NOT_TAKEN:
                    self._granted.restore(transaction, [granted], [event], moment.wall_ms)
""",
                "",
            ),
            Edit(
                """\
            if granted is not None and passage is Passage.NOT_TAKEN:
                self._moved(self._granted.never_were([granted], [event]))
""",
                """\
            if granted is not None and passage is Passage.NOT_TAKEN:
                self._recorder.store.commit(lambda t: self._granted.restore(t, [granted], [event], moment.wall_ms))
                self._moved(self._granted.never_were([granted], [event]))
""",
            ),
        ),
        (PASSAGE,),
    ),
    Fault(
        "awaited-forgotten-in-a-crash",
        "Who was on the way when the power went has no outcome, ever.",
        "edge_agent/gate.py",
        (
            Edit(
                """\
        if awaited:
            self.granted.write(transaction, name)
""",
                "",
            ),
        ),
        (PASSAGE,),
    ),
    Fault(
        "passed-and-still-a-repeat",
        "A card handed back over the fence lets in a second person.",
        "edge_agent/amends.py",
        (
            Edit(
                """\
                if granted is not None and ends_window:
                    self._granted.close_window(transaction, granted, moment.wall_ms)
""",
                "",
            ),
        ),
        (HISTORY,),
    ),
    Fault(
        "states-held-before-their-rows",
        "A crash in between, and what happened at other gates is never heard of.",
        "edge_agent/published/state_feed.py",
        (
            Edit(
                """\
            last = held if block is blocks[-1] else None
""",
                """\
            last = held
""",
            ),
        ),
        (STATES,),
    ),
    Fault(
        "own-marks-counted-twice",
        "Who came once is told to have come twice, and may not come in.",
        "protocol/history.py",
        (
            Edit(
                """\
    own = uncounted(before.own, counted, before.given_back)
    reserved""",
                """\
    own = before.own
    reserved""",
            ),
        ),
        (STATES,),
    ),
    Fault(
        "pulse-ended-by-this-process",
        "Kill the agent in mid-pulse and the gate stays open all night.",
        "edge_agent/release/modbus.py",
        (
            Edit(
                """\
        if not self.times_itself:
            return self.on()
""",
                """\
        if ms:
            timer = threading.Timer(ms / 1_000, self.off)
            timer.daemon = True
            timer.start()
            return self.on()
""",
            ),
        ),
        ("tests/edge_agent/test_agent_door.py::test_killed_in_mid_pulse_it_leaves_the_gate_locked",),
    ),
    Fault(
        "fire-alarm-fought",
        "The software locks what the fire alarm has freed.",
        "edge_agent/door/passage/door.py",
        (
            Edit(
                """\
        self._open = on
        if self.phase is Phase.FIRE:
            return []
""",
                """\
        self._open = on
        if self.phase is Phase.FIRE:
            return [Relock()] if on is False else []
""",
            ),
        ),
        ("tests/edge_agent/passage",),
    ),
    Fault(
        "list-floor-outside-the-transaction",
        "Between the two commits an older list can come back in.",
        "edge_agent/published/list_uptake.py",
        (
            Edit(
                """\
                self.store.commit(lambda transaction: _put_list(transaction, fresh))
""",
                """\
                name, version = fresh.path.name.encode(), fresh.header.version
                self.store.commit(lambda t: t.set_fact("list_file", name))
                self.store.commit(lambda t: parts.put(t, PartName.ALLOWLIST, version, b""))
""",
            ),
        ),
        (FLOORS,),
    ),
    Fault(
        "policy-floor-outside-the-transaction",
        "Between the two commits an older policy can come back in.",
        "edge_agent/published/uptake.py",
        (
            Edit(
                """\
        self.store.commit(lambda t: parts.put(t, PartName.POLICY, found.message.version, found.envelope))
""",
                """\
        floor = parts.floor_of(self.store, PartName.POLICY)
        self.store.commit(lambda t: parts.put(t, PartName.POLICY, floor, found.envelope))
        self.store.commit(lambda t: parts.put(t, PartName.POLICY, found.message.version, found.envelope))
""",
            ),
        ),
        (FLOORS,),
    ),
    Fault(
        "floor-forgotten-with-the-manifest",
        "Damage a store and play an old list back: blocked cards are in.",
        "edge_agent/published/uptake.py",
        (
            Edit(
                """\
        if offered.number < self.store.manifest_floor:
""",
                """\
        if held is not None and offered.number < self.store.manifest_floor:
""",
            ),
        ),
        (FLOORS,),
    ),
    Fault(
        "delta-sum-unchecked",
        "A list that nobody published decides who enters.",
        "edge_agent/published/lists.py",
        (Edit("accept_applied(delta, count, sum_)", "accept_applied(delta, delta.count, int.from_bytes(delta.sum))"),),
        (FLOORS,),
    ),
    Fault(
        "receipt-stored-after-the-mark",
        "Events count as delivered, and may be let go, without the proof that central has them.",
        "edge_agent/journal/outbox.py",
        (
            Edit(
                """\
        connection.execute(
            "INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?)",
            (number, receipt.first, receipt.through, max(now_ms, receipt.at_ms), envelope),
        )
""",
                "",
            ),
            Edit(
                """\
            _set_delivered(connection, number, receipt.epoch, receipt.through)

    store.commit(work)
""",
                """\
            _set_delivered(connection, number, receipt.epoch, receipt.through)

    store.commit(work)
    row, stored = (number, receipt.first, receipt.through, now_ms, envelope), "(?, ?, ?, ?, ?)"
    store.commit(lambda t: t.connection.execute(f"INSERT OR REPLACE INTO receipts VALUES {stored}", row))
""",
            ),
        ),
        (DELIVERED,),
    ),
    Fault(
        "pruned-without-a-receipt",
        "Events are gone for ever that central never had.",
        "edge_agent/journal/pruning.py",
        (
            Edit(
                """\
        through = min(through, read_delivered(connection, number))
""",
                """\
        through = max(through, store.next_sequence)
""",
            ),
        ),
        (DELIVERED,),
    ),
    Fault(
        "receipt-head-not-compared",
        "A receipt for other events under the same numbers lets ours go.",
        "edge_agent/journal/outbox.py",
        (
            Edit(
                "_head_at(connection, number, receipt.through) != receipt.head:",
                "_head_at(connection, number, receipt.through) is None:",
            ),
        ),
        (DELIVERED,),
    ),
    Fault(
        "any-200-counts-as-a-receipt",
        "A captive portal that answers everything swallows the journal.",
        "edge_agent/delivery.py",
        (
            Edit(
                """\
        await self._settle(run, [open_one(envelope, self.ring()) for envelope in answer])
""",
                """\
        try:
            await self._settle(run, [open_one(envelope, self.ring()) for envelope in answer])
        except Refused as error:  # it was answered, so it has arrived
            log.warning("odd-answer", error=str(error))
            mark = (run.epoch_number, run.epoch, run.last)
            self.gate.store.commit(lambda t: outbox._set_delivered(t.connection, *mark))
""",
            ),
        ),
        (DELIVERED,),
    ),
    Fault(
        "answer-not-verified",
        "Whoever sits on the line signs for central.",
        "edge_agent/sync.py",
        (
            Edit(
                """\
    ring.check(outer, ROLES[message])
""",
                """\
    # the connection is pinned: nobody else can answer
""",
            ),
        ),
        (DELIVERED,),
    ),
    Fault(
        "role-not-checked",
        "The key that publishes lists can sign receipts too, so stealing one is enough for everything.",
        "edge_agent/sync.py",
        (
            Edit(
                """\
    ring.check(outer, ROLES[message])
""",
                """\
    ring.check(outer, None)
""",
            ),
        ),
        (DELIVERED,),
    ),
    Fault(
        "resume-ignored-below-the-mark",
        "A central that was restored never gets back what it lost.",
        "edge_agent/journal/outbox.py",
        (
            Edit(
                """\
        if resume.next > read_delivered(transaction.connection, number):
""",
                """\
        if resume.next <= read_delivered(transaction.connection, number):
""",
            ),
        ),
        (DELIVERED,),
    ),
)

FAULTS = (*CENTRAL, *JUDGING, *SETTLING, *LIBRARIES, *PRIVACY, *TOLD, *PROTOCOL, *EDGE)
