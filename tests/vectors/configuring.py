"""A gate's configuration, published profiles, names for screens, staff PINs (SPEC §3, §5.12, §7.6)."""

from typing import Any

from tests.vectors import reference as ref
from tests.vectors.journal import encoded
from tests.vectors.scenario import DOMAIN, DOMAIN_KEY, NOW, SUBJECT, scenario

Json = dict[str, Any]
SALT = "5a" * 16
PIN, STAFF = "204816", "desk-2"
SLOW = ref.slow_pin(PIN, bytes.fromhex(SALT))
VERIFIER = ref.pin_verifier(DOMAIN_KEY, STAFF, SLOW)

RELEASE: Json = {
    "fail": "safe",
    "pulse_ms": 1_500,
    "relock_on_open": False,
    "passage": "turnstile",
    "passage_ms": 6_000,
    "held_warn_ms": 15_000,
    "held_ms": 25_000,
}
SCREEN: Json = {
    "languages": ["en"],
    "theme": "dark",
    "sound": False,
    "show_ms": 6_000,
    "undo": True,
    "names": True,
    "staff_admit": True,
    "staff_close": True,
    "choices": [{"rule": "kitchen", "zh": "廚房組", "en": "Kitchen"}, {"rule": "garden", "zh": "", "en": ""}],
    "consents": ["notices", "screen-names"],
}
WORDING: Json = {
    "zh": "請洽三樓服務台",
    "en": "Please ask on the third floor",
    "next_zh": "電梯在您的左手邊",
    "next_en": "The lift is on your left",
}
PERSON: Json = {"id": STAFF, "salt": SALT, "verifier": VERIFIER.hex()}
CLOSURE: Json = {
    "from_ms": NOW,
    "until_ms": NOW + 3_600_000,
    "admits": ["staff"],
    "why_zh": "颱風停班停課",
    "why_en": "Typhoon",
}
CONFIG: Json = {
    "version": 2,
    "gate": "library-1-door",
    "kind": "door",
    "direction": "in",
    "time_zone": "Asia/Taipei",
    "title_zh": "總圖一樓",
    "title_en": "Main library, ground floor",
    "release": RELEASE,
    "screen": SCREEN,
    "texts": {"unknown-card": WORDING, "staff-admitted": {**WORDING, "zh": "", "next_zh": ""}},
    "staff": [PERSON, {**PERSON, "id": "desk-3", "salt": "5b" * 16}],
    "closures": [CLOSURE],
}
STANDARD: Json = {
    "direction": "in",
    "time_zone": "Asia/Taipei",
    "title_zh": "",
    "title_en": "",
    "release": {
        "fail": "secure",
        "pulse_ms": 3_000,
        "relock_on_open": True,
        "passage": "none",
        "passage_ms": 8_000,
        "held_warn_ms": 20_000,
        "held_ms": 30_000,
    },
    "screen": {
        "languages": ["zh-TW", "en"],
        "theme": "auto",
        "sound": True,
        "show_ms": 4_000,
        "undo": False,
        "names": False,
        "staff_admit": False,
        "staff_close": False,
        "choices": [],
        "consents": [],
    },
    "texts": {},
    "staff": [],
    "closures": [],
}
NAMED: Json = {"version": 2, "gate": "library-1-door", "kind": "door"}
TOML = 'name = "acr122u"\nstartup = ["FF 00 52 00 00"]\n'


def build() -> None:
    _configurations()
    _refused_configurations()
    _profiles()
    _names()
    _pins()


def _configurations() -> None:
    encoded("config", "7.6", "A gate's configuration is a map of maps.", "config", CONFIG)
    _standard("config-of-three-keys", "What is left out has its standard value.", NAMED, NAMED | STANDARD)
    some = NAMED | {"release": {"pulse_ms": 500}, "screen": {"undo": True}}
    filled = {
        "release": STANDARD["release"] | some["release"],
        "screen": STANDARD["screen"] | some["screen"],
    }
    _standard("config-of-some-keys", "Inside the maps too.", some, NAMED | STANDARD | filled)
    never = NAMED | STANDARD | {"release": {**RELEASE, "held_warn_ms": 15_000, "held_ms": 0}}
    encoded("config-never-held", "7.6", "0 is never: no alarm for a door held open.", "config", never)
    equal = NAMED | STANDARD | {"release": {**RELEASE, "held_warn_ms": 9_000, "held_ms": 9_000}}
    encoded("config-held-without-warning", "7.6", "Warning and alarm may come together.", "config", equal)
    edges = {"pulse_ms": 100, "passage_ms": 120_000, "held_warn_ms": 0, "held_ms": 3_600_000}
    encoded("config-at-the-edges", "7.6", "Ends of ranges are inside.", "config", CONFIG | {"release": RELEASE | edges})
    crowd = [{**PERSON, "id": f"staff-{number}"} for number in range(100)]
    encoded("config-of-100-staff", "1.3", "100 staff at most.", "config", NAMED | STANDARD | {"staff": crowd})


