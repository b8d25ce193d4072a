"""UIDs, tokens, fingerprints (SPEC §2, §3)."""

from tests.vectors import reference as ref
from tests.vectors.scenario import DOMAIN_KEY, scenario

PARSED = {
    "hex": ("2A83155E", "hex", "Hex in air order is taken as it stands."),
    "hex-lower-case-with-colons": ("2a:83:15:5e", "hex", "Colons are dropped and case does not matter."),
    "hex-with-0x": ("0x2A83155E", "hex", "A leading 0x is dropped."),
    "hex-with-spaces-and-hyphens": (" 2A 83-15 5E ", "hex", "Spaces and hyphens are dropped."),
    "hex-reversed": ("5E15832A", "hex-reversed", "Reversed hex begins with the last byte in air order."),
    "decimal": ("0713233758", "decimal", "Ten decimal digits are a big-endian 4-byte number."),
    "decimal-without-its-zero": ("713233758", "decimal", "A leading zero that a spreadsheet ate is restored."),
    "decimal-reversed": ("1578468138", "decimal-reversed", "A decimal can be of the reversed bytes."),
    "wiegand-34": ("7186A61E", "hex-reversed", "Wiegand-34 gives the bytes of the air order reversed."),
    "hex-seven-bytes": ("04A1B2C3D4E5F6", "hex", "Fourteen hex digits are seven bytes."),
    "hex-seven-bytes-without-its-zero": ("4A1B2C3D4E5F6", "hex", "One lost zero of seven bytes is restored."),
    "hex-four-bytes-without-its-zero": ("4A1B2C3", "hex", "One lost zero of four bytes is restored."),
    "hex-ten-bytes": ("04A1B2C3D4E5F6070809", "hex", "Twenty hex digits are ten bytes."),
    "hex-ten-bytes-without-its-zero": ("4A1B2C3D4E5F6070809", "hex", "One lost zero of ten bytes is restored."),
    "decimal-seven-bytes": ("01304222843823606", "decimal", "Seventeen decimal digits are seven bytes."),
    "decimal-seven-bytes-without-its-zero": ("1304222843823606", "decimal", "The shortest length that holds it."),
    "decimal-full-width-keeps-zeros": ("00000000000000001", "decimal", "At full width the width tells the length."),
    "decimal-ten-bytes": ("0000000000000000000000042", "decimal", "Twenty-five decimal digits are ten bytes."),
    "decimal-one-digit": ("7", "decimal", "A short number is a 4-byte UID that lost its zeros."),
    "decimal-full-width-too-large": (
        "4294967296",
        "decimal",
        "Too large for its width: the next length.",
    ),
}
NOT_PARSED = {
    "wiegand-26": ("83155E", "hex", "wrong-length", "Six hex digits are Wiegand-26: a byte is gone, nothing to match."),
    "wiegand-26-reversed": ("15832A", "hex-reversed", "wrong-length", "Wiegand-26 is refused in any order."),
    "hex-of-five-bytes": ("2A83155E01", "hex", "wrong-length", "No UID has five bytes."),
    "hex-empty": ("", "hex", "not-a-number", "Nothing is no UID."),
    "hex-with-other-letters": ("2A83155G", "hex", "not-a-number", "Other letters are no hex digits."),
    "hex-with-wide-digits": ("２A83155E", "hex", "not-a-number", "Digits are ASCII."),
    "decimal-with-letters": ("07132A3758", "decimal", "not-a-number", "Letters are no decimal digits."),
    "decimal-with-a-point": ("7.13E8", "decimal", "not-a-number", "A number that a spreadsheet rounded is refused."),
    "decimal-with-other-digits": ("٠٧١٣٢٣٣٧٥٨", "decimal", "not-a-number", "Digits are ASCII."),
    "decimal-beyond-ten-bytes": ("1208925819614629174706176", "decimal", "wrong-length", "2^80 needs eleven bytes."),
    "decimal-of-26-digits": ("0" * 26, "decimal", "wrong-length", "No UID is written in more than 25 digits."),
}
READ = {
    "ambiguous": ("12345678", "Eight decimal digits can be hex or decimal, either way round: a person decides."),
    "hex-either-way": ("2A83155E", "Hex whose order is not known names two cards."),
    "palindrome": ("2A83832A", "The same bytes either way round are one card."),
    "one-reading": ("713233758", "Nine digits are only a decimal, yet of either order."),
    "no-reading": ("hello", "Text that no notation reads names no card."),
}
JUDGED = {
    "usable": ("2a83155e", 0x08, "Four bytes with no mark against them can be used."),
    "random": ("08a1b2c3", 0x08, "Four bytes beginning 08 are new at every read."),
    "seven-bytes-beginning-08": ("08a1b2c3d4e5f6", 0x00, "Seven bytes may begin with 08."),
    "placeholder-up": ("01020304", 0x20, "A number that many phones share."),
    "placeholder-down": ("04030201", None, "A number that many phones share."),
    "placeholder-zeros": ("00000000", None, "All zeros are no card."),
    "placeholder-ones": ("ffffffff", None, "All ones are no card, though the first byte ends in F."),
    "incomplete": ("8804a1b2", 0x04, "SAK bit 3 says that only one cascade level was read."),
    "incomplete-before-random": ("08a1b2c3", 0x24, "Completeness is judged before the first byte."),
    "beginning-88-complete": ("8804a1b2", 0x08, "Four bytes may begin with 88 when the SAK says complete."),
    "beginning-88-unknown-sak": ("8804a1b2", None, "Without a SAK a first byte of 88 proves nothing."),
    "one-byte": ("04", None, "The one-byte answer of some firmware is an error, not a card."),
    "empty": ("", None, "An empty answer is an error, not a card."),
    "five-bytes": ("0102030405", 0x04, "The length is judged first."),
    "low-nibble-f": (
        "2fa1b2c3",
        0x08,
        "A first byte ending in F is fixed, not unique: accepted and said to be so.",
    ),
    "seven-bytes-low-nibble-f": ("2fa1b2c3d4e5f6", 0x08, "Only four-byte UIDs have the shared range."),
    "ten-bytes": ("04a1b2c3d4e5f6070809", 0x20, "Ten bytes are a triple-size UID."),
}


