"""Which profile a reader gets: by USB identifier, by name, by whose word goes first, by firmware."""

import plistlib
from pathlib import Path

import msgspec
import pytest

from firmware_profiles import GENERIC, Profile, ProfileBook, load_profiles, parse_profile
from tests.firmware_profiles.test_loader import TEXTS

INFO = Path("/usr/lib/pcsc/drivers/ifd-ccid.bundle/Contents/Info.plist")

# reader, USB identifiers, names as libccid and acsccid give them
KNOWN = {
    "acr122u": (["072F:2200", "072F:90CC"], ["ACS ACR122U PICC Interface", "ACS ACR122U"]),
    "acr1251u": (["072F:221A"], ["ACS ACR1251 Dual Reader", "ACS ACR1251 1S CL Reader"]),
    "acr1252u": (
        ["072F:223B", "072F:223E", "072F:2259"],
        ["ACS ACR1252 Dual Reader", "ACS ACR1252 1S CL Reader", "ACS ACR1252 Reader", "ACS ACR1252 CL Reader"],
    ),
    "acr1255u-j1": (["072F:223F"], ["ACS ACR1255U-J1", "ACS ACR1255U-J1 PICC Reader"]),
    "acr1281u-c1": (["072F:2224"], ["ACS ACR1281 1S Dual Reader", "ACS ACR1281U"]),
    "omnikey-5022": (["076B:5022"], ["HID Global OMNIKEY 5022 Smart Card Reader"]),
    "omnikey-5422": (
        ["076B:5422"],
        [
            "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader]",
            "HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader]",
        ],
    ),
    "utrust-3700f": (["04E6:5790"], ["Identiv uTrust 3700 F CL Reader"]),
    "scl3711": (["04E6:5591"], []),
    "rc-s380": (["054C:06C1", "054C:06C3"], []),
    "rc-s300": (["054C:0DC8", "054C:0DC9"], ["SONY FeliCa RC-S300/S", "SONY FeliCa RC-S300/P"]),
    "feitian-r502": (["096E:060D", "096E:0608"], ["Feitian R502 [R502 Contactless Reader]", "Feitian 502-CL"]),
}


@pytest.mark.parametrize(("name", "usb"), [(name, usb) for name, (ids, _) in KNOWN.items() for usb in ids])
def test_a_reader_is_recognised_on_usb_whatever_it_calls_itself(name: str, usb: str) -> None:
    for written in (usb, usb.lower()):
        matched = ProfileBook().match("ACS ACR1251 1S CL Reader 00 00", written)
        assert (matched.profile.name, matched.why, matched.source) == (name, f"usb {usb}", "shipped")


@pytest.mark.parametrize(("name", "called"), [(name, called) for name, (_, names) in KNOWN.items() for called in names])
def test_a_reader_is_recognised_by_its_name_and_by_no_other_profiles(name: str, called: str) -> None:
    for slot in (f"{called} 00 00", f"{called} (0123456789) 01 00", called.upper()):
        fitting = [
            profile.name
            for profile in load_profiles().values()
            if any(part.found_in(slot) for part in profile.match.names)
        ]
        assert fitting == [name], slot
        assert ProfileBook().match(slot).why == f"name {slot!r}"


def test_no_usb_identifier_stands_in_two_profiles() -> None:
    ids = [usb for profile in load_profiles().values() for usb in profile.match.usb]
    assert len(ids) == len(set(ids))


@pytest.mark.system
def test_the_names_that_libccid_gives_are_those_of_the_same_profile() -> None:
    info = plistlib.loads(INFO.read_bytes())
    listed = zip(info["ifdVendorID"], info["ifdProductID"], info["ifdFriendlyName"], strict=True)
    book, compared = ProfileBook(), 0
    for vendor, product, called in listed:
        by_usb = book.match("", f"{int(vendor, 16):04X}:{int(product, 16):04X}")
        if by_usb.why.startswith("usb ") and "ACR 38U" not in called:  # shares its identifier with old ACR122U
            assert book.match(f"{called} 00 00").profile.name == by_usb.profile.name, called
            compared += 1
    assert compared >= 12


@pytest.mark.parametrize(
    ("reader_name", "skipped"),
    [
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader SAM] 00 01", True),
        ("ACS ACR1252 Dual Reader [ACR1252 Dual Reader PICC] 00 00", False),
        ("ACS ACR1281 1S Dual Reader [ACR1281 1S Dual Reader ICC] 00 00", True),
        ("ACS ACR1281 1S Dual Reader [ACR1281 1S Dual Reader PICC] 00 01", False),
        ("Feitian R502 [R502 Contact Reader] 00 01", True),
        ("Feitian R502 [R502 SAM1 Reader] 00 02", True),
        ("Feitian R502 [R502 Contactless Reader] 00 00", False),
        ("HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422 Smartcard Reader] 01 00", True),
        ("HID Global OMNIKEY 5422 Smartcard Reader [OMNIKEY 5422CL Smartcard Reader] 00 00", False),
        ("Nobody's Dual Reader [SAM] 00 01", True),
        ("Samsung Reader 00 00", False),
    ],
)
def test_slots_that_hold_no_citizen_card_are_skipped(reader_name: str, skipped: bool) -> None:
    pcsc = ProfileBook().match(reader_name).profile.pcsc
    assert pcsc is not None
    assert pcsc.skips(reader_name) is skipped


def test_a_reader_that_no_profile_names_gets_the_generic_one() -> None:
    matched = ProfileBook().match("Nobody's Reader 00 00", "DEAD:BEEF")
    assert (matched.profile.name, matched.why) == (GENERIC, "no other profile fits")


