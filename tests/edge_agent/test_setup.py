"""`setup`: a gate out of a machine, by flags or by questions; again changes nothing; broken off leaves nothing half."""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from click.testing import CliRunner, Result

from edge_agent import config
from edge_agent.__main__ import cli
from tests.edge_agent.gate_machine import GateMachine
from tests.support.central_side import uid

SETTINGS = "etc/tapgate/edge.toml"
UNIT = "etc/systemd/system/tapgate-edge.service"
RULES = "etc/polkit-1/rules.d/50-tapgate-pcsc.rules"
USERS = "etc/sysusers.d/tapgate.conf"
DATA = "var/lib/tapgate-edge"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    root.mkdir()
    return root


def setup(image: Path, *arguments: str, answers: str | None = None, lang: str = "en") -> Result:
    command = ["setup", "--root", str(image), "--lang", lang, *arguments]
    return CliRunner().invoke(cli, command, input=answers)


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    found = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        found[str(path.relative_to(root))] = (about.st_mode, about.st_mtime_ns, data)
    return found


def modes(root: Path, *paths: str) -> list[int]:
    return [(root / path).stat().st_mode & 0o777 for path in paths]


# --- by flags -----------------------------------------------------------------------------------------------------


def test_flags_alone_put_everything_in_its_place(image: Path) -> None:
    mask = os.umask(0o077)
    try:
        result = setup(image, "--yes", "--reader", "pcsc:ACR122U", "--reader", "back=nfc:tty:USB0:pn532")
    finally:
        os.umask(mask)
    assert result.exit_code == 0, result.output
    assert modes(image, SETTINGS, UNIT, RULES, USERS, DATA) == [0o644, 0o644, 0o644, 0o644, 0o700]
    settings = config.load(image / SETTINGS)
    assert str(settings.data_dir) == "/var/lib/tapgate-edge"
    assert [(r.name, r.kind, r.match, r.path) for r in settings.readers] == [
        ("front", "pcsc", "ACR122U", ""),
        ("back", "nfc", None, "tty:USB0:pn532"),
    ]
    unit = (image / UNIT).read_text()
    assert "ExecStart=/opt/tapgate/bin/tapgate-edge --config /etc/tapgate/edge.toml run\n" in unit
    assert "User=tapgate\n" in unit
    assert 'subject.user === "tapgate"' in (image / RULES).read_text()
    assert "m tapgate dialout\n" in (image / USERS).read_text()
    assert (image / "etc/systemd/system/multi-user.target.wants/tapgate-edge.service").readlink() == Path("/" + UNIT)
    assert not list(image.rglob("*.new"))


@pytest.mark.parametrize("lang", ["en", "zh-TW"])
def test_a_second_run_changes_nothing_and_says_so(image: Path, lang: str) -> None:
    flags = ("--yes", "--reader", "pcsc")
    assert setup(image, *flags).exit_code == 0
    before = tree(image)
    again = setup(image, *flags, lang=lang)
    assert again.exit_code == 0
    assert tree(image) == before
    assert {"en": "nothing was changed", "zh-TW": "沒有變更"}[lang] in again.output
    assert "✓" not in again.output
    kept = setup(image, "--yes")
    assert kept.exit_code == 0, "the readers that the settings name are kept"
    assert tree(image) == before


def test_a_dry_run_says_what_would_be_done_and_does_nothing(image: Path) -> None:
    result = setup(image, "--yes", "--reader", "pcsc", "--dry-run")
    assert result.exit_code == 0
    assert tree(image) == {}
    for path in (SETTINGS, UNIT, RULES, DATA):
        assert f"/{path}" in result.output


def test_what_a_machine_wants_otherwise_is_put_into_its_files(image: Path) -> None:
    flags = ("--user", "gate", "--data-dir", "/data/gate", "--program", "/srv/t/bin/tapgate-edge")
    assert setup(image, "--yes", "--reader", "pcsc", *flags).exit_code == 0
    unit = (image / UNIT).read_text()
    assert "ExecStart=/srv/t/bin/tapgate-edge --config /etc/tapgate/edge.toml run\n" in unit
    assert "User=gate\nGroup=gate\nReadWritePaths=/data/gate\n" in unit
    assert "StateDirectory" not in unit
    assert 'subject.user === "gate"' in (image / RULES).read_text()
    assert (image / "data/gate").is_dir()


def test_without_a_unit_only_settings_and_data_are_made(image: Path) -> None:
    assert setup(image, "--yes", "--no-unit", "--reader", "pcsc").exit_code == 0
    assert (image / SETTINGS).exists()
    assert not (image / "etc/systemd").exists()
    assert not (image / "etc/polkit-1").exists()


OLD = """# ours
data_dir = "/var/lib/tapgate-edge"
poll_wait_s = 20

[[readers]]
name = "door"  # the old one
# a remark
kind = "pcsc"

[journal]
max_mib = 64
prune_above_mib = 32
"""


