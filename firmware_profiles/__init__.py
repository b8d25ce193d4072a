"""What each reader model needs, as data: one TOML file a model, checked when loaded.

A file is named after its profile. A key that is not known, a number out of range or a byte string that is
not hexadecimal is refused, naming the file and the place.
"""

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Annotated, Any, NamedTuple

import msgspec

GENERIC = "generic-pcsc"
"""The profile of a reader that no other profile names."""


class ProfileError(ValueError):
    """A profile file that cannot be used; the text names the file, the place and the reason."""


class HexBytes:
    """Bytes written as hexadecimal digits in pairs, with or without spaces."""

    def __init__(self, text: str) -> None:
        self.raw = bytes.fromhex(text)
        if not self.raw:
            raise ValueError("no bytes")


class StatusWord:
    """Two status bytes of ISO 7816-4, such as `9000`; an `x` stands for any digit, as in `6Cxx`."""

    def __init__(self, text: str) -> None:
        if not re.fullmatch("[0-9A-Fx]{4}", text):
            raise ValueError(f"{text!r} is not a status word such as 9000 or 6Cxx")
        self.text = text

    def fits(self, sw1: int, sw2: int) -> bool:
        return all(ours in ("x", theirs) for ours, theirs in zip(self.text, f"{sw1:02X}{sw2:02X}", strict=True))


class NamePattern:
    """A regular expression looked for anywhere in a PC/SC reader name, upper and lower case alike."""

    def __init__(self, text: str) -> None:
        try:
            self._expression = re.compile(text, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"{text!r} is not a regular expression: {error}") from None

    def found_in(self, reader_name: str) -> bool:
        return self._expression.search(reader_name) is not None


UsbId = Annotated[str, msgspec.Meta(pattern="^[0-9A-F]{4}:[0-9A-F]{4}$")]
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=10_000)]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is recognised: USB vendor:product where it can be had, else its PC/SC names."""

    usb: tuple[UsbId, ...] = ()
    names: tuple[NamePattern, ...] = ()


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the status words after the UID command mean. A word in no list counts as a failure."""

    success: tuple[StatusWord, ...]
    no_card: tuple[StatusWord, ...] = ()
    failure: tuple[StatusWord, ...] = ()


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reader model. `skip` names the interfaces that never hold a citizen's card (SAM, contact slot).

    `settle_ms` passes between a card's arrival and its first read; a tap needs `stable_reads` equal reads;
    a card that lies there is read again every `poll_ms`. `evidence` says what the file rests on, never more.
    """

    name: str
    evidence: Annotated[str, msgspec.Meta(min_length=10)]
    match: Match
    uid_command: HexBytes
    status: Status
    skip: tuple[NamePattern, ...] = ()
    settle_ms: Milliseconds = 0
    stable_reads: Annotated[int, msgspec.Meta(ge=1, le=10)] = 2
    poll_ms: Annotated[int, msgspec.Meta(ge=20, le=5_000)] = 250

    def skips(self, reader_name: str) -> bool:
        return any(pattern.found_in(reader_name) for pattern in self.skip)


def parse_profile(stem: str, text: str) -> Profile:
    """The profile that a file `<stem>.toml` holds. Raises ProfileError naming file, place and reason."""
    try:
        profile = msgspec.convert(tomllib.loads(text), Profile, dec_hook=_from_text)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise ProfileError(f"{stem}.toml: {error}") from None
    if profile.name != stem:
        raise ProfileError(f"{stem}.toml: name is {profile.name!r}, the file says {stem!r} - at `$.name`")
    return profile


def load_profiles() -> dict[str, Profile]:
    """Every profile shipped with this version, by name. Raises ProfileError for the first bad one."""
    return {profile.name: profile for profile in _shipped()}


def match(reader_name: str) -> Profile:
    """The profile whose name pattern is found in a PC/SC reader name; the generic one where none is."""
    profiles = load_profiles()
    named = (p for p in profiles.values() if any(pattern.found_in(reader_name) for pattern in p.match.names))
    return next(named, profiles[GENERIC])


class Matched(NamedTuple):
    """The profile for a reader, and how it came to be this one."""

    profile: Profile
    source: str
    """`shipped`, `published 3` or `local`."""
    why: str
    """`usb 072F:2200`, `name 'ACS ACR122U'`, `settings`, `no other profile fits`."""

    @property
    def label(self) -> str:
        """As events have it: `acr122u`, `acr122u (local)`."""
        return self.profile.name if self.source == "shipped" else f"{self.profile.name} ({self.source})"


class ProfileBook:
    """Every profile that an agent knows: this machine's own before those that central published before shipped ones."""

    def __init__(
        self, local: Mapping[str, Profile] = {}, published: Mapping[str, Profile] = {}, published_version: int = 0
    ) -> None:
        shipped = load_profiles()
        self._sources = (("local", local), (f"published {published_version}", published), ("shipped", shipped))
        self._profiles: dict[str, tuple[Profile, str]] = {}
        for source, profiles in reversed(self._sources):
            self._profiles |= {name: (profile, source) for name, profile in profiles.items()}

    def named(self, name: str) -> Matched | None:
        """The profile that the settings ask for by name."""
        found = self._profiles.get(name)
        return None if found is None else Matched(*found, "settings")

    def match(self, reader_name: str, usb: str = "") -> Matched:
        """By USB identifier (`072F:2200`) where it is known, else by PC/SC name, else the generic one."""
        for profile, source in self._profiles.values():
            if usb and usb.upper() in profile.match.usb:
                return Matched(profile, source, f"usb {usb.upper()}")
        for profile, source in self._profiles.values():
            if any(pattern.found_in(reader_name) for pattern in profile.match.names):
                return Matched(profile, source, f"name {reader_name!r}")
        return Matched(*self._profiles[GENERIC], "no other profile fits")


@cache
def _shipped() -> tuple[Profile, ...]:
    files = sorted(resources.files(__name__).iterdir(), key=lambda file: file.name)
    return tuple(
        parse_profile(file.name.removesuffix(".toml"), file.read_text("utf-8"))
        for file in files
        if file.name.endswith(".toml")
    )


def _from_text(kind: type[Any], value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {type(value).__name__}")
    return kind(value)