def _standard(name: str, rule: str, fields: Json, whole: Json) -> None:
    """Encoded again it has every key."""
    given = {"do": "encode", "message": "config", "fields": fields}
    scenario(f"encode-{name}", "7.6", rule, given, {"bytes": ref.message("config", whole).hex()})


def _refused_configurations() -> None:
    strict = "Maps are as strict as arrays, however deep."
    for name, changes, rule in (
        ("unknown-field", {"colour": "red"}, strict),
        ("unknown-field-of-the-release", _in("release", pin=17), strict),
        ("unknown-field-of-the-screen", _in("screen", colour="red"), strict),
        ("unknown-field-of-a-wording", {"texts": {"expired": {"fr": "Non"}}}, strict),
        ("unknown-field-of-staff", {"staff": [{**PERSON, "pin": PIN}]}, strict),
        ("unknown-direction", {"direction": "up"}, "A direction is in or out."),
        ("unknown-fail", _in("release", fail="open"), "A lock fails secure or safe."),
        ("unknown-passage", _in("release", passage="camera"), "A passage is told by a door, a turnstile, or not."),
        ("pulse-too-short", _in("release", pulse_ms=99), "A pulse of less moves no bolt."),
        ("pulse-too-long", _in("release", pulse_ms=60_001), "A pulse of more is an open door."),
        ("pulse-as-text", _in("release", pulse_ms="1500"), "A number is no text."),
        ("passage-too-short", _in("release", passage_ms=999), "Nobody goes through in less."),
        ("passage-too-long", _in("release", passage_ms=120_001), "Nobody waits for longer."),
        ("held-too-long", _in("release", held_ms=3_600_001), "An hour at most."),
        ("held-below-none", _in("release", held_warn_ms=-1), "Numbers are unsigned."),
        ("warning-after-the-alarm", _in("release", held_warn_ms=25_001), "A warning comes before the alarm."),
        ("no-language", _in("screen", languages=[]), "A screen speaks one language or both."),
        ("third-language", _in("screen", languages=["zh-TW", "en", "en"]), "A screen speaks two languages at most."),
        ("language-twice", _in("screen", languages=["en", "en"]), "A screen speaks a language once."),
        ("language-not-known", _in("screen", languages=["fr"]), "A screen speaks what its texts are in."),
        ("unknown-theme", _in("screen", theme="sepia"), "A theme is auto, light or dark."),
        ("shown-too-shortly", _in("screen", show_ms=999), "Nobody reads an answer in less."),
        ("shown-too-long", _in("screen", show_ms=30_001), "The next person waits."),
        ("choice-without-a-rule", _in("screen", choices=[{"zh": "園藝組"}]), "A choice is of a rule."),
        ("choice-twice", _in("screen", choices=[{"rule": "a"}, {"rule": "a"}]), "A rule can be chosen in one place."),
        ("choice-too-long", _in("screen", choices=[{"rule": "a", "zh": "組" * 41}]), "It has to fit on a button."),
        ("consent-twice", _in("screen", consents=["notices", "notices"]), "A purpose is asked for in one place."),
        ("9-consents", _in("screen", consents=[f"purpose-{n}" for n in range(9)]), "8 purposes at most."),
        ("13-choices", _in("screen", choices=[{"rule": f"team-{n}"} for n in range(13)]), "12 choices at most."),
        ("closing-by-a-number", _in("screen", staff_close=1), "A boolean is no number."),
        ("undo-by-a-number", _in("screen", undo=1), "A boolean is no number."),
        ("wording-of-an-unknown-reason", {"texts": {"bad-hair": WORDING}}, "Words are for reasons that exist."),
        ("wording-too-long", {"texts": {"expired": {"zh": "卡" * 501}}}, "Texts have 500 characters at most."),
        ("staff-twice", {"staff": [PERSON, {**PERSON, "salt": "00" * 16}]}, "A person stands there once."),
        ("staff-without-a-name", {"staff": [{**PERSON, "id": ""}]}, "A name is not empty."),
        ("staff-with-a-short-salt", {"staff": [{**PERSON, "salt": "5a" * 15}]}, "A salt has 16 bytes."),
        ("staff-with-a-short-verifier", {"staff": [{**PERSON, "verifier": "ab" * 31}]}, "A verifier has 32 bytes."),
        ("staff-without-a-verifier", {"staff": [{"id": STAFF, "salt": SALT}]}, "A person without one could not admit."),
        ("101-staff", {"staff": [{**PERSON, "id": f"staff-{number}"} for number in range(101)]}, "100 staff at most."),
        ("closure-without-an-end", {"closures": [{"from_ms": NOW}]}, "A closure says when it is over."),
        ("closure-of-no-time", {"closures": [{**CLOSURE, "until_ms": NOW}]}, "A closure ends after it begins."),
        ("closure-with-a-long-text", {"closures": [{**CLOSURE, "why_zh": "風" * 101}]}, "A hundred characters."),
        ("33-closures", {"closures": [CLOSURE] * 33}, "32 closures at most."),
        ("as-an-array", None, "A configuration is a map."),
    ):
        data = ref.message("config", CONFIG | changes) if changes else ref.pack([2, "library-1-door", "door"])
        given = {"do": "decode", "message": "config", "bytes": data.hex()}
        scenario(f"decode-config-{name}", "7.6", rule, given, failure="malformed")
    for missing in ("version", "gate", "kind"):
        fields = {key: value for key, value in CONFIG.items() if key != missing}
        given = {"do": "decode", "message": "config", "bytes": ref.message("config", fields).hex()}
        rule = "Version, gate and kind have no standard value."
        scenario(f"decode-config-without-{missing}", "7.6", rule, given, failure="malformed")


