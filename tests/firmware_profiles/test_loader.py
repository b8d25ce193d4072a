"""Profiles: those shipped load, and a mistake in one is named."""

from importlib import resources

import pytest

from firmware_profiles import GENERIC, ProfileError, load_profiles, parse_profile, parse_published
from firmware_profiles.loader import LARGEST_BYTES

TEXTS = {
    file.name.removesuffix(".toml"): file.read_text("utf-8")
    for file in sorted(resources.files("firmware_profiles").iterdir(), key=lambda file: file.name)
    if file.name.endswith(".toml")
}
MODELS = {
    *("acr122u", "acr1251u", "acr1252u", "acr1255u-j1", "acr1281u-c1", "feitian-r502", "generic-pcsc", "omnikey-5022"),
    *("omnikey-5422", "pn532-uart", "rc-s300", "rc-s380", "scl3711", "utrust-3700f"),
}


def test_every_model_has_its_profile() -> None:
    assert set(TEXTS) == set(load_profiles()) == MODELS


@pytest.mark.parametrize("stem", TEXTS)
def test_a_shipped_profile_loads_and_is_short_enough_to_be_published(stem: str) -> None:
    assert load_profiles()[stem].name == stem
    assert len(TEXTS[stem].encode()) <= LARGEST_BYTES


def test_no_shipped_profile_claims_hardware_that_nobody_tried() -> None:
    assert [name for name, profile in load_profiles().items() if profile.hardware_tested] == []


def test_the_generic_profile_asks_for_the_uid_as_pcsc_says_and_for_nothing_else() -> None:
    pcsc = load_profiles()[GENERIC].pcsc
    assert pcsc is not None
    assert pcsc.uid_command.raw == bytes.fromhex("FFCA000000")
    assert [word.fits(0x90, 0x00) for word in pcsc.status.success] == [True]
    assert (pcsc.startup, pcsc.lights, pcsc.escape) == ((), {}, None)


def test_an_acr122u_pattern_lasts_as_long_as_the_reader_blinks() -> None:
    """FF 00 40 P2 04 T1 T2 N link: (T1 + T2) × N × 100 ms, in which no card is read."""
    pcsc = load_profiles()["acr122u"].pcsc
    assert pcsc is not None
    for name, pattern in pcsc.lights.items():
        for step in pattern:
            *_, t1, t2, times, _ = step.command.raw
            assert step.lasts_ms == (t1 + t2) * times * 100, name


# --- mistakes --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stem", "old", "new", "place"),
    [
        (GENERIC, "poll_ms = 250", "poll_msec = 250", "unknown field `poll_msec`"),
        (GENERIC, "poll_ms = 250", "poll_ms = 5", "at `$.poll_ms`"),
        (GENERIC, "FF CA 00 00 00", "FF CA 0", "at `$.pcsc.uid_command`"),
        (GENERIC, "FF CA 00 00 00", "FF CA 00 OO 00", "at `$.pcsc.uid_command`"),
        (GENERIC, "FF CA 00 00 00", "", "no bytes - at `$.pcsc.uid_command`"),
        (GENERIC, "FF CA 00 00 00", "00" * 262, "262 bytes, more than the 261 of a short APDU - at `$.pcsc.uid_comm"),
        (GENERIC, '"FF CA 00 00 00"', "5", "expected text, got int - at `$.pcsc.uid_command`"),
        (GENERIC, 'success = ["9000"]', "success = []", "at `$.pcsc.status.success`"),
        (GENERIC, '"9000"', '"90 00"', "at `$.pcsc.status.success[0]`"),
        (GENERIC, '"6Cxx"', '"6Czz"', "'6Czz' is not a status word such as 9000 or 6Cxx - at `$.pcsc.status.failure"),
        (GENERIC, '"SAM",', '" SAM",', "at `$.pcsc.skip[0]`"),
        (GENERIC, '"SAM",', '"",', "at `$.pcsc.skip[0]`"),
        (GENERIC, "stable_reads = 2", "stable_reads = 0", "at `$.stable_reads`"),
        (GENERIC, "usb = []", 'usb = ["72f:2200"]', "at `$.match.usb[0]`"),
        (GENERIC, 'name = "generic-pcsc"', 'name = "other"', "name is 'other', the file says 'generic-pcsc'"),
        (GENERIC, 'name = "generic-pcsc"', 'name = "Generic PCSC"', "at `$.name`"),
        (GENERIC, 'name = "generic-pcsc"', "name = ", "Invalid value"),
        (GENERIC, "evidence = [", "evidence = []\nmore = [", "at `$.evidence`"),
        (GENERIC, "hardware_tested = false", "", "missing required field `hardware_tested`"),
        (GENERIC, "hardware_tested = false", 'hardware_tested = "no"', "at `$.hardware_tested`"),
        ("acr122u", "control_code = 0x4200_0001", "control_code = -1", "at `$.pcsc.escape.control_code`"),
        ("acr122u", "[pcsc.escape]", "[pcsc.escapes]", "unknown field `escapes` - at `$.pcsc`"),
        ("acr122u", 'send = "either"', 'send = "whisper"', "'whisper' - at `$.pcsc.startup[0].send`"),
        ("acr122u", 'name = "silence"', 'name = "firmware"', "two start-up steps are named 'firmware' - at `$.pcsc`"),
        ("acr122u", 'step = "firmware"', 'step = "version"', "read by the step 'version', and there is none"),
        ("acr122u", 'after = "ACR122U"', 'after = ""', "at `$.pcsc.firmware.after`"),
        ("acr122u", 'min = "200"', 'min = "two"', "'two' is not a version such as 2.0 or 201 - at `$.pcsc.firmware.m"),
        (
            "acr122u",
            '"41 43 52 31 32 32 *"',
            '"* 41"',
            "is not an answer such as 9000, 90xx or E1000000* - at `",
        ),
        ("acr122u", "granted = [", "welcome = [", "'welcome' - at `key` in `$.pcsc.lights`"),
        ("acr122u", "lasts_ms = 400", "lasts_ms = 501", "at `$.pcsc.lights"),
        ("acr122u", "ready = [{", "ready = [] #", "at `$.pcsc.lights"),
        (
            "acr1252u",
            "pause_ms = 1500",
            "pause_ms = 2000, lasts_ms = 1",
            "the pattern 'error' lasts 2001 ms",
        ),
        ("acr122u", '"pn533_usb"', '"../pn533"', "at `$.kernel_modules[0]`"),
        ("acr122u", '"pn533_usb"', '"pn533\\n"', "at `$.kernel_modules[0]`"),
        ("acr122u", '"072F:2200"', '"072F:2200\\n"', "at `$.match.usb[0]`"),
        ("acr122u", '"power-cycle"]', '"hit-it"]', "'hit-it' - at `$.recovery.steps[3]`"),
        ("acr122u", '"power-cycle"]', '"reopen"]', "a step stands twice - at `$.recovery`"),
        ("pn532-uart", "[nfc]", "[nfcpy]", "unknown field `nfcpy`"),
        ("pn532-uart", "open_pause_ms = 1500", "open_pause_ms = 15_000", "at `$.nfc.open_pause_ms`"),
    ],
)
def test_a_mistake_is_refused_with_its_file_and_place(stem: str, old: str, new: str, place: str) -> None:
    assert old in TEXTS[stem]
    with pytest.raises(ProfileError) as refusal:
        parse_profile(stem, TEXTS[stem].replace(old, new, 1))
    assert str(refusal.value).startswith(f"{stem}.toml: ")
    assert place in str(refusal.value)


