"""Which profile a reader gets, and why this one. Pure, but for the shipped ones being read once."""

from collections.abc import Iterator, Mapping
from typing import Literal, NamedTuple

from firmware_profiles.loader import load_profiles
from firmware_profiles.schema import GENERIC, Profile

Transport = Literal["pcsc", "nfc"]


class Matched(NamedTuple):
    """The profile for a reader, and how it came to be this one."""

    profile: Profile
    source: str
    """`shipped`, `published 3` or `local`."""
    why: str
    """`usb 072F:2200`, `name 'ACS ACR122U'`, `path 'tty:USB0:pn532'`, `settings`, `no other profile fits`."""

    @property
    def label(self) -> str:
        """As events have it: `acr122u`, `acr122u (local)`."""
        return self.profile.name if self.source == "shipped" else f"{self.profile.name} ({self.source})"


class ProfileBook:
    """Every profile that an agent knows: this machine's own before those that central published before shipped ones.

    One of a name that an earlier source has too is not seen at all.
    """

    def __init__(
        self, local: Mapping[str, Profile] = {}, published: Mapping[str, Profile] = {}, published_version: int = 0
    ) -> None:
        sources = (("local", local), (f"published {published_version}", published), ("shipped", load_profiles()))
        self._profiles: dict[str, tuple[Profile, str]] = {}
        for source, profiles in sources:
            for name in sorted(profiles):
                self._profiles.setdefault(name, (profiles[name], source))

    def named(self, name: str) -> Matched | None:
        """The profile that the settings ask for by name."""
        found = self._profiles.get(name)
        return None if found is None else Matched(*found, "settings")

    def match(self, reader_name: str, usb: str = "", firmware: str = "", transport: Transport | None = None) -> Matched:
        """By USB identifier (`072F:2200`) where it is known, else by PC/SC name, else the generic one.

        A profile that was not written for `firmware` is passed over, and `why` says so.
        """
        passed_over: dict[str, None] = {}
        for matched in self._recognised(reader_name, usb.upper()):
            if transport is not None and getattr(matched.profile, transport) is None:
                continue
            if refusal := matched.profile.refusal(firmware):
                passed_over[f"{matched.label} {refusal}"] = None
                continue
            return matched._replace(why="; ".join((matched.why, *passed_over)))
        return Matched(*self._profiles[GENERIC], "; ".join(("no other profile fits", *passed_over)))

    def _recognised(self, reader_name: str, usb: str) -> Iterator[Matched]:
        for profile, source in self._profiles.values():
            if usb and usb in profile.match.usb:
                yield Matched(profile, source, f"usb {usb}")
        for profile, source in self._profiles.values():
            if any(part.found_in(reader_name) for part in profile.match.names):
                yield Matched(profile, source, f"name {reader_name!r}")

    def match_path(self, path: str, usb: str = "") -> Matched | None:
        """For nfcpy: by the USB identifier of what was opened, else by the device path; None where none fits."""
        over_nfc = [(profile, source) for profile, source in self._profiles.values() if profile.nfc is not None]
        for profile, source in over_nfc:
            if usb and usb.upper() in profile.match.usb:
                return Matched(profile, source, f"usb {usb.upper()}")
        for profile, source in over_nfc:
            if profile.nfc is not None and profile.nfc.fits(path):
                return Matched(profile, source, f"path {path!r}")
        return None