def _in(part: str, **changes: Any) -> Json:
    return {part: CONFIG[part] | changes}


def _profiles() -> None:
    profiles = {"version": NOW, "profiles": {"acr122u": TOML, "pn532-uart": 'name = "pn532-uart"\n'}}
    encoded("profiles", "7.6", "The texts of profile files, by name.", "profiles", profiles)
    none = {"version": NOW + 1, "profiles": {}}
    encoded("profiles-none", "7.6", "No profile is published any more: the agent's own hold.", "profiles", none)
    full = {"version": NOW, "profiles": {"acr122u": "#" * 16_384}}
    encoded("profiles-of-a-full-text", "1.3", "A text has 16,384 characters at most.", "profiles", full)
    for name, fields, rule in (
        ("unknown-field", {**profiles, "evidence": "none"}, "Maps are as strict as arrays."),
        ("without-version", {"profiles": {}}, "A part has a version."),
        ("without-profiles", {"version": NOW}, "An empty set is said."),
        ("long-text", {"version": NOW, "profiles": {"acr122u": "#" * 16_385}}, "16,384 characters at most."),
        ("text-as-bytes", {"version": NOW, "profiles": {"acr122u": TOML.encode()}}, "A text is text."),
        ("name-empty", {"version": NOW, "profiles": {"": TOML}}, "A name is not empty."),
        ("name-too-long", {"version": NOW, "profiles": {"a" * 65: TOML}}, "64 characters at most."),
        ("65-of-them", {"version": NOW, "profiles": {f"r{n}": TOML for n in range(65)}}, "64 profiles at most."),
    ):
        given = {"do": "decode", "message": "profiles", "bytes": ref.message("profiles", fields).hex()}
        scenario(f"decode-profiles-{name}", "7.6", rule, given, failure="malformed")
    given = {"do": "decode", "message": "profiles", "zero_bytes": 262_145}
    scenario("decode-profiles-above-their-limit", "1.3", "Size is judged before content.", given, failure="oversized")