def old_settings(image: Path) -> Path:
    path = image / SETTINGS
    path.parent.mkdir(parents=True)
    path.write_text(OLD)
    return path


def test_other_readers_take_nothing_else_from_the_settings(image: Path) -> None:
    path = old_settings(image)
    assert setup(image, "--yes", "--reader", "pcsc:OMNIKEY").exit_code == 0
    made = config.load(path)
    assert [(r.name, r.match) for r in made.readers] == [("front", "OMNIKEY")]
    assert (made.poll_wait_s, made.journal.max_mib) == (20, 64)
    assert "# ours" in path.read_text()
    assert "# a remark" in path.read_text()
    assert path.with_name("edge.toml.old").read_text() == OLD


def test_settings_that_are_wrong_stop_it_before_anything_is_done(image: Path) -> None:
    path = old_settings(image)
    path.write_text("data_dir = 3\n")
    before = tree(image)
    result = setup(image, "--yes", "--reader", "pcsc")
    assert result.exit_code == 1
    assert "edge.toml" in result.stderr
    assert tree(image) == before


def test_readers_written_inline_are_left_to_a_person(image: Path) -> None:
    path = old_settings(image)
    path.write_text('data_dir = "/x"\nreaders = [{name = "a", kind = "pcsc"}]\n')
    result = setup(image, "--yes", "--reader", "pcsc:OMNIKEY")
    assert result.exit_code == 1
    assert "by hand" in result.stderr


@pytest.mark.parametrize("reader", ["pcsd", "=pcsc", ":", ""])
def test_a_reader_that_is_none_is_a_wrong_usage(image: Path, reader: str) -> None:
    assert setup(image, "--yes", "--reader", reader).exit_code == 2
    assert tree(image) == {}


