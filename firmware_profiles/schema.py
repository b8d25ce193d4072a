"""What a profile holds, typed. Every key is known, every number has its bounds, every byte string is checked. Pure.

Nothing in here sends anything: the PC/SC reader does what `Pcsc` says, the nfcpy reader what `Nfc` says.
"""

from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from firmware_profiles.values import AnswerPattern, HexBytes, NamePart, StatusWord, Version, readable, version_in

GENERIC = "generic-pcsc"
"""The profile of a PC/SC reader that no other profile names."""

LONGEST_PATTERN_MS = 2_000
"""Of one pattern, pauses included: it is over before the next person has to look at the reader."""

LONGEST_CALL_MS = 500
"""Of one command within a pattern: while the reader blinks, it reads no card."""

Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,47}\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=500)]
UsbId = Annotated[str, Meta(pattern=r"^[0-9A-F]{4}:[0-9A-F]{4}\Z")]
Milliseconds = Annotated[int, Meta(ge=0, le=10_000)]
NameParts = Annotated[tuple[NamePart, ...], Meta(max_length=16)]
Answers = Annotated[tuple[AnswerPattern, ...], Meta(min_length=1, max_length=16)]
DONE = (AnswerPattern("9000"),)


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a model is recognised: USB vendor:product where it can be had, else words of its PC/SC name."""

    usb: Annotated[tuple[UsbId, ...], Meta(max_length=16)] = ()
    names: NameParts = ()


class Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the status words after the UID command mean. A word in no list counts as a failure."""

    success: Annotated[tuple[StatusWord, ...], Meta(min_length=1, max_length=16)]
    no_card: Annotated[tuple[StatusWord, ...], Meta(max_length=16)] = ()
    failure: Annotated[tuple[StatusWord, ...], Meta(max_length=16)] = ()


class Send(StrEnum):
    """How a command reaches the reader."""

    APDU = "apdu"
    """As a pseudo-APDU through SCardTransmit: only while a card lies there."""
    ESCAPE = "escape"
    """Through SCardControl: with or without a card, where the driver lets it."""
    EITHER = "either"
    """As a pseudo-APDU while a card lies there, else as an escape."""