def test_a_profile_without_pcsc_is_found_on_usb_unless_pcsc_is_asked_for() -> None:
    assert ProfileBook().match("", "04E6:5591").profile.name == "scl3711"
    assert ProfileBook().match("", "04E6:5591", transport="pcsc").profile.name == GENERIC


@pytest.mark.parametrize(
    ("path", "usb", "name", "why"),
    [
        ("usb:072f:2200", "", "acr122u", "path 'usb:072f:2200'"),
        ("usb:04E6:5591", "", "scl3711", "path 'usb:04E6:5591'"),
        ("usb", "054c:06c3", "rc-s380", "usb 054C:06C3"),
        ("tty:USB0:pn532", "", "pn532-uart", "path 'tty:USB0:pn532'"),
        ("tty:AMA0:pn532", "", "pn532-uart", "path 'tty:AMA0:pn532'"),
        ("tty:/dev/serial/by-id/x:pn532", "", "pn532-uart", "path 'tty:/dev/serial/by-id/x:pn532'"),
    ],
)
def test_an_nfcpy_reader_is_recognised_by_its_path_or_what_was_opened(path: str, usb: str, name: str, why: str) -> None:
    matched = ProfileBook().match_path(path, usb)
    assert matched is not None
    assert (matched.profile.name, matched.why) == (name, why)


@pytest.mark.parametrize("path", ["usb", "udp:127.0.0.1:54321", "tty:USB0:arygon"])
def test_an_nfcpy_path_that_tells_nothing_has_no_profile(path: str) -> None:
    assert ProfileBook().match_path(path) is None


# --- whose word goes first -------------------------------------------------------------------------------------------


def written(name: str, usb: str = "", part: str = "", versions: str = "") -> Profile:
    """A small profile that recognises a reader by this."""
    text = TEXTS["omnikey-5022"].replace('"omnikey-5022"', f'"{name}"')
    text = text.replace('usb = ["076B:5022"]', f"usb = [{usb and repr(usb)}]")
    text = text.replace(
        'names = ["OMNIKEY 5022 Smart Card Reader", "OMNIKEY 5022"]', f"names = [{part and repr(part)}]"
    )
    if versions:
        step = '[[pcsc.startup]]\nname = "v"\ncommand = "FF"\nsend = "apdu"\n'
        text += f'{step}[pcsc.firmware]\nstep = "v"\nafter = "V"\n{versions}\n'
    return parse_profile(name, text)


def by_name(*profiles: Profile) -> dict[str, Profile]:
    return {profile.name: profile for profile in profiles}


def test_local_goes_before_published_before_shipped() -> None:
    local, published = by_name(written("acr122u", "1111:2222")), by_name(written("acr122u", "3333:4444"))
    books = (ProfileBook(local, published, 3), ProfileBook({}, published, 3), ProfileBook())
    assert [matched.label for book in books if (matched := book.named("acr122u"))] == [
        "acr122u (local)",
        "acr122u (published 3)",
        "acr122u",
    ]
    assert [book.match("", "072F:2200").profile.name for book in books] == [GENERIC, GENERIC, "acr122u"]


@pytest.mark.parametrize("other", ["aaa", "zzz"])
def test_a_local_profile_for_the_same_reader_goes_first_whatever_its_name(other: str) -> None:
    book = ProfileBook(by_name(written(other, "072F:2200")), by_name(written("mmm", "072F:2200")), 3)
    assert book.match("", "072F:2200").label == f"{other} (local)"


def test_what_is_on_usb_goes_before_a_name_even_where_the_name_is_local() -> None:
    book = ProfileBook(by_name(written("by-name", part="ACR122U")))
    assert book.match("ACS ACR122U 00 00").label == "by-name (local)"
    assert book.match("ACS ACR122U 00 00", "072F:2200").label == "acr122u"


def test_matching_does_not_depend_on_the_order_in_which_profiles_came() -> None:
    first, second = written("first", part="Same"), written("second", part="Same")
    for profiles in ((first, second), (second, first)):
        assert ProfileBook(by_name(*profiles)).match("Same 00 00").profile.name == "first"


def test_a_book_says_nothing_of_a_name_it_does_not_have() -> None:
    assert ProfileBook().named("acr122") is None


# --- firmware --------------------------------------------------------------------------------------------------------


def test_a_profile_that_is_not_for_the_firmware_gives_way_to_one_that_is() -> None:
    old = written("old", "1111:2222", versions='max = "1.9"')
    new = written("new", "1111:2222", versions='min = "2.0"')
    book = ProfileBook(by_name(old, new))
    assert [book.match("", "1111:2222", firmware).profile.name for firmware in ("V1.9", "V2.0", "V1.10", "")] == [
        "old",
        "new",
        GENERIC,
        "new",
    ]
    assert book.match("", "1111:2222", "V1.9").why == (
        "usb 1111:2222; new (local) is for firmware 2.0 and later, this is 1.9"
    )
    assert book.match("", "1111:2222", "V1.10").why == (
        "no other profile fits; new (local) is for firmware 2.0 and later, this is 1.10; "
        "old (local) is for firmware up to 1.9, this is 1.10"
    )


def test_a_firmware_whose_version_cannot_be_told_speaks_against_no_profile() -> None:
    book = ProfileBook(by_name(written("new", "1111:2222", versions='min = "2.0"')))
    assert book.match("", "1111:2222", "something else").profile.name == "new"


def test_profiles_written_alike_are_equal() -> None:
    for name, text in TEXTS.items():
        assert parse_profile(name, text) == load_profiles()[name]
    assert msgspec.structs.replace(load_profiles()["acr122u"], poll_ms=40) != load_profiles()["acr122u"]
