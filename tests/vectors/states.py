"""What central tells of earlier taps, and whether a gate takes it up (SPEC §5.13, §7.8)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import encoded
from tests.vectors.scenario import DEVICE, DOMAIN, EPOCH, NOW, SUBJECT, scenario

Json = dict[str, Any]
MARK: Json = {
    "at_ms": NOW - 60_000,
    "venue": "pool",
    "gate": "pool-door",
    "direction": "in",
    "rule": "seniors",
    "points": 10,
    "due": 15,
    "epoch": EPOCH.hex(),
    "sequence": 41,
}
MEMBER: Json = {
    "subject": SUBJECT,
    "marks": [MARK, {**MARK, "direction": "", "points": 0, "due": 0, "gate": "kiosk-1", "sequence": 7}],
    "reserved": 120,
    "lapse_ms": NOW + 86_400_000,
    "notes": [["minutes-month", 754], ["points", -3]],
}
STATE: Json = {
    "device": DEVICE,
    "domain": DOMAIN,
    "base": NOW - 5_000,
    "version": NOW,
    "at_ms": NOW + 7,
    "counted": [{"epoch": EPOCH.hex(), "through": 41}, {"epoch": "9192939495969798", "through": -1}],
    "inside": [["pool", 57], ["gym", 0]],
    "subjects": [MEMBER],
}
HELD = STATE["base"]


def build() -> None:
    encoded("mark", "5.13", "A granted tap that counts.", "mark", MARK)
    encoded("state", "5.13", "Marks, counters, reservations and notes of members, and what they count.", "state", STATE)
    nothing = {**STATE, "base": 0, "counted": [], "inside": [], "subjects": []}
    encoded("state-of-nobody", "5.13", "A whole state may be of nobody.", "state", nothing)
    bare = {"subject": SUBJECT, "marks": [], "reserved": 0, "lapse_ms": 0, "notes": []}
    rule = "A member of whom nothing counts any more."
    encoded("state-of-a-member-without-marks", "5.13", rule, "state", {**STATE, "subjects": [bare]})
    _refused()
    _accepted()


def _refused() -> None:
    for name, change, rule in (
        ("257-marks", {"subjects": [{**MEMBER, "marks": [MARK] * 257}]}, "At most 256 marks a subject."),
        ("9-notes", {"subjects": [{**MEMBER, "notes": [["points", 1]] * 9}]}, "At most 8 notes a subject."),
        ("5001-subjects", {"subjects": [{**MEMBER, "marks": [], "notes": []}] * 5_001}, "At most 5,000 subjects."),
        ("short-subject", {"subjects": [{**MEMBER, "subject": "5b" * 15}]}, "A subject has 16 bytes."),
        ("short-epoch", {"counted": [{"epoch": "a1" * 7, "through": 1}]}, "An epoch has 8 bytes."),
        ("negative-inside", {"inside": [["pool", -1]]}, "Nobody is inside at the least."),
        ("reserved-negative", {"subjects": [{**MEMBER, "reserved": -1}]}, "A reservation is not below 0."),
    ):
        data = ref.message("state", {**STATE, **change})
        given = {"do": "decode", "message": "state", "bytes": data.hex()}
        if name == "5001-subjects":
            row = ref.message("subject-state", {**MEMBER, "marks": [], "notes": []})
            begins = ref.message("state", {**STATE, "subjects": []})[:-1] + b"\xdc" + (5_001).to_bytes(2, "big")
            assert begins + row * 5_001 == data
            given = {"do": "decode", "message": "state", "begins": begins.hex()}
            given |= {"repeated_row": row.hex(), "times": 5_001}
        scenario(f"decode-state-{name}", "5.13", rule, given, failure="malformed")


def _accepted() -> None:
    whole = {**STATE, "base": 0}
    for name, held, offered, failure, rule in (
        ("good", HELD, STATE, None, "A state goes on from the version held."),
        ("whole", HELD, whole, None, "A whole state takes the place of any."),
        ("first", 0, whole, None, "The first one is whole."),
        ("whole-again", NOW, whole, None, "The same whole state again changes nothing."),
        ("other-device", HELD, {**STATE, "device": "dev-0000"}, "other-device", "Another device's."),
        ("other-domain", HELD, {**STATE, "domain": "pool"}, "other-domain", "Another domain's."),
        ("wrong-base", HELD - 1, STATE, "wrong-base", "It fits no other state."),
        ("again", NOW, STATE, "wrong-base", "Nor the one that it led to."),
        ("without-any", 0, STATE, "wrong-base", "Nor none."),
        ("not-above-its-base", HELD, {**STATE, "version": HELD}, "not-newer", "It leads forward."),
        ("back", HELD, {**STATE, "version": HELD - 1}, "not-newer", "And never back."),
        ("whole-but-older", NOW + 1, whole, "not-newer", "A whole one neither."),
        ("whole-of-version-0", 0, {**whole, "version": 0}, "not-newer", "There is no version 0."),
        (
            "other-device-before-the-rest",
            NOW + 1,
            {**STATE, "device": "dev-0000", "domain": "pool"},
            "other-device",
            "The device is judged first.",
        ),
        ("other-domain-before-its-base", 1, {**STATE, "domain": "pool"}, "other-domain", "Then the domain."),
        ("wrong-base-before-its-version", 1, {**STATE, "version": 1}, "wrong-base", "Then the base."),
    ):
        given = {"do": "accept-state", "held": held, "offered": offered, "device": DEVICE, "domain": DOMAIN}
        scenario(f"state-{name}", "7.8", rule, given, {"accepted": True}, failure)