class Command(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command to the reader itself, and the answers that mean that it was obeyed."""

    command: HexBytes
    send: Send
    expect: Answers = DONE

    def obeyed(self, answer: bytes) -> bool:
        return any(pattern.fits(answer) for pattern in self.expect)


class Step(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One command of a pattern.

    `lasts_ms` is how long the reader itself takes before it answers, as one that answers only when it has stopped
    blinking; `pause_ms` passes, with cards being read, before the next step.
    """

    lasts_ms: Annotated[int, Meta(ge=0, le=LONGEST_CALL_MS)] = 0
    pause_ms: Annotated[int, Meta(ge=0, le=LONGEST_PATTERN_MS)] = 0


class Unless(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Leaves a start-up step out where `command`, sent the same way, is answered so: for settings that outlast a
    power cut and must not be written at every start."""

    command: HexBytes
    expect: Answers


class StartupStep(Command, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sent when the reader appears and whenever it was opened again. One that may fail is `tolerable`: cards are read
    all the same, and the reader says what failed. While another one fails, no card is read."""

    name: Name
    tolerable: bool = True
    unless: Unless | None = None


class Firmware(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the answer of a start-up step tells the firmware, and for which versions the profile was written.

    The text is what is printable behind the first `header` bytes: `ACR122U201`. The version is the number right behind
    `after` in it: `201`. `min` and `max` are inclusive.
    """

    step: Name
    after: Annotated[str, Meta(min_length=1, max_length=40)]
    header: Annotated[int, Meta(ge=0, le=16)] = 0
    min: Version | None = None
    max: Version | None = None

    def read(self, answer: bytes) -> str:
        return readable(answer[self.header :])[:100]

    def refusal(self, text: str) -> str:
        """Why the profile is not for this firmware; empty where it is, and where the version cannot be told."""
        version = version_in(text, self.after)
        if version is None or not text:
            return ""
        if self.min is not None and version < self.min:
            return f"is for firmware {self.min.text} and later, this is {version.text}"
        if self.max is not None and version > self.max:
            return f"is for firmware up to {self.max.text}, this is {version.text}"
        return ""


class Escape(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What escape commands need: the code for SCardControl, and the bit that libccid and acsccid want to see set in
    `ifdDriverOptions` of their Info.plist before they pass any on."""

    control_code: Annotated[int, Meta(ge=0, le=0xFFFF_FFFF)]
    driver_option: Annotated[int, Meta(ge=0, le=0xFFFF)] = 0


class PatternName(StrEnum):
    """What a reader shows and sounds."""

    GRANTED = "granted"
    DENIED = "denied"
    ERROR = "error"
    NOT_READY = "not-ready"
    READY = "ready"
    """When it waits for a card: before the first one, and after it was opened again."""
    OFF = "off"
    """When nobody serves it any more."""


Pattern = Annotated[tuple[Step, ...], Meta(min_length=1, max_length=12)]


class Pcsc(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model behind the PC/SC service.

    Of several interfaces, those named in `skip` never hold a citizen's card (SAM, contact slot), and those named in
    `contactless` are preferred. `relay` frees a way that hangs on the reader, which has to end that by itself: a lock
    must not stay open because the agent died.
    """

    uid_command: HexBytes
    status: Status
    contactless: NameParts = ()
    skip: NameParts = ()
    escape: Escape | None = None
    firmware: Firmware | None = None
    startup: Annotated[tuple[StartupStep, ...], Meta(max_length=16)] = ()
    lights: dict[PatternName, Pattern] = {}
    relay: Command | None = None

    def __post_init__(self) -> None:
        names = [step.name for step in self.startup]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two start-up steps are named {twice!r}")
        if self.firmware is not None and self.firmware.step not in names:
            raise ValueError(f"firmware is read by the step {self.firmware.step!r}, and there is none")
        if self.escape is None and any(command.send is not Send.APDU for command in self._commands()):
            raise ValueError("a command is sent as an escape, and there is no table `escape`")
        for name, pattern in self.lights.items():
            total_ms = sum(step.lasts_ms + step.pause_ms for step in pattern)
            if total_ms > LONGEST_PATTERN_MS:
                raise ValueError(f"the pattern {name.value!r} lasts {total_ms} ms, more than {LONGEST_PATTERN_MS}")

    def _commands(self) -> tuple[Command, ...]:
        relay = () if self.relay is None else (self.relay,)
        return (*self.startup, *relay, *(step for pattern in self.lights.values() for step in pattern))

    def skips(self, reader_name: str) -> bool:
        return any(part.found_in(reader_name) for part in self.skip)

    def prefers(self, reader_name: str) -> bool:
        return any(part.found_in(reader_name) for part in self.contactless)


class Nfc(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model driven by nfcpy. `paths` are device paths as nfcpy has them, `*` standing for anything: `tty:*:pn532`.

    `open_pause_ms` passes after opening before the first command. Where `reopen_fails`, only a new process
    can open it again.
    """

    paths: Annotated[tuple[Text, ...], Meta(min_length=1, max_length=8)]
    open_pause_ms: Milliseconds = 0
    reopen_fails: bool = False

    def fits(self, path: str) -> bool:
        return any(fnmatchcase(path.lower(), pattern) for pattern in self.paths)


RecoveryStep = Literal["reopen", "re-establish", "restart-service", "power-cycle"]


class Recovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What helps a reader that hangs. `steps` are worth trying, in this order. None = not known."""

    steps: Annotated[tuple[RecoveryStep, ...], Meta(max_length=4)] = (
        "reopen",
        "re-establish",
        "restart-service",
        "power-cycle",
    )
    survives_usb_reset: bool | None = None

    def __post_init__(self) -> None:
        if len(set(self.steps)) < len(self.steps):
            raise ValueError("a step stands twice")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reader model, over PC/SC, over nfcpy, or either.

    `settle_ms` passes between a card's arrival and its first read; a tap needs `stable_reads` equal reads;
    a card that lies there is read again every `poll_ms`. `evidence` says what the file rests on, a source an entry,
    and never more; `hardware_tested` only where somebody tapped a card on the model with this very file.
    """

    name: Name
    model: Text
    evidence: Annotated[tuple[Annotated[str, Meta(min_length=10, max_length=500)], ...], Meta(min_length=1)]
    hardware_tested: bool
    match: Match
    pcsc: Pcsc | None = None
    nfc: Nfc | None = None
    settle_ms: Annotated[int, Meta(ge=0, le=2_000)] = 0
    stable_reads: Annotated[int, Meta(ge=1, le=10)] = 2
    poll_ms: Annotated[int, Meta(ge=20, le=5_000)] = 250
    recovery: Recovery = Recovery()
    kernel_modules: Annotated[tuple[Annotated[str, Meta(pattern=r"^[a-z0-9_]{1,40}\Z")], ...], Meta(max_length=8)] = ()
    """Of the kernel's own, in the way of this reader, in the order in which they can be taken out."""

    def __post_init__(self) -> None:
        if self.pcsc is None and self.nfc is None:
            raise ValueError("neither a table `pcsc` nor a table `nfc`: nothing could drive it")
        if self.name == GENERIC and self.pcsc is None:
            raise ValueError("the profile for every other PC/SC reader has no table `pcsc`")

    def refusal(self, firmware: str) -> str:
        """Why this is not the profile for a firmware; empty where it is, or where nothing speaks against it."""
        known = self.pcsc.firmware if self.pcsc is not None else None
        return known.refusal(firmware) if known is not None else ""