def test_a_token_that_is_none_is_said_after_everything_else_is_in_place(image: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("tapgate1:abc\n")
    result = setup(image, "--yes", "--reader", "pcsc", "--token-file", str(token))
    assert result.exit_code == 1
    assert "join token" in result.stderr
    assert (image / UNIT).exists()
    assert "Traceback" not in result.output


# --- the screen ---------------------------------------------------------------------------------------------------

KIOSK = "etc/systemd/system/tapgate-kiosk.service"
KIOSK_WANTED = "etc/systemd/system/multi-user.target.wants/tapgate-kiosk.service"
DESKTOP = "etc/xdg/autostart/tapgate-kiosk.desktop"
SLEEP = "etc/systemd/sleep.conf.d/tapgate.conf"


def test_a_screen_comes_with_every_boot_and_the_machine_never_sleeps(image: Path) -> None:
    flags = ("--yes", "--reader", "pcsc", "--screen", "--program", "/srv/t/bin/tapgate-edge")
    assert setup(image, *flags).exit_code == 0
    settings = config.load(image / SETTINGS)
    assert settings.screen is not None
    assert [reader.name for reader in settings.readers] == ["front"]
    assert "/srv/t/bin/tapgate-edge --config /etc/tapgate/edge.toml kiosk\n" in (image / KIOSK).read_text()
    assert (image / KIOSK_WANTED).is_symlink()
    assert "u tapgate-kiosk " in (image / "etc/sysusers.d/tapgate-kiosk.conf").read_text()
    assert "AllowSuspend=no\n" in (image / SLEEP).read_text()
    before = tree(image)
    assert "nothing was changed" in setup(image, *flags).output
    assert tree(image) == before


def test_on_a_desktop_the_screen_comes_when_its_user_is_logged_in(image: Path) -> None:
    manager = image / "etc/systemd/system/display-manager.service"
    manager.parent.mkdir(parents=True)
    manager.symlink_to("/lib/systemd/system/gdm.service")
    assert setup(image, "--yes", "--reader", "pcsc", "--screen").exit_code == 0
    assert "tapgate-edge --config /etc/tapgate/edge.toml kiosk" in (image / DESKTOP).read_text()
    assert not (image / KIOSK).exists()
    assert not (image / KIOSK_WANTED).is_symlink()


def test_a_screen_is_added_to_settings_that_have_none_and_no_flag_takes_it_away(image: Path) -> None:
    path = old_settings(image)
    assert setup(image, "--yes", "--screen").exit_code == 0
    made = config.load(path)
    assert made.screen is not None
    assert (made.journal.max_mib, made.readers[0].name) == (64, "door")
    text = path.read_text()
    assert setup(image, "--yes", "--no-screen").exit_code == 0
    assert path.read_text() == text


def test_without_a_screen_nothing_of_it_is_installed(image: Path) -> None:
    assert setup(image, "--yes", "--reader", "pcsc").exit_code == 0
    assert config.load(image / SETTINGS).screen is None
    assert not (image / KIOSK).exists()
    assert (image / SLEEP).exists(), "a gate that sleeps admits nobody"


# --- which reader -------------------------------------------------------------------------------------------------


@pytest.fixture
def plugged(gate: GateMachine, monkeypatch: pytest.MonkeyPatch) -> GateMachine:
    """What the machine that is set up has plugged in."""
    gate.remove("/etc/tapgate")
    gate.remove("/etc/systemd")
    gate.remove("/" + RULES)
    gate.remove("/" + DATA)
    monkeypatch.setattr("edge_agent.commands.setup.Machine", SimpleNamespace(below=lambda root: gate.machine()))
    return gate


def test_the_only_reader_that_is_plugged_in_is_taken_by_itself(plugged: GateMachine) -> None:
    assert setup(plugged.root, "--yes").exit_code == 0
    (reader,) = config.load(plugged.config).readers
    assert (reader.kind, reader.match) == ("pcsc", None), "another model may take its place"


@pytest.mark.parametrize(
    ("slots", "words"),
    [
        ([], ("--reader", "doctor")),
        (None, ("--reader",)),
        (["A CL 00 00", "B CL 01 00"], ("--reader 'pcsc:A CL'", "--reader 'pcsc:B CL'")),
    ],
)
def test_none_or_several_are_not_guessed_at(plugged: GateMachine, slots: list[str] | None, words: tuple[str]) -> None:
    plugged.slots = slots
    result = setup(plugged.root, "--yes")
    assert result.exit_code == 1
    assert all(word in result.stderr for word in words)
    assert not plugged.config.exists()


def test_a_person_chooses_from_what_is_plugged_in(plugged: GateMachine) -> None:
    plugged.slots = ["ACS ACR122U PICC Interface 00 00", "HID Global OMNIKEY 5022 Smart Card Reader 01 00"]
    plugged.write("/dev/ttyUSB0", "")
    result = setup(plugged.root, answers="2\nn\ny\nn\n\n")
    assert result.exit_code == 0, result.output
    assert "1. ACS ACR122U PICC Interface 00 00 [acr122u]" in result.output
    assert "3. PN532, /dev/ttyUSB0" in result.output
    (reader,) = config.load(plugged.config).readers
    assert reader.match == "HID Global OMNIKEY 5022 Smart Card Reader"
    assert (plugged.root / UNIT).exists()
    assert "Not joined yet" in result.output


def test_a_person_may_keep_what_the_settings_name_and_no_is_taken_for_no(image: Path) -> None:
    path = old_settings(image)
    result = setup(image, answers="y\nn\nn\nn\n\n")
    assert result.exit_code == 0, result.output
    assert path.read_text() == OLD
    assert not (image / UNIT).exists()


def test_settings_are_not_changed_without_being_asked(image: Path) -> None:
    path = old_settings(image)
    before = tree(image)
    result = setup(image, "--reader", "pcsc:OMNIKEY", answers="n\nn\n")
    assert result.exit_code == 1
    assert "edge.toml.old" in result.output
    assert "run it again" in result.stderr
    assert tree(image) == before
    assert path.read_text() == OLD


def test_a_card_is_tried_before_anything_is_written(image: Path, tmp_path: Path) -> None:
    taps = tmp_path / "taps"
    taps.write_text(f"{uid(1).hex()} sak=08\n")
    result = setup(image, "--reader", f"simulated:{taps}", "--no-unit", answers="y\n\n\n", lang="zh-TW")
    assert result.exit_code == 0, result.output
    assert uid(1).hex().upper() in result.output
    assert "MIFARE Classic 1K" in result.output
    assert uid(1).hex() not in (image / SETTINGS).read_text()


# --- broken off ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(5))
def test_broken_off_anywhere_it_leaves_whole_files_and_goes_on_next_time(
    image: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    old_settings(image)
    flags = ("--yes", "--reader", "pcsc:OMNIKEY")
    calls = iter(range(100))
    real = os.fsync

    def interrupted(descriptor: int) -> None:
        if next(calls) == number:
            raise KeyboardInterrupt
        real(descriptor)

    with monkeypatch.context() as patched:
        patched.setattr("edge_agent.files.os.fsync", interrupted)
        result = setup(image, *flags)
    assert result.exit_code == 1
    assert "run it again" in result.stderr
    assert not list(image.rglob("*.new"))
    assert [r.name for r in config.load(image / SETTINGS).readers] in (["door"], ["front"])
    assert setup(image, *flags).exit_code == 0
    whole = {path: data for path, (_, _, data) in tree(image).items()}
    assert setup(image, *flags).exit_code == 0
    assert {path: data for path, (_, _, data) in tree(image).items()} == whole
    assert [r.match for r in config.load(image / SETTINGS).readers] == ["OMNIKEY"]
    assert "ExecStart" in (image / UNIT).read_text()


def test_without_sudo_it_says_so_and_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge_agent.commands.setup.os.geteuid", lambda: 1000)
    result = CliRunner().invoke(cli, ["setup", "--yes", "--reader", "pcsc", "--lang", "en"])
    assert result.exit_code == 1
    assert "sudo" in result.stderr
