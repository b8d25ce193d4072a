"""Whatever could be a UID, a token, a key, a join token or a PIN is taken out, in every notation that people write."""

import base64
import os
import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edge_agent.support.redaction import GONE, betrays, redacted
from protocol.uid import CardUID, Notation

UIDS = ("2a83155e", "04a1b2c3d4e5f6", "1122334455667788990a")
PINS = ("271828", "3141592", "161803398874")


def forms_of(raw: bytes) -> list[str]:
    """How a program or a person may have written these bytes."""
    found = [raw.hex(separator) for separator in (" ", ":", "-", ".", ",", "_")] + [raw.hex(), raw.hex().upper()]
    found += [f"0x{raw.hex()}", raw.hex(":").upper(), ", ".join(f"0x{byte:02X}" for byte in raw)]
    found += [str(list(raw)), str(tuple(raw)), repr(raw), repr(raw)[2:-1], str(raw[::-1].hex())]
    found += [" ".join(map(str, raw)), "".join(f"\\x{byte:02x}" for byte in raw)]
    if len(raw) in (4, 7, 10):
        found += [CardUID(raw).in_notation(notation) for notation in Notation]
    else:
        found += [base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()]
    return found


@pytest.mark.parametrize("uid", UIDS)
def test_a_uid_is_taken_out_in_every_notation(uid: str) -> None:
    for form in forms_of(bytes.fromhex(uid)):
        for text in (form, f"card {form} at the door", f"uid={form}", f"({form})", f"卡片{form}，拒絕"):
            left = redacted(text)
            assert GONE in left, text
            assert form not in left


@example(b"@HvSWZ5vLOzOL@vapZaZ=zN\\Ot12j%aa")  # what looks like an address within it was taken out first, and alone
@given(st.binary(min_size=16, max_size=64).filter(lambda raw: len(set(raw)) > 8))
def test_a_token_or_key_leaves_no_eight_characters_of_itself(raw: bytes) -> None:
    for form in (raw.hex(), raw.hex(":"), f"0x{raw.hex().upper()}", repr(raw)):
        left = redacted(f"a key {form} somewhere")
        assert not any(form[at : at + 8] in left for at in range(len(form) - 7)), left


@pytest.mark.parametrize("pin", PINS)
def test_a_pin_is_taken_out(pin: str) -> None:
    for text in (pin, f"PIN {pin} refused", f"pin={pin}", f"「{pin}」", "-".join((pin[:3], pin[3:]))):
        assert pin[:3] not in redacted(text)


def test_a_join_token_and_what_stands_before_an_at_sign_are_taken_out() -> None:
    left = redacted("tapgate1:gqRodHRwc6hzZWNyZXQ http://user:word@central.example/ somebody@city.example")
    assert "gqRo" not in left
    assert "word" not in left
    assert "somebody" not in left
    assert "central.example" in left


def test_what_is_harmless_and_shapes_stay() -> None:
    harmless = ("door-1-5f3a9c0d1b2e4f60",)
    value = {"device": harmless[0], "backlog": 12_345_678, "ok": True, "none": None, "list": ["usb-1 ready", 1.5]}
    assert redacted(value, harmless) == value
    assert redacted(f"{harmless[0]} read 2a83155e", harmless) == f"{harmless[0]} read {GONE}"
    assert redacted("the reader front is ready, profile acr1252u") == "the reader front is ready, profile acr1252u"


def test_keys_of_a_map_are_redacted_too() -> None:
    assert redacted({"2a83155e": 1}) == {GONE: 1}


def test_the_last_look_finds_a_known_secret_in_every_notation() -> None:
    secret = os.urandom(32)
    for form in [*forms_of(secret), base64.b32encode(secret).decode(), str(int.from_bytes(secret))]:
        if form.startswith(("[", "(")) or " " in form:
            continue  # written as numbers it is no run that could be found again; the patterns take that out
        assert betrays(f"x {form} y", [secret]), form
    assert not betrays("nothing of it " + os.urandom(32).hex(), [secret])
    assert not betrays("short ones are in everything: 00", [b"\0"])


def test_hex_digits_that_are_glued_to_a_word_are_taken_out() -> None:
    assert redacted("door2a83155eward") == f"door{GONE}ward"


def test_a_long_text_is_redacted_in_the_time_that_reading_it_takes() -> None:
    started_s = time.monotonic()
    for text in ("a1 " * 50_000, "1, " * 50_000, "b'" * 50_000, "x@" * 50_000, "aB1_" * 30_000, "\\x00" * 30_000):
        redacted(text)
    assert time.monotonic() - started_s < 5
