"""Manifests, parts, lists, time (SPEC §5.8 to §5.12, §7, §8.3)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import encoded
from tests.vectors.scenario import DEVICE, DOMAIN, DOMAIN_KEY, NONCE, NOW, SUBJECT, scenario

ENTRY: dict[str, Any] = {
    "subject": SUBJECT,
    "card": 1,
    "state": 0,
    "classes": [{"name": "citizen", "from_ms": 0, "until_ms": 0}, {"name": "senior", "from_ms": NOW, "until_ms": 0}],
    "from_ms": 0,
    "until_ms": NOW + 86_400_000,
    "flags": ["hold-ready"],
}
ROWS = [
    (ref.token(DOMAIN_KEY, bytes([4, 0, 0, number])), ref.message("entry", {**ENTRY, "card": number}))
    for number in range(1, 6)
]
SUM, AFTER = ref.list_sum(ROWS[:4]), ref.list_sum(ROWS[1:])
LIST, NEXT = NOW - 5_000, NOW - 4_000
KEY_NUMBER = 3
POLICY_DIGEST = ref.sha256(b"policy bytes")
AGES = {"warn_ms": 3_600_000, "restrict_ms": 86_400_000, "close_ms": 259_200_000}


def parts(sum_: bytes = AFTER, count: int = 4, version: int = NEXT) -> list[dict[str, Any]]:
    digest = ref.list_digest(DOMAIN, KEY_NUMBER, count, sum_)
    return [
        {"name": "allowlist", "version": version, "digest": digest.hex()},
        {"name": "policy", "version": 12, "digest": POLICY_DIGEST.hex()},
        {"name": "domain-key", "version": 3, "digest": ref.domain_key_digest(3, DOMAIN_KEY).hex()},
    ]


MANIFEST: dict[str, Any] = {
    "device": DEVICE,
    "number": NOW,
    "at_ms": NOW,
    "expires_ms": NOW + 604_800_000,
    "domain": DOMAIN,
    "venue": "library-1",
    "gate": "library-1-door",
    "parts": parts(),
    "ages": AGES,
    "generation": 1,
    "keys_number": 7,
}
SNAPSHOT: dict[str, Any] = {
    "domain": DOMAIN,
    "version": NEXT,
    "key_number": KEY_NUMBER,
    "count": 4,
    "sum": AFTER.hex(),
    "chunks": ["cc" * 32],
}
DELTA: dict[str, Any] = {
    "domain": DOMAIN,
    "base": LIST,
    "version": NEXT,
    "key_number": KEY_NUMBER,
    "put": [ref.pack([[*ROWS[4]]]).hex()],
    "drop": [ROWS[0][0].hex()],
    "count": 4,
    "sum": AFTER.hex(),
}


def build() -> None:
    _messages()
    _manifests()
    _parts()
    _lists()
    _time()


def _messages() -> None:
    encoded("manifest", "5.9", "The one signed statement of what a device should hold.", "manifest", MANIFEST)
    fresh = {"device": DEVICE, "number": NOW, "at_ms": NOW + 60_000, "generation": 1}
    encoded("fresh", "5.9", "Nothing newer, as of now.", "fresh", fresh)
    encoded("snapshot", "5.10", "The head of a whole list.", "snapshot", SNAPSHOT)
    encoded("delta", "5.10", "From base to version.", "delta", DELTA)
    encoded("entry", "5.11", "What a gate knows of a card.", "entry", ENTRY)
    bare = {"subject": SUBJECT, "card": 1, "state": 1, "classes": [], "from_ms": 0, "until_ms": 0, "flags": []}
    encoded("entry-blocked", "5.11", "A card without classes or dates.", "entry", bare)
    fetch = {"device": DEVICE, "nonce": NONCE, "at_ms": NOW, "version": 0, "first_chunk": 2}
    encoded("fetch", "5.10", "Asks for a snapshot from a chunk on.", "fetch", fetch)
    poll = {
        "device": DEVICE,
        "nonce": NONCE,
        "at_ms": NOW,
        "manifest": NOW - 1,
        "keys_number": 7,
        "parts": parts(),
        "troubles": [{"part": "policy", "version": 13, "why": "not-satisfiable"}],
        "backlog": 40,
        "wait_s": 25,
        "version": "0.1.0",
        "understands": ["admit", "refuse"],
    }
    encoded("poll", "5.8", "A device says what it holds and what it could not take up.", "poll", poll)
    patient = ref.message("poll", {**poll, "wait_s": 301})
    given = {"do": "decode", "message": "poll", "bytes": patient.hex()}
    scenario("decode-poll-too-patient", "5.8", "Nobody waits longer than 300 s.", given, failure="malformed")


def _manifests() -> None:
    newer = {**MANIFEST, "number": NOW + 1}
    cases: dict[str, tuple[dict[str, Any] | None, dict[str, Any], int, str | None, str]] = {
        "first": (None, MANIFEST, 0, None, "The first manifest has nothing to be newer than."),
        "newer": (MANIFEST, newer, NOW, None, "A higher number replaces what is held."),
        "same-again": (MANIFEST, MANIFEST, NOW, None, "The very same manifest changes nothing."),
        "other-device": (None, {**MANIFEST, "device": "dev-0000"}, 0, "other-device", "Another device's is refused."),
        "not-yet-expired": (None, MANIFEST, MANIFEST["expires_ms"] - 1, None, "Good until its end."),
        "expired": (None, MANIFEST, MANIFEST["expires_ms"], "expired", "The end is excluded."),
        "older": (newer, MANIFEST, NOW, "not-newer", "An older manifest cannot be served as news."),
        "same-number-other-content": (
            MANIFEST,
            {**MANIFEST, "generation": 2},
            NOW,
            "not-newer",
            "One number has one content.",
        ),
        "ages-not-rising": (
            None,
            {**MANIFEST, "ages": {**AGES, "restrict_ms": AGES["close_ms"] + 1}},
            0,
            "not-satisfiable",
            "The three ages rise.",
        ),
        "ages-falling-first": (
            None,
            {**MANIFEST, "ages": {**AGES, "warn_ms": AGES["restrict_ms"] + 1}},
            0,
            "not-satisfiable",
            "The three ages rise.",
        ),
        "ages-from-zero": (
            None,
            {**MANIFEST, "ages": {**AGES, "warn_ms": 0}},
            0,
            "not-satisfiable",
            "A gate that always warns warns of nothing.",
        ),
        "ages-equal": (
            None,
            {**MANIFEST, "ages": {"warn_ms": 1, "restrict_ms": 1, "close_ms": 1}},
            0,
            None,
            "Equal ages are allowed: the gate closes at once.",
        ),
        "part-twice": (
            None,
            {**MANIFEST, "parts": [parts()[1], parts()[1]]},
            0,
            "malformed",
            "A manifest names a part once.",
        ),
        "other-device-before-expired": (
            None,
            {**MANIFEST, "device": "dev-0000"},
            MANIFEST["expires_ms"],
            "other-device",
            "The device is judged first.",
        ),
        "unknown-part": (
            None,
            {**MANIFEST, "parts": [*parts(), {"name": "wallpaper", "version": 1, "digest": "00" * 32}]},
            0,
            None,
            "A part of another name is passed over.",
        ),
        "no-parts": (None, {**MANIFEST, "parts": []}, 0, None, "A manifest may name nothing yet."),
    }
    for name, (held, offered, now_ms, failure, rule) in cases.items():
        given = {"do": "accept-manifest", "held": held, "offered": offered, "device": DEVICE, "signed_now_ms": now_ms}
        scenario(f"manifest-{name}", "7.2", rule, given, {"accepted": True}, failure)


def _parts() -> None:
    for name, part, floor, version, digest, failure, rule in (
        ("good", "policy", 11, 12, POLICY_DIGEST, None, "A part is what the manifest names."),
        ("same-as-held", "policy", 12, 12, POLICY_DIGEST, None, "At the floor it is the same part again."),
        ("other-version", "policy", 11, 13, POLICY_DIGEST, "wrong-base", "Another version than the manifest's."),
        ("below-the-floor", "policy", 13, 12, POLICY_DIGEST, "not-newer", "A part never goes back."),
        ("other-bytes", "policy", 11, 12, bytes(32), "wrong-digest", "Other bytes than the manifest names."),
        ("not-named", "config", 0, 1, POLICY_DIGEST, "wrong-base", "A part that the manifest does not name."),
        ("domain-key", "domain-key", 2, 3, ref.domain_key_digest(3, DOMAIN_KEY), None, "By the key's own digest."),
    ):
        given = {
            "do": "accept-part",
            "manifest": MANIFEST,
            "floor": floor,
            "part": part,
            "version": version,
            "digest": digest.hex(),
        }
        scenario(f"part-{name}", "7.2", rule, given, {"accepted": True}, failure)


def _lists() -> None:
    for name, rows, rule in (
        ("empty", [], "The sum of no rows is zero."),
        ("one-row", ROWS[:1], "A row's digest is a number of 256 bits."),
        ("four-rows", ROWS[:4], "The sum is that of the rows' digests modulo 2^256."),
        ("other-order", ROWS[3::-1], "The order of rows does not matter."),
        ("after-a-delta", ROWS[1:], "One row gone, one come."),
    ):
        given = {"do": "sum", "rows": [[token.hex(), entry.hex()] for token, entry in rows]}
        given |= {"domain": DOMAIN, "key_number": KEY_NUMBER}
        expect = {
            "row_digests": [ref.row_digest(*row).hex() for row in rows],
            "sum": ref.list_sum(rows).hex(),
            "digest": ref.list_digest(DOMAIN, KEY_NUMBER, len(rows), ref.list_sum(rows)).hex(),
        }
        scenario(f"list-sum-{name}", "7.3", rule, given, expect)
    _chunks()
    older = {**SNAPSHOT, "version": LIST, "sum": SUM.hex()}
    for name, floor, key, offered, failure, rule in (
        ("good", LIST, 3, SNAPSHOT, None, "A snapshot is what the manifest names."),
        ("trailing-the-manifest", LIST, 3, older, None, "It may trail the manifest: a delta follows."),
        ("below-the-floor", NEXT, 3, older, "not-newer", "It never trails the floor."),
        ("ahead-of-the-manifest", LIST, 3, {**SNAPSHOT, "version": NEXT + 1}, "wrong-base", "Not stated yet."),
        ("other-domain", LIST, 3, {**SNAPSHOT, "domain": "pool"}, "other-domain", "Another domain's list."),
        ("other-key", LIST, 4, SNAPSHOT, "unknown-key", "Tokens under another key than the one held."),
        ("other-sum", LIST, 3, {**SNAPSHOT, "sum": SUM.hex()}, "wrong-digest", "Other content than stated."),
        ("other-count", LIST, 3, {**SNAPSHOT, "count": 5}, "wrong-digest", "Another count than stated."),
    ):
        given = {"do": "accept-snapshot", "manifest": MANIFEST, "floor": floor, "key_number": key, "offered": offered}
        scenario(f"snapshot-{name}", "7.3", rule, given, {"accepted": True}, failure)
    for name, base, key, offered, failure, rule in (
        ("good", LIST, 3, DELTA, None, "A delta fits the list at its base."),
        ("wrong-base", LIST - 1, 3, DELTA, "wrong-base", "It fits no other list."),
        ("not-newer", LIST, 3, {**DELTA, "version": LIST}, "not-newer", "It leads forward."),
        ("ahead-of-the-manifest", LIST, 3, {**DELTA, "version": NEXT + 1}, "wrong-base", "Not stated yet."),
        ("on-the-way", LIST, 3, {**DELTA, "version": NEXT - 1, "sum": SUM.hex()}, None, "One of several in a row."),
        ("other-domain", LIST, 3, {**DELTA, "domain": "pool"}, "other-domain", "Another domain's delta."),
        ("other-key", LIST, 2, DELTA, "unknown-key", "Tokens under another key than the one held."),
        ("other-sum", LIST, 3, {**DELTA, "sum": SUM.hex()}, "wrong-digest", "Another result than stated."),
        ("other-count", LIST, 3, {**DELTA, "count": 3}, "wrong-digest", "Another result than stated."),
    ):
        given = {"do": "accept-delta", "manifest": MANIFEST, "base": base, "key_number": key, "offered": offered}
        scenario(f"delta-{name}", "7.3", rule, given, {"accepted": True}, failure)
    for name, count, sum_, failure, rule in (
        ("good", 4, AFTER, None, "The list that came out is the list that was meant."),
        ("wrong-count", 5, AFTER, "wrong-count", "Rows too many or too few: fetch the snapshot."),
        ("wrong-sum", 4, SUM, "wrong-digest", "Other rows: fetch the snapshot."),
    ):
        given = {"do": "accept-applied", "offered": DELTA, "count": count, "sum": sum_.hex()}
        scenario(f"applied-{name}", "7.3", rule, given, {"accepted": True}, failure)
    unstated = {**MANIFEST, "parts": parts()[1:]}
    given = {"do": "accept-delta", "manifest": unstated, "base": LIST, "key_number": 3, "offered": DELTA}
    scenario("delta-without-a-stated-list", "7.3", "No list is stated.", given, failure="wrong-base")


def _chunks() -> None:
    rows = [[token.hex(), entry.hex()] for token, entry in ROWS]
    good = ref.pack([list(row) for row in ROWS])
    given = {"do": "read-chunk", "chunk": good.hex()}
    scenario("chunk-good", "5.10", "A chunk is an array of rows, of a snapshot or of a delta.", given, {"rows": rows})
    given = {"do": "read-chunk", "chunk": ref.pack([]).hex()}
    scenario("chunk-empty", "5.10", "A chunk may be empty.", given, {"rows": []})
    token, entry = ROWS[0]
    for name, data, rule in (
        ("trailing-bytes", good + b"\x00", "Nothing may follow a chunk."),
        ("truncated", good[:-1], "A chunk must be whole."),
        ("short-token", ref.pack([[token[:15], entry]]), "A token has 16 bytes."),
        ("no-entry", ref.pack([[token, b""]]), "An entry is not empty."),
        ("long-entry", ref.pack([[token, bytes(1_025)]]), "An entry has 1,024 bytes at most."),
        ("three-in-a-row", ref.pack([[token, entry, entry]]), "A row is a token and an entry."),
        ("huge", b"\xdd\xff\xff\xff\xff", "A count of rows reserves no memory."),
    ):
        given = {"do": "read-chunk", "chunk": data.hex()}
        scenario(f"chunk-{name}", "5.10", rule, given, failure="malformed")
    given = {"do": "read-chunk", "repeated_row": ref.pack([token, b"\x00"]).hex(), "times": 4_097}
    scenario("chunk-of-4097-rows", "1.3", "A chunk has 4,096 rows at most.", given, failure="malformed")
    given = {"do": "read-chunk", "zero_bytes": 5_242_881}
    scenario("chunk-above-its-limit", "1.3", "Size is judged before content.", given, failure="oversized")
    given = {"do": "decode", "message": "delta"}
    given["bytes"] = ref.message("delta", {**DELTA, "put": ["90"] * 14}).hex()
    scenario("delta-of-14-chunks", "1.3", "50,000 rows need no more than 13.", given, failure="malformed")


def _time() -> None:
    for name, wall, monotonic, signed, received, rule in (
        ("exact", NOW + 1_000, 6_000, NOW, 5_000, "Within 120 s of the signed time counted on is trusted."),
        ("slow-at-the-edge", NOW - 120_000, 5_000, NOW, 5_000, "120 s behind is still drift."),
        ("slow-past-the-edge", NOW - 120_001, 5_000, NOW, 5_000, "More is a clock that runs behind."),
        ("fast-at-the-edge", NOW + 120_000, 5_000, NOW, 5_000, "120 s ahead is still drift."),
        ("fast-past-the-edge", NOW + 120_001, 5_000, NOW, 5_000, "More is a clock that runs ahead."),
        ("counted-on", NOW + 9 * 86_400_000, 5_000 + 9 * 86_400_000, NOW, 5_000, "Nine days on, the same."),
        ("new-boot", NOW + 1_000, 50, NOW, None, "No signed time in this boot: unconfirmed."),
        ("new-boot-at-the-edge", NOW - 120_000, 50, NOW, None, "120 s below the floor: unconfirmed, floor counts."),
        ("new-boot-past-the-edge", NOW - 120_001, 50, NOW, None, "Below the floor: behind, the floor counts."),
        ("new-boot-years-ahead", NOW + 10**11, 50, NOW, None, "Ahead cannot be told without a signed time."),
        ("dead-battery", 0, 50, NOW, None, "1970 is behind."),
    ):
        number, estimate = ref.clock(wall, monotonic, signed, received)
        given = {
            "do": "clock",
            "wall_ms": wall,
            "monotonic_ms": monotonic,
            "signed_ms": signed,
            "received_ms": received,
        }
        scenario(f"clock-{name}", "8.3", rule, given, {"clock": number, "estimate_ms": estimate})
    for edge, name in ((AGES["warn_ms"], "warn"), (AGES["restrict_ms"], "restrict"), (AGES["close_ms"], "close")):
        for offset, side in ((-1, "just-before"), (0, "at")):
            given = {"do": "staleness", "ages": AGES, "age_ms": edge + offset}
            rule = "An age is reached at its value."
            scenario(f"staleness-{side}-{name}", "7.4", rule, given, {"staleness": ref.staleness(AGES, edge + offset)})
    given = {"do": "staleness", "ages": AGES, "age_ms": -5}
    scenario("staleness-of-the-future", "7.4", "A negative age is fresh.", given, {"staleness": "fresh"})