def build() -> None:
    for name, (text, notation, rule) in PARSED.items():
        given = {"do": "parse-uid", "text": text, "notation": notation}
        scenario(f"uid-parse-{name}", "2.3", rule, given, {"raw": ref.parse_uid(text, notation).hex()})
    for name, (text, notation, failure, rule) in NOT_PARSED.items():
        given = {"do": "parse-uid", "text": text, "notation": notation}
        try:
            ref.parse_uid(text, notation)
        except ref.No as no:
            if str(no) != failure:
                raise
        else:
            raise AssertionError(name)
        scenario(f"uid-refuse-{name}", "2.3", rule, given, failure=failure)
    for name, (text, rule) in READ.items():
        readings = {}
        for notation in ("hex", "hex-reversed", "decimal", "decimal-reversed"):
            try:
                readings[notation] = ref.parse_uid(text, notation).hex()
            except ref.No:
                continue
        expect = {"readings": readings, "ambiguous": len(set(readings.values())) > 1}
        scenario(f"uid-read-{name}", "2.3", rule, {"do": "read-uid", "text": text}, expect)
    for name, raw in (("four", "2a83155e"), ("zeros", "00000001"), ("seven", "00a1b2c3d4e5f6"), ("ten", "01" * 10)):
        rule = "Written out, every notation has its full width."
        scenario(f"uid-write-{name}", "2.3", rule, {"do": "write-uid", "raw": raw}, ref.write_uid(bytes.fromhex(raw)))
    for name, (raw, sak, rule) in JUDGED.items():
        expect = {
            "problem": ref.judge_uid(bytes.fromhex(raw), sak),
            "shared": len(raw) == 8 and raw[1] == "f",
        }
        scenario(f"uid-judge-{name}", "2.2", rule, {"do": "judge-uid", "raw": raw, "sak": sak}, expect)
    _tokens()


def _tokens() -> None:
    for name, key, raw, rule in (
        ("four-bytes", DOMAIN_KEY, "2a83155e", "A token is 16 bytes of HMAC-SHA-256 under the domain's key."),
        ("other-domain", bytes(32), "2a83155e", "Another domain's key gives an unrelated token."),
        ("seven-bytes", DOMAIN_KEY, "04a1b2c3d4e5f6", "The length is part of what is hashed."),
        ("leading-zeros", DOMAIN_KEY, "0000002a83155e", "Zeros in front make another UID, so another token."),
        ("ten-bytes", DOMAIN_KEY, "04a1b2c3d4e5f6070809", "Ten bytes likewise."),
    ):
        given = {"do": "token", "domain_key": key.hex(), "raw": raw}
        scenario(f"token-{name}", "3", rule, given, {"token": ref.token(key, bytes.fromhex(raw)).hex()})
    token = ref.token(DOMAIN_KEY, bytes.fromhex("2a83155e"))
    atr = bytes.fromhex("3b8f8001804f0ca000000306030001000000006a")
    for name, sak, chip, rule in (
        ("sak-and-atr", 0x08, atr, "A fingerprint binds token, SAK and ATR."),
        ("no-sak", None, atr, "A SAK that the reader hides counts as ff."),
        ("no-atr", 0x08, b"", "A reader without ATR leaves it empty."),
    ):
        given = {"do": "fingerprint", "token": token.hex(), "sak": sak, "atr": chip.hex()}
        scenario(f"fingerprint-{name}", "3", rule, given, {"fingerprint": ref.fingerprint(token, sak, chip).hex()})