def _names() -> None:
    rows = [{"subject": SUBJECT, "name": "王○明"}, {"subject": "5c" * 16, "name": "J. S."}]
    names = {"domain": DOMAIN, "version": NOW, "names": rows}
    encoded("names", "5.12", "Masked names of those who agreed.", "names", names)
    encoded("names-none", "5.12", "Nobody agreed, or nobody any more.", "names", {**names, "names": []})
    for name, data, rule in (
        ("short-subject", ref.pack([DOMAIN, NOW, [[bytes(15), "○"]]]), "A subject has 16 bytes."),
        ("empty-name", ref.pack([DOMAIN, NOW, [[bytes(16), ""]]]), "Who has no name is not listed."),
        ("long-name", ref.pack([DOMAIN, NOW, [[bytes(16), "○" * 65]]]), "64 characters at most."),
        ("third-column", ref.pack([DOMAIN, NOW, [[bytes(16), "○", "0912"]]]), "A subject, a name, nothing else."),
        ("domain-with-a-zero-byte", ref.pack(["a\0b", NOW, []]), "A domain's name holds no control characters."),
        ("without-rows", ref.pack([DOMAIN, NOW]), "An empty list is said."),
    ):
        given: Json = {"do": "decode", "message": "names", "bytes": data.hex()}
        scenario(f"decode-names-{name}", "5.12", rule, given, failure="malformed")
    given = {"do": "decode", "message": "names"}
    given |= {"begins": (ref.pack([DOMAIN, NOW, []])[:-1] + b"\xdd" + (100_001).to_bytes(4)).hex()}
    given |= {"repeated_row": ref.pack([bytes(16), "○"]).hex(), "times": 100_001}
    scenario("decode-names-of-100001", "1.3", "100,000 names at most.", given, failure="malformed")


def _pins() -> None:
    given: Json = {"do": "slow-pin", "pin": PIN, "salt": SALT}
    scenario("pin-slow", "3", "The costly half is scrypt of the PIN's digits.", given, {"slow": SLOW.hex()})
    longest = ref.slow_pin("000000000000", bytes(16))
    given = {"do": "slow-pin", "pin": "000000000000", "salt": "00" * 16}
    scenario("pin-slow-of-12-digits", "3", "A PIN has 12 digits at most.", given, {"slow": longest.hex()})
    for name, pin, rule in (
        ("of-5-digits", "20481", "A PIN has 6 digits at least."),
        ("of-13-digits", "2048163264128", "A PIN has 12 digits at most."),
        ("with-a-letter", "20481O", "Letters are no digits."),
        ("with-wide-digits", "２０４８１６", "Digits are ASCII."),
        ("with-a-newline", "204816\n", "Digits and nothing else."),
        ("empty", "", "Nothing is no PIN."),
    ):
        given = {"do": "slow-pin", "pin": pin, "salt": SALT}
        scenario(f"pin-refused-{name}", "3", rule, given, failure="malformed")
    for name, key, staff in (
        ("good", DOMAIN_KEY, STAFF),
        ("of-another-person", DOMAIN_KEY, "desk-3"),
        ("in-another-domain", bytes(32), STAFF),
        ("of-a-name-in-chinese", DOMAIN_KEY, "服務台"),
    ):
        given = {"do": "pin-verifier", "domain_key": key.hex(), "staff": staff, "slow": SLOW.hex()}
        rule = "What gates hold binds the domain's key, the person and the costly half."
        expect = {"verifier": ref.pin_verifier(key, staff, SLOW).hex()}
        scenario(f"pin-verifier-{name}", "3", rule, given, expect)
    good: Json = {"domain_key": DOMAIN_KEY.hex(), "staff": STAFF, "salt": SALT, "verifier": VERIFIER.hex(), "pin": PIN}
    for name, changes, rule in (
        ("right", {}, "The right PIN fits."),
        ("wrong", {"pin": "204817"}, "Another PIN does not."),
        ("no-pin", {"pin": "open"}, "What is no PIN does not fit, and is no failure."),
        ("another-persons", {"staff": "desk-3"}, "Nor does another person's."),
        ("under-another-key", {"domain_key": "00" * 32}, "Without the domain's key a PIN fits nowhere."),
        ("other-salt", {"salt": "00" * 16}, "The salt is bound in."),
    ):
        given = {"do": "pin-fits", **good, **changes}
        scenario(f"pin-fits-{name}", "3", rule, given, {"fits": _fits(given)})
        if _fits(given) == bool(changes):
            raise AssertionError(name)


def _fits(given: Json) -> bool:
    key, salt = bytes.fromhex(given["domain_key"]), bytes.fromhex(given["salt"])
    try:
        made = ref.pin_verifier(key, given["staff"], ref.slow_pin(given["pin"], salt))
    except ref.No:
        return False
    return made.hex() == given["verifier"]
