"""Profiles of this machine's own: only root's word is taken, and a bad one takes nothing good with it."""

import os
from pathlib import Path

import pytest

from firmware_profiles import ProfileBook, load_folder
from firmware_profiles.loader import LARGEST_BYTES
from tests.firmware_profiles.test_loader import TEXTS

ME = os.geteuid()
OVERRIDE = TEXTS["acr122u"].replace("poll_ms = 250", "poll_ms = 40")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "profiles"
    folder.mkdir(mode=0o755)
    return folder


def put(folder: Path, name: str, text: str, mode: int = 0o644) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_good_file_goes_before_the_shipped_profile(folder: Path) -> None:
    put(folder, "acr122u.toml", OVERRIDE)
    profiles, refused = load_folder(folder, ME)
    matched = ProfileBook(profiles).match("ACS ACR122U 00 00")
    assert (matched.label, matched.profile.poll_ms, refused) == ("acr122u (local)", 40, {})


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (OVERRIDE.replace("poll_ms", "pol_ms"), "acr122u.toml: Object contains unknown field `pol_ms`"),
        (OVERRIDE.replace("FF CA 00 00 00", "FF C"), "at `$.pcsc.uid_command`"),
        (OVERRIDE.replace('name = "acr122u"', 'name = "acr122"'), "acr122u.toml: name is 'acr122', the file says"),
        ("", "acr122u.toml: Object missing required field `name`"),
        ("# " + "x" * LARGEST_BYTES, f"more than {LARGEST_BYTES} bytes"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_the_profile_before_it_stays(folder: Path, text: str, reason: str) -> None:
    put(folder, "acr122u.toml", text)
    put(folder, "rc-s380.toml", TEXTS["rc-s380"])
    profiles, refused = load_folder(folder, ME)
    assert (list(profiles), list(refused)) == (["rc-s380"], ["acr122u.toml"])
    assert reason in refused["acr122u.toml"]
    assert ProfileBook(profiles).match("ACS ACR122U 00 00").label == "acr122u"


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666, 0o777])
def test_a_file_that_others_may_write_is_refused(folder: Path, mode: int) -> None:
    put(folder, "acr122u.toml", OVERRIDE, mode)
    assert load_folder(folder, ME) == ({}, {"acr122u.toml": f"others may write it (mode {mode:04o})"})


def test_a_file_of_another_user_is_refused(folder: Path) -> None:
    put(folder, "acr122u.toml", OVERRIDE)
    profiles, refused = load_folder(folder, ME + 1)
    assert (profiles, refused) == ({}, {"profiles": f"belongs to user {ME}, not to {ME + 1}"})
    if ME == 0:  # only root can give a file away
        os.chown(folder / "acr122u.toml", 12345, -1)
        assert load_folder(folder) == ({}, {"acr122u.toml": "belongs to user 12345, not to root"})


@pytest.mark.parametrize("mode", [0o775, 0o777, 0o1777])
def test_a_folder_that_others_may_write_is_refused_whole(folder: Path, mode: int) -> None:
    put(folder, "acr122u.toml", OVERRIDE)
    folder.chmod(mode)
    assert load_folder(folder, ME) == ({}, {"profiles": f"others may write it (mode {mode:04o})"})


def test_owner_and_mode_are_those_of_what_a_link_leads_to(folder: Path, tmp_path: Path) -> None:
    (folder / "acr122u.toml").symlink_to(put(tmp_path, "elsewhere", OVERRIDE, 0o666))
    assert load_folder(folder, ME) == ({}, {"acr122u.toml": "others may write it (mode 0666)"})
    (tmp_path / "elsewhere").chmod(0o644)
    assert list(load_folder(folder, ME)[0]) == ["acr122u"]


def test_what_is_no_readable_text_is_refused_and_never_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "acr122u.toml", 0o644)
    (folder / "rc-s300.toml").mkdir(mode=0o755)
    (folder / "rc-s380.toml").symlink_to(folder / "nowhere")
    put(folder, "scl3711.toml", "").write_bytes(b"\xff\xfe")
    profiles, refused = load_folder(folder, ME)
    assert profiles == {}
    assert refused == {
        "acr122u.toml": "not a file",
        "rc-s300.toml": "not a file",
        "rc-s380.toml": "No such file or directory",
        "scl3711.toml": "not UTF-8",
    }


def test_other_files_are_none_of_our_business(folder: Path) -> None:
    put(folder, "acr122u.toml~", "nonsense", 0o666)
    put(folder, "README", "nonsense")
    assert load_folder(folder, ME) == ({}, {})


def test_no_folder_is_no_profile(tmp_path: Path) -> None:
    assert load_folder(tmp_path / "nowhere", ME) == ({}, {})


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "profiles", "nonsense")
    assert load_folder(tmp_path / "profiles", ME) == ({}, {"profiles": "Not a directory"})
