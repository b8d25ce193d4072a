"""Events, the chain, batches and receipts (SPEC §5.1 to §5.6, §6)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.scenario import DEVICE, EPOCH, EPOCH_BEFORE, NONCE, NOW, SUBJECT, scenario, seed

BOOT = "b0" * 8
PERSONAL = {
    "salt": "5a" * 16,
    "subject": SUBJECT,
    "token": "",
    "key_number": 0,
    "card": 2,
    "fingerprint": "f1" * 16,
    "points": 0,
    "due": 0,
}
EVENT: dict[str, Any] = {
    "sequence": 41,
    "at_ms": NOW,
    "boot_id": BOOT,
    "monotonic_ms": 93_211,
    "clock": 0,
    "gate": "library-1-door",
    "kind": "tap",
    "direction": "in",
    "decision": "granted",
    "reason": "ok",
    "rule": "members",
    "repeat_of": 0,
    "held": {"manifest": NOW - 10_000, "allowlist": NOW - 20_000, "policy": 3, "config": 2},
    "personal_digest": ref.sha256(ref.message("personal", PERSONAL)).hex(),
    "detail": "",
}
EPOCH_START = {
    "device": DEVICE,
    "epoch": EPOCH.hex(),
    "previous_epoch": EPOCH_BEFORE.hex(),
    "previous_sequence": 812,
    "previous_head": "4e" * 32,
    "at_ms": NOW,
    "why": "start",
}


def event_zero() -> dict[str, Any]:
    """Event 0 of the epoch: its detail is the signed statement."""
    statement = ref.envelope(seed("device"), "tapgate.epoch.v1", ref.message("epoch", EPOCH_START))
    nothing = {"direction": "", "decision": "", "reason": "", "rule": "", "personal_digest": ""}
    return {**EVENT, **nothing, "sequence": 0, "monotonic_ms": 1, "kind": "start", "detail": statement.hex()}


def events() -> list[bytes]:
    """A whole small journal: start, tap, passage."""
    passage = ref.message("passage-detail", {"sequence": 1, "passage": "taken", "epoch": ""})
    quiet = {"direction": "", "decision": "", "reason": "", "rule": "", "personal_digest": ""}
    return [
        ref.message("event", event_zero()),
        ref.message("event", {**EVENT, "sequence": 1}),
        ref.message("event", {**EVENT, **quiet, "sequence": 2, "kind": "passage", "detail": passage.hex()}),
    ]


def batch() -> dict[str, Any]:
    start = ref.genesis(DEVICE, EPOCH)
    return {
        "device": DEVICE,
        "epoch": EPOCH.hex(),
        "first": 0,
        "previous_head": start.hex(),
        "events": [event.hex() for event in events()],
        "head": ref.heads(start, events())[-1].hex(),
        "lost": 0,
    }


def receipt() -> dict[str, Any]:
    exceptions = [
        {"sequence": 1, "custody": "refused", "reason": "wrong-digest"},
        {"sequence": 2, "custody": "held", "reason": "unknown kind"},
    ]
    return {
        "device": DEVICE,
        "epoch": EPOCH.hex(),
        "first": 0,
        "through": 2,
        "head": batch()["head"],
        "at_ms": NOW + 5,
        "fork": False,
        "exceptions": exceptions,
    }


def encoded(name: str, spec: str, rule: str, message: str, fields: dict[str, Any]) -> None:
    given = {"do": "encode", "message": message, "fields": fields}
    scenario(f"encode-{name}", spec, rule, given, {"bytes": ref.message(message, fields).hex()})


def build() -> None:
    encoded("event-tap", "5.1", "A tap's public part names no person.", "event", EVENT)
    encoded("event-start", "5.1", "Event 0 carries the epoch's signed statement.", "event", event_zero())
    denied = {**EVENT, "decision": "denied", "reason": "unknown-card", "rule": "", "repeat_of": 41, "clock": 3}
    encoded("event-repeat", "5.1", "A repeat names the first tap's sequence plus one.", "event", denied)
    zeros = {"manifest": 0, "allowlist": 0, "policy": 0, "config": 0}
    encoded("event-nothing-held", "5.1", "A version that is not held is 0.", "event", {**EVENT, "held": zeros})
    encoded("event-unknown-kind", "5.1", "An unknown kind still decodes.", "event", {**EVENT, "kind": "weighing"})
    encoded("personal-member", "5.2", "A known card is its subject, without a token.", "personal", PERSONAL)
    unknown = {**PERSONAL, "subject": "", "token": "7c" * 16, "key_number": 4, "card": 0}
    encoded("personal-unknown-card", "5.2", "An unknown card is its token and key number.", "personal", unknown)
    charged = {**PERSONAL, "points": 10, "due": 15}
    encoded("personal-charged", "5.2", "What was charged is between member and city.", "personal", charged)
    given_back = {**PERSONAL, "points": -10, "due": -15}
    encoded("personal-below-nothing", "5.2", "Points and due are signed.", "personal", given_back)
    _details()
    encoded("epoch", "6.2", "An epoch names the one before it.", "epoch", EPOCH_START)
    first = {**EPOCH_START, "previous_epoch": "", "previous_sequence": -1, "previous_head": "", "why": "enrolled"}
    encoded("epoch-first", "6.2", "The first epoch names none.", "epoch", first)
    encoded("batch", "5.3", "A batch is a run of public parts between two heads.", "batch", batch())
    sealed = ref.envelope(seed("device"), "tapgate.batch.v1", ref.message("batch", batch()))
    personal = ["", ref.message("personal", PERSONAL).hex(), ""]
    upload = {"batch": sealed.hex(), "personal": personal}
    encoded("upload", "5.3", "One personal part for each event, empty where there is none.", "upload", upload)
    encoded("receipt", "5.4", "A receipt names its exceptions.", "receipt", receipt())
    fork = {**receipt(), "fork": True, "exceptions": []}
    encoded("receipt-fork", "5.4", "A contradiction is receipted as a fork.", "receipt", fork)
    resume = {"device": DEVICE, "epoch": EPOCH.hex(), "next": 2, "head": "1d" * 32, "at_ms": NOW}
    encoded("resume", "5.5", "A gap is answered by where to go on from.", "resume", resume)
    held = [{"epoch": EPOCH.hex(), "through": 2}, {"epoch": EPOCH_BEFORE.hex(), "through": -1}]
    inventory = {"device": DEVICE, "epochs": held, "nonce": NONCE}
    encoded("inventory", "5.6", "What a device can still send.", "inventory", inventory)
    holdings = {"device": DEVICE, "generation": 2, "epochs": held, "nonce": NONCE, "at_ms": NOW}
    encoded("holdings", "5.6", "What central holds of it.", "holdings", holdings)
    revoked = {"device": DEVICE, "at_ms": NOW, "reason": "stolen"}
    encoded("revoked", "5.7", "Revocation is a signed word.", "revoked", revoked)
    _chain()
    _not_decoded()


def _details() -> None:
    for name, message, fields, rule in (
        (
            "passage",
            "passage-detail",
            {"sequence": 41, "passage": "not-taken", "epoch": ""},
            "A passage names its tap.",
        ),
        (
            "passage-after-a-restart",
            "passage-detail",
            {"sequence": 812, "passage": "unknown", "epoch": EPOCH_BEFORE.hex()},
            "A tap of an epoch before is named with its epoch.",
        ),
        (
            "passage-forced",
            "passage-detail",
            {"sequence": -1, "passage": "forced", "epoch": ""},
            "What the door did by itself names no tap.",
        ),
        (
            "reader",
            "reader-detail",
            {
                "reader": "ACS 00",
                "state": "wedged",
                "why": "no answer for 5 s",
                "profile": "acr122u (published 3)",
                "firmware": "ACR122U214",
            },
            "A reader's change says its profile, whence that is, and the firmware that it read.",
        ),
        (
            "reader-without-a-profile",
            "reader-detail",
            {"reader": "ACS 00", "state": "absent", "why": "unplugged", "profile": "", "firmware": ""},
            "What is not known is empty.",
        ),
        (
            "admit",
            "admit-detail",
            {"staff": "desk-2", "why": "card forgotten", "sequence": 41},
            "Staff let in whom a tap denied.",
        ),
        (
            "admit-without-a-tap",
            "admit-detail",
            {"staff": "desk-2", "why": "訪客", "sequence": -1},
            "Staff let somebody in who has no card.",
        ),
        (
            "closure",
            "closure-detail",
            {"staff": "desk-2", "why": "typhoon", "from_ms": 1_000, "until_ms": 2_000},
            "Staff closed this gate's way in.",
        ),
        (
            "closure-opened",
            "closure-detail",
            {"staff": "desk-2", "why": "", "from_ms": 1_500, "until_ms": 1_500},
            "An end that is the beginning: open again.",
        ),
        ("undo", "undo-detail", {"sequence": 41, "why": "not-me"}, "The granted tap that counts as never made."),
        (
            "input-fire-alarm",
            "input-detail",
            {"input": "fire-alarm", "on": True, "inside": 212},
            "A fire alarm says how many may be inside.",
        ),
        ("input-tamper", "input-detail", {"input": "tamper", "on": False, "inside": 0}, "A level that went back."),
        (
            "config-in-use",
            "config-detail",
            {"part": "config", "what": "in-use", "version": 8, "why": ""},
            "A published part is in use.",
        ),
        (
            "config-went-back",
            "config-detail",
            {"part": "profiles", "what": "went-back", "version": 8, "why": "front: not ready within 60 s"},
            "The version that was given up, and why.",
        ),
        (
            "store",
            "store-detail",
            {"what": "tail-lost", "why": "power", "epoch": EPOCH_BEFORE.hex(), "first": 810, "through": 812},
            "What happened to the store, and to which events.",
        ),
        (
            "store-nothing",
            "store-detail",
            {"what": "trouble", "why": "", "epoch": "", "first": 0, "through": -1},
            "No sequence is −1.",
        ),
    ):
        encoded(f"detail-{name}", "5.1", rule, message, fields)
    _bad_details()


def _bad_details() -> None:
    for name, message, data, rule in (
        ("passage-below-none", "passage-detail", ref.pack([-2, "taken", b""]), "Below −1 there is no sequence."),
        ("passage-of-a-long-epoch", "passage-detail", ref.pack([1, "taken", bytes(9)]), "An epoch has 8 bytes."),
        ("passage-without-a-word", "passage-detail", ref.pack([1]), "What became of it is said."),
        ("admit-by-nobody", "admit-detail", ref.pack(["", "card forgotten", 1]), "Staff have a name."),
        ("admit-with-a-novel", "admit-detail", ref.pack(["desk-2", "x" * 501, 1]), "500 characters at most."),
        ("closure-by-nobody", "closure-detail", ref.pack(["", "typhoon", 1, 2]), "Staff have a name."),
        ("closure-before-itself", "closure-detail", ref.pack(["desk-2", "typhoon", 2, 1]), "It ends after it begins."),
        ("undo-of-nothing", "undo-detail", ref.pack([-1, "not-me"]), "A tap is taken back, not none."),
        ("input-half-on", "input-detail", ref.pack(["tamper", 1, 0]), "A level is true or false."),
        ("input-with-fewer-than-none-inside", "input-detail", ref.pack(["fire-alarm", True, -1]), "Not below 0."),
        ("config-of-a-version-below-none", "config-detail", ref.pack(["config", "in-use", -1, ""]), "Not below 0."),
        ("reader-with-a-sixth-field", "reader-detail", ref.pack(["a", "ready", "", "", "", ""]), "No further fields."),
    ):
        given = {"do": "decode", "message": message, "bytes": data.hex()}
        scenario(f"decode-detail-{name}", "5.1", rule, given, failure="malformed")


def _chain() -> None:
    start = ref.genesis(DEVICE, EPOCH)
    for name, count, rule in (
        ("genesis", 0, "The head before event 0 binds device and epoch."),
        ("one-event", 1, "A head covers the head before it and the bytes as sent."),
        ("three-events", 3, "Each event extends the chain in turn."),
    ):
        given = {"do": "chain", "device": DEVICE, "epoch": EPOCH.hex(), "events": [e.hex() for e in events()[:count]]}
        found = [head.hex() for head in ref.heads(start, events()[:count])]
        scenario(f"chain-{name}", "6.1", rule, given, {"genesis": start.hex(), "heads": found})
    for name, personal in (("of-a-tap", ref.message("personal", PERSONAL)), ("of-nothing", b"")):
        expect = {"digest": ref.sha256(personal).hex() if personal else ""}
        rule = "The public part holds the SHA-256 of the personal part, or nothing where there is none."
        scenario(f"personal-digest-{name}", "5.2", rule, {"do": "personal-digest", "bytes": personal.hex()}, expect)


def _not_decoded() -> None:
    good = ref.message("receipt", receipt())
    cases = {
        "trailing-bytes": (good + b"\x00", "Nothing may follow a payload."),
        "truncated": (good[:-1], "A payload must be whole."),
        "empty": (b"", "No bytes are no message."),
        "map-for-array": (ref.pack({"device": DEVICE}), "A struct is an array."),
        "unknown-field": (ref.pack([DEVICE, EPOCH, 0, 0, bytes(32), 0, False, [], 1]), "No further fields."),
        "missing-field": (ref.pack([DEVICE, EPOCH, 0, 0]), "No field may be missing that is not empty."),
        "number-as-text": (ref.pack([DEVICE, EPOCH, "0", 0, bytes(32), 0, False, []]), "A number is no text."),
        "number-as-float": (good.replace(b"\x00\x02", b"\x00\xca\x40\x00\x00\x00", 1), "A number is no float."),
        "number-negative": (ref.pack([DEVICE, EPOCH, -1, 0, bytes(32), 0, False, []]), "Numbers are unsigned."),
        "number-too-large": (ref.pack([DEVICE, EPOCH, 2**53 + 1, 0, bytes(32), 0, False, []]), "At most 2^53."),
        "time-too-late": (ref.pack([DEVICE, EPOCH, 0, 0, bytes(32), 253_370_764_800_000, False, []]), "Year 9999."),
        "boolean-as-number": (ref.pack([DEVICE, EPOCH, 0, 0, bytes(32), 0, 0, []]), "A boolean is no number."),
        "bytes-as-text": (ref.pack([DEVICE, "12345678", 0, 0, bytes(32), 0, False, []]), "Bytes are no text."),
        "digest-too-short": (ref.pack([DEVICE, EPOCH, 0, 0, bytes(31), 0, False, []]), "A digest has 32 bytes."),
        "name-empty": (ref.pack(["", EPOCH, 0, 0, bytes(32), 0, False, []]), "A name is not empty."),
        "name-too-long": (ref.pack(["d" * 65, EPOCH, 0, 0, bytes(32), 0, False, []]), "64 characters at most."),
        "device-with-a-zero-byte": (ref.pack(["a\0b", EPOCH, 0, 0, bytes(32), 0, False, []]), "No control characters."),
        "unknown-custody": (
            ref.pack([DEVICE, EPOCH, 0, 0, bytes(32), 0, False, [[0, "eaten", ""]]]),
            "An enumeration has no other values.",
        ),
        "nil": (ref.pack([DEVICE, EPOCH, None, 0, bytes(32), 0, False, []]), "Nil stands for nothing."),
        "invalid-utf-8": (b"\x98\xa1\xff" + good[10:], "Text is UTF-8."),
        "deep-nesting": (b"\x91" * 5_000, "Depth does not exhaust a decoder."),
        "huge-array": (b"\xdd\xff\xff\xff\xff", "A count of elements reserves no memory."),
    }
    for name, (data, rule) in cases.items():
        given = {"do": "decode", "message": "receipt", "bytes": data.hex()}
        scenario(f"decode-{name}", "1.1", rule, given, failure="malformed")
    for name, message, filler, failure in (
        ("batch-above-its-limit", "batch", 262_145, "oversized"),
        ("event-above-its-limit", "event", 4_097, "oversized"),
        ("upload-above-its-limit", "upload", 528_385, "oversized"),
        ("policy-above-its-limit", "policy", 1_048_577, "oversized"),
        ("config-above-its-limit", "config", 65_537, "oversized"),
        ("manifest-above-its-limit", "manifest", 8_388_609, "oversized"),
        ("batch-at-its-limit", "batch", 262_144, "malformed"),
    ):
        given = {"do": "decode", "message": message, "zero_bytes": filler}
        scenario(f"decode-{name}", "1.3", "Size is judged before content.", given, failure=failure)
    _limits()


def _limits() -> None:
    many = {**batch(), "events": ["c0"] * 1_001}
    rule = "A batch has at most 1,000 events."
    given = {"do": "decode", "message": "batch", "bytes": ref.message("batch", many).hex()}
    scenario("decode-batch-of-1001-events", "1.3", rule, given, failure="malformed")
    none = {**batch(), "events": []}
    given = {"do": "decode", "message": "batch", "bytes": ref.message("batch", none).hex()}
    scenario("decode-batch-of-no-events", "1.3", "A batch has events.", given, failure="malformed")
    long = {**batch(), "events": ["00" * 4_097]}
    given = {"do": "decode", "message": "batch", "bytes": ref.message("batch", long).hex()}
    scenario("decode-batch-with-a-long-event", "1.3", "An event has 4,096 bytes at most.", given, failure="malformed")
    for name, fields in (
        ("short-epoch", {**EPOCH_START, "previous_epoch": "0102"}),
        ("short-head", {**EPOCH_START, "previous_head": "0102"}),
        ("sequence-below-none", {**EPOCH_START, "previous_sequence": -2}),
    ):
        given = {"do": "decode", "message": "epoch", "bytes": ref.message("epoch", fields).hex()}
        rule = "The epoch before is named whole, or not at all."
        scenario(f"decode-epoch-with-{name}", "6.2", rule, given, failure="malformed")
