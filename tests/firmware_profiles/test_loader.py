"""Profiles: those shipped load, and a mistake in one is named."""

from importlib import resources

import pytest

from firmware_profiles import (
    GENERIC,
    HexBytes,
    NamePattern,
    ProfileError,
    StatusWord,
    load_profiles,
    match,
    parse_profile,
)

STEMS = sorted(
    file.name.removesuffix(".toml")
    for file in resources.files("firmware_profiles").iterdir()
    if file.name.endswith(".toml")
)
GOOD = resources.files("firmware_profiles").joinpath(f"{GENERIC}.toml").read_text("utf-8")


@pytest.mark.parametrize("stem", STEMS)
def test_every_shipped_profile_loads(stem: str) -> None:
    assert load_profiles()[stem].name == stem


def test_the_generic_profile_asks_for_the_uid_as_pcsc_says() -> None:
    profile = load_profiles()[GENERIC]
    assert profile.uid_command.raw == bytes.fromhex("FFCA000000")
    assert [word.fits(0x90, 0x00) for word in profile.status.success] == [True]


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("poll_ms = 250", "poll_msec = 250", "unknown field `poll_msec`"),
        ("[match]", "[match]\ncolour = 1", "unknown field `colour` - at `$.match`"),
        ("FF CA 00 00 00", "FF CA 0", "at `$.uid_command`"),
        ("FF CA 00 00 00", "", "no bytes - at `$.uid_command`"),
        ('"FF CA 00 00 00"', "5", "expected text, got int - at `$.uid_command`"),
        ('"9000"', '"90 00"', "at `$.status.success[0]`"),
        ('"6Cxx"', '"6Czz"', "'6Czz' is not a status word such as 9000 or 6Cxx - at `$.status.failure[3]`"),
        (r"'\bSAM\b'", "'(SAM'", "at `$.skip[0]`"),
        ("stable_reads = 2", "stable_reads = 0", "at `$.stable_reads`"),
        ("usb = []", 'usb = ["72f:2200"]', "at `$.match.usb[0]`"),
        ('name = "generic-pcsc"', 'name = "other"', "at `$.name`"),
        ('name = "generic-pcsc"', "name = ", "Invalid value"),
        ('evidence = "', 'evidence = ""\n#', "at `$.evidence`"),
    ],
)
def test_a_mistake_is_refused_with_its_file_and_place(old: str, new: str, place: str) -> None:
    assert old in GOOD
    with pytest.raises(ProfileError) as refusal:
        parse_profile(GENERIC, GOOD.replace(old, new, 1))
    assert str(refusal.value).startswith(f"{GENERIC}.toml: ")
    assert place in str(refusal.value)


def test_a_reader_without_a_profile_gets_the_generic_one() -> None:
    assert match("Nobody's Reader 00 00").name == GENERIC


@pytest.mark.parametrize(
    ("reader_name", "skipped"),
    [
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01", True),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", False),
        ("ACS ACR1281 1S Dual Reader [ACR1281 1S Dual Reader ICC] 00 00", True),
        ("Feitian R502 [R502 Contact Reader] 00 01", True),
        ("Feitian R502 [R502 Contactless Reader] 00 00", False),
        ("Samsung Reader 00 00", False),
    ],
)
def test_slots_that_hold_no_citizen_card_are_skipped(reader_name: str, skipped: bool) -> None:
    assert load_profiles()[GENERIC].skips(reader_name) is skipped


def test_an_x_in_a_status_word_stands_for_any_digit() -> None:
    assert StatusWord("6Cxx").fits(0x6C, 0x07)
    assert not StatusWord("6Cxx").fits(0x6D, 0x07)
    assert not StatusWord("6300").fits(0x63, 0x01)


def test_bytes_and_patterns_are_read_as_people_write_them() -> None:
    assert HexBytes("ff CA00").raw == b"\xff\xca\x00"
    assert NamePattern("acr122u").found_in("ACS ACR122U PICC Interface 00 00")
