"""Profiles from TOML: shipped ones, those of this machine, those that central published."""

import os
import stat
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

import msgspec

from firmware_profiles.schema import Profile
from firmware_profiles.values import AnswerPattern, HexBytes, NamePart, StatusWord, Version

LARGEST_BYTES = 16 * 1024
"""Of one file; central publishes none longer (SPEC §3)."""

_VALUES = (AnswerPattern, HexBytes, NamePart, StatusWord, Version)


class ProfileError(ValueError):
    """A profile file that cannot be used; the text names the file, the place and the reason."""


def parse_profile(stem: str, text: str) -> Profile:
    """The profile that a file `<stem>.toml` holds. Raises ProfileError naming file, place and reason."""
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile, dec_hook=_from_text)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(f"{stem}.toml: {error}") from None
    except RecursionError:
        raise ProfileError(f"{stem}.toml: nested too deeply") from None
    if profile.name != stem:
        raise ProfileError(f"{stem}.toml: name is {profile.name!r}, the file says {stem!r} - at `$.name`")
    return profile


def _from_text(kind: type[Any], value: Any) -> Any:
    if kind not in _VALUES or not isinstance(value, str):
        raise ValueError(f"expected text, got {type(value).__name__}")
    return kind(value)


def load_profiles() -> dict[str, Profile]:
    """Every profile shipped with this version, by name. Raises ProfileError for the first bad one."""
    return {profile.name: profile for profile in _shipped()}


@cache
def _shipped() -> tuple[Profile, ...]:
    files = sorted(resources.files("firmware_profiles").iterdir(), key=lambda file: file.name)
    return tuple(
        parse_profile(file.name.removesuffix(".toml"), file.read_text("utf-8"))
        for file in files
        if file.name.endswith(".toml")
    )


def parse_published(texts: Mapping[str, str]) -> dict[str, Profile]:
    """What central published, text by name. Raises ProfileError for the first bad one: all are taken, or none."""
    return {name: parse_profile(name, text) for name, text in sorted(texts.items())}


def load_folder(folder: Path, owner_uid: int = 0) -> tuple[dict[str, Profile], dict[str, str]]:
    """This machine's own profiles, by name, and the files refused, with the reason. No folder is no profile.

    A profile decides which bytes are sent to a reader, and it goes before every other one. Hence folder and files must
    belong to root (`owner_uid`, for tests) and be writable by nobody else. A refused file takes no good one with it.
    """
    try:
        if not folder.exists():
            return {}, {}
        _must_be_owned(os.stat(folder), owner_uid)
        files = sorted(path for path in folder.iterdir() if path.name.endswith(".toml"))
    except (OSError, ProfileError) as error:
        return {}, {folder.name: _reason(error)}
    profiles, refused = {}, {}
    for path in files:
        try:
            profiles[path.stem] = parse_profile(path.stem, _read(path, owner_uid))
        except (OSError, ProfileError) as error:
            refused[path.name] = _reason(error)
    return profiles, refused


def _read(path: Path, owner_uid: int) -> str:
    # not to wait for a FIFO; owner and mode are of what was opened, not of what the name led to a moment before
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise ProfileError("not a file")
        _must_be_owned(about, owner_uid)
        with open(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST_BYTES:
        raise ProfileError(f"more than {LARGEST_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise ProfileError("not UTF-8") from None


def _must_be_owned(about: os.stat_result, owner_uid: int) -> None:
    if about.st_uid != owner_uid:
        raise ProfileError(f"belongs to user {about.st_uid}, not to {'root' if owner_uid == 0 else owner_uid}")
    if about.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise ProfileError(f"others may write it (mode {stat.S_IMODE(about.st_mode):04o})")


def _reason(error: Exception) -> str:
    return (error.strerror or type(error).__name__) if isinstance(error, OSError) else str(error)
