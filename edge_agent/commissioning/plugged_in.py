"""The readers that are plugged in, beside those that are configured: as an operator sees them, and to choose from."""

import re
from pathlib import Path
from typing import Any, Literal, NamedTuple

from edge_agent import identity as identity_file
from edge_agent.commissioning.hardware import UsbDevice, serial_ports, usb_devices
from edge_agent.commissioning.machine import Machine
from edge_agent.config import Config, ReaderSettings
from edge_agent.identity import IdentityDamaged
from edge_agent.preview import at_rest
from edge_agent.published.parts import AtRest
from edge_agent.published.proving import fact_of, in_use, standing_of
from edge_agent.readers.choosing import choose
from firmware_profiles import Matched, Profile, ProfileBook, ProfileError, load_folder, parse_published
from protocol.envelope import Keyring
from protocol.errors import Refused
from protocol.messages import PartName


def rows(machine: Machine, settings: Config, told: list[dict[str, Any]] | None) -> list[dict[str, Any]]:
    """One row for each configured reader, then one for what is plugged in and used by none; every key always there.

    `told`: what the running agent says of its readers; None where none runs, and then of their state nothing is known.
    """
    book, slots, found = own_book(machine, settings), machine.slots() or [], []
    if told is not None:
        found = [_ROW | {"configured": True} | reader for reader in told]
    else:
        found = [_looked_up(reader, slots, book) for reader in settings.readers]
    used = {row["hardware"] for row in found}
    known = {row["profile"].partition(" ")[0] for row in found}
    for slot in slots:
        matched = book.match(slot, transport="pcsc")
        known.add(matched.profile.name)
        if slot not in used and not _skips(matched, slot):
            found.append(_ROW | {"kind": "pcsc", "state": NOT_CONFIGURED, "hardware": slot} | _profile(matched))
    for device, matched in usb_readers(machine, book):
        if matched.profile.name not in known:
            kind, why = ("nfc", "") if matched.profile.pcsc is None else ("pcsc", "on USB, not in PC/SC")
            row = _ROW | {"kind": kind, "state": NOT_CONFIGURED, "hardware": f"{device.name} {device.usb}", "why": why}
            found.append(row | _profile(matched))
    return found


def own_book(machine: Machine, settings: Config | None) -> ProfileBook:
    """What the agent would start with: this machine's own profiles, those that central published, the shipped ones.
    What cannot be used is left out."""
    if settings is None:
        return ProfileBook()
    local, _ = load_folder(machine.path(settings.profiles_dir), machine.owner)
    return ProfileBook(local, *_published(machine.path(settings.data_dir)))


def _published(directory: Path) -> tuple[dict[str, Profile], int]:
    """Profiles in use, and their version; none where there are none, or nobody may look."""
    try:
        identity = identity_file.load(directory)
        if identity is None:
            return {}, 0
        envelopes, facts = at_rest(directory)
        found = AtRest(envelopes, Keyring.of(identity.root_public))
        opened = in_use(found, PartName.PROFILES, standing_of(facts.get(fact_of(PartName.PROFILES))))
        return (parse_published(opened.message.profiles), opened.message.version) if opened is not None else ({}, 0)
    except (OSError, IdentityDamaged, Refused, ProfileError):
        return {}, 0


def usb_readers(machine: Machine, book: ProfileBook) -> list[tuple[UsbDevice, Matched]]:
    """What is on USB and recognised by its identifier."""
    found = [(device, book.match("", device.usb)) for device in usb_devices(machine) or []]
    return [(device, matched) for device, matched in found if matched.why.startswith("usb ")]


NOT_CONFIGURED = "not configured"
_ROW: dict[str, Any] = {
    "name": "",
    "kind": "",
    "state": "",
    "why": "",
    "hardware": "",
    "profile": "",
    "matched_by": "",
    "firmware": "",
    "alarm": "",
    "configured": False,
}


def _skips(matched: Matched, slot: str) -> bool:
    """A SAM or contact slot, which never holds a citizen's card."""
    return matched.profile.pcsc is not None and matched.profile.pcsc.skips(slot)


def _profile(matched: Matched) -> dict[str, str]:
    return {"profile": matched.label, "matched_by": matched.why}


def _looked_up(reader: ReaderSettings, slots: list[str], book: ProfileBook) -> dict[str, Any]:
    """What a configured reader would take if the agent started now."""
    row = _ROW | {"name": reader.name, "kind": reader.kind, "state": "unknown", "configured": True}
    row["why"] = "the agent does not run"
    if reader.kind != "pcsc":
        fits = book.match_path(reader.path) if reader.kind == "nfc" else None
        return row | {"hardware": reader.path} | (_profile(fits) if fits else {})
    taken = choose(slots, reader.match, lambda slot: _matched(reader, slot, book).profile)
    if taken is None:
        return row | {"why": "the agent does not run; no such reader is plugged in"}
    return row | {"hardware": taken} | _profile(_matched(reader, taken, book))


def _matched(reader: ReaderSettings, slot: str, book: ProfileBook) -> Matched:
    asked = book.named(reader.profile) if reader.profile is not None else None
    return asked or book.match(slot, transport="pcsc")


class Candidate(NamedTuple):
    """A reader that could be put into the settings."""

    kind: Literal["pcsc", "nfc"]
    where: str
    """`match` of a PC/SC reader, `path` of an nfcpy one."""
    title: str
    profile: str
    """The label of the profile that fits; empty: nobody can tell before it is opened."""


def candidates(machine: Machine, book: ProfileBook) -> list[Candidate]:
    """Every contactless PC/SC slot, USB readers for nfcpy alone, then the serial lines that a PN532 may hang on."""
    found = []
    slots = [slot for slot in machine.slots() or [] if not _skips(book.match(slot, transport="pcsc"), slot)]
    for slot in slots:
        plain = _PLACE.sub("", slot)
        twice = sum(_PLACE.sub("", other) == plain for other in slots) > 1
        found.append(Candidate("pcsc", slot if twice else plain, slot, book.match(slot, transport="pcsc").label))
    for device, matched in usb_readers(machine, book):
        if matched.profile.pcsc is None:
            path = f"usb:{device.usb.lower()}"
            found.append(Candidate("nfc", path, f"{device.name}, {device.usb}", matched.label))
    for port in serial_ports(machine):
        name = port.removeprefix("/dev/tty")
        found.append(Candidate("nfc", f"tty:{name}:pn532", f"PN532, {port}", ""))
    return found


_PLACE = re.compile(r" [0-9A-F]{2} [0-9A-F]{2}$")
"""pcsc-lite's count of readers and slots behind a name: it may be another one after the next start."""