@pytest.mark.parametrize("stem", TEXTS)
def test_an_unknown_key_is_refused_in_every_table(stem: str) -> None:
    lines = TEXTS[stem].splitlines()
    tables = [number for number, line in enumerate(lines) if line.startswith("[") and line.endswith("]")]
    for number in tables:
        text = "\n".join([*lines[: number + 1], "colour = 1", *lines[number + 1 :]])
        with pytest.raises(ProfileError, match=r"colour"):
            parse_profile(stem, text)


NEITHER = 'name = "x"\nmodel = "x"\nhardware_tested = false\nevidence = ["nothing at all"]\n[match]\n'


@pytest.mark.parametrize(
    ("stem", "text", "reason"),
    [
        ("x", NEITHER, "neither a table `pcsc` nor a table `nfc`: nothing could drive it"),
        (GENERIC, NEITHER.replace('"x"', f'"{GENERIC}"', 1) + '[nfc]\npaths = ["usb"]', "has no table `pcsc`"),
        ("x", "", "missing required field `name`"),
        ("x", "a = " + "[" * 5000, "x.toml: "),
        ("x", "name = \x00", "x.toml: "),
    ],
)
def test_what_nothing_could_be_done_with_is_refused(stem: str, text: str, reason: str) -> None:
    with pytest.raises(ProfileError) as refusal:
        parse_profile(stem, text)
    assert reason in str(refusal.value)


def test_a_command_that_needs_escapes_needs_their_table() -> None:
    text = TEXTS["acr1252u"].replace("[pcsc.escape]\ncontrol_code = 0x4200_0001\ndriver_option = 0x01\n", "")
    with pytest.raises(ProfileError, match="sent as an escape, and there is no table `escape` - at `\\$.pcsc`"):
        parse_profile("acr1252u", text)


# --- published -------------------------------------------------------------------------------------------------------


def test_what_central_published_is_read_by_name() -> None:
    published = parse_published({name: TEXTS[name] for name in ("acr122u", "rc-s380")})
    assert {name: profile.name for name, profile in published.items()} == {"acr122u": "acr122u", "rc-s380": "rc-s380"}
    assert parse_published({}) == {}


def test_one_bad_published_profile_refuses_them_all_by_its_name() -> None:
    with pytest.raises(ProfileError, match=r"^rc-s380\.toml: .*unknown field `nfcpy`"):
        parse_published({"acr122u": TEXTS["acr122u"], "rc-s380": TEXTS["rc-s380"].replace("[nfc]", "[nfcpy]")})
    with pytest.raises(ProfileError, match=r"^acr122u\.toml: name is 'rc-s380'"):
        parse_published({"acr122u": TEXTS["rc-s380"]})
