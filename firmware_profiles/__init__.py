"""What each reader model needs, as data: one TOML file a model, checked when loaded.

A file is named after its profile. A key that is not known, a number out of range or a byte string that is
not hexadecimal is refused, naming the file and the place.
"""

from firmware_profiles.book import Matched, ProfileBook, Transport
from firmware_profiles.loader import ProfileError, load_folder, load_profiles, parse_profile, parse_published
from firmware_profiles.schema import (
    GENERIC,
    Command,
    Escape,
    Firmware,
    Nfc,
    Pattern,
    PatternName,
    Pcsc,
    Profile,
    Recovery,
    Send,
    StartupStep,
    Step,
    Unless,
)
from firmware_profiles.values import AnswerPattern, HexBytes, NamePart, StatusWord, Version

__all__ = [
    "GENERIC",
    "AnswerPattern",
    "Command",
    "Escape",
    "Firmware",
    "HexBytes",
    "Matched",
    "NamePart",
    "Nfc",
    "Pattern",
    "PatternName",
    "Pcsc",
    "Profile",
    "ProfileBook",
    "ProfileError",
    "Recovery",
    "Send",
    "StartupStep",
    "StatusWord",
    "Step",
    "Transport",
    "Unless",
    "Version",
    "load_folder",
    "load_profiles",
    "parse_profile",
    "parse_published",
]
