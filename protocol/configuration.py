"""What central configures of a gate beside its policy and list (SPEC §5.12, §7.6): configuration, profiles, names.

Configuration and profiles are maps on the wire, since people write them.
"""

from typing import Annotated, ClassVar, Literal

import msgspec
from msgspec import Meta

from protocol.consent import MAX_PURPOSES
from protocol.events import Direction
from protocol.reasons import Reason
from protocol.time_zones import CITY_ZONE
from protocol.wire import Count, Digest, Id16, Identifier, Message, Millis, Name, Record, Text

MAX_CONFIG_BYTES = 64 * 1024
MAX_PROFILES_BYTES = 256 * 1024
MAX_STAFF = 100
MAX_NAMES = 100_000
MAX_CHOICES = 12
Caption = Annotated[str, Meta(max_length=40)]
MAX_CLOSURES = 32


class _Map(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a configuration."""


class ReleaseConfig(_Map, frozen=True):
    """How the way is freed and what counts as a passage. Which pin or board does it is the machine's own setting."""

    fail: Literal["secure", "safe"] = "secure"
    """Without power: `secure` stays locked, `safe` is free. Without the agent the relay decides: one that reverts goes
    to its rest, one on a network stays as it was."""
    pulse_ms: Annotated[int, Meta(ge=100, le=60_000)] = 3_000
    relock_on_open: bool = True
    passage: Literal["none", "door", "turnstile"] = "none"
    """What tells that somebody went through: nothing, a door contact, a turnstile's "turned" contact."""
    passage_ms: Annotated[int, Meta(ge=1_000, le=120_000)] = 8_000
    """After a grant: not opened or not turned by then means not taken."""
    held_warn_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 20_000
    held_ms: Annotated[int, Meta(ge=0, le=3_600_000)] = 30_000
    """A door open for so long after a passage warns, then raises the alarm; 0 = never."""

    def __post_init__(self) -> None:
        if self.held_ms and self.held_warn_ms > self.held_ms:
            raise ValueError("held_warn_ms comes before held_ms, or not at all")


class Choice(_Map, frozen=True):
    """A rule that a person may choose before the tap (a team, an activity), and what the page calls it."""

    rule: Name
    zh: Caption = ""
    en: Caption = ""
    """Given in one language it stands for both; in none, the rule's id does."""


class ScreenConfig(_Map, frozen=True):
    """What the kiosk page of a gate offers."""

    languages: Annotated[tuple[Literal["zh-TW", "en"], ...], Meta(min_length=1, max_length=2)] = ("zh-TW", "en")
    theme: Literal["auto", "light", "dark"] = "auto"
    sound: bool = True
    show_ms: Annotated[int, Meta(ge=1_000, le=30_000)] = 4_000
    """How long an answer stands before the page is ready again."""
    undo: bool = False
    """Whether a person may say "not me" for ten seconds after a granted tap."""
    names: bool = False
    """Whether the masked names of members who agreed are shown."""
    staff_admit: bool = False
    """Whether staff may admit by hand, with a PIN and a reason."""
    staff_close: bool = False
    """Whether staff may close the way in and open it again, with a PIN."""
    choices: Annotated[tuple[Choice, ...], Meta(max_length=MAX_CHOICES)] = ()
    """What a person may choose before the tap; of these the page shows the admitting rules whose hours hold."""
    consents: Annotated[tuple[Name, ...], Meta(max_length=MAX_PURPOSES)] = ()
    """Purposes that a person may agree to or refuse here, by a tap, in the order in which the page lists them."""

    def __post_init__(self) -> None:
        if len(set(self.languages)) != len(self.languages):
            raise ValueError("languages: one stands twice")
        if len({choice.rule for choice in self.choices}) != len(self.choices):
            raise ValueError("choices: one rule stands twice")
        if len(set(self.consents)) != len(self.consents):
            raise ValueError("consents: one purpose stands twice")


class StaffPin(_Map, frozen=True):
    """One person who may admit or close by hand. `verifier` is of no use without the domain's key (`pin.py`)."""

    id: Name
    salt: Id16
    verifier: Digest


class Wording(_Map, frozen=True):
    """A venue's own words for one reason; empty = the standard ones."""

    zh: Text = ""
    en: Text = ""
    next_zh: Text = ""
    next_en: Text = ""


class Closure(_Map, frozen=True):
    """A time in which the gate's venue, or the city, is closed: nobody enters but who is in a class that it admits."""

    from_ms: Millis
    until_ms: Millis
    """Excluded."""
    admits: Annotated[tuple[Name, ...], Meta(max_length=16)] = ()
    why_zh: Annotated[str, Meta(max_length=100)] = ""
    why_en: Annotated[str, Meta(max_length=100)] = ""

    def __post_init__(self) -> None:
        if self.until_ms <= self.from_ms:
            raise ValueError("a closure ends after it begins")


class GateConfig(_Map, frozen=True):
    """What central configures of one gate."""

    TYPE: ClassVar[str] = "tapgate.config.v1"
    MAX_BYTES: ClassVar[int] = MAX_CONFIG_BYTES
    version: Count
    gate: Name
    kind: Name
    direction: Direction = Direction.IN
    time_zone: Name = CITY_ZONE
    title_zh: Text = ""
    title_en: Text = ""
    release: ReleaseConfig = ReleaseConfig()
    screen: ScreenConfig = ScreenConfig()
    texts: dict[Reason, Wording] = {}
    staff: Annotated[tuple[StaffPin, ...], Meta(max_length=MAX_STAFF)] = ()
    closures: Annotated[tuple[Closure, ...], Meta(max_length=MAX_CLOSURES)] = ()
    """Those that are not over, by their beginnings."""

    def __post_init__(self) -> None:
        if len({person.id for person in self.staff}) != len(self.staff):
            raise ValueError("staff: one id stands twice")


class Profiles(_Map, frozen=True):
    """Reader profiles that central publishes, each the text of a TOML file, by name. They go before shipped ones."""

    TYPE: ClassVar[str] = "tapgate.profiles.v1"
    MAX_BYTES: ClassVar[int] = MAX_PROFILES_BYTES
    version: Count
    profiles: Annotated[dict[Name, Annotated[str, Meta(max_length=16 * 1024)]], Meta(max_length=64)]


class MaskedName(Record, gc=False, frozen=True):
    """What a screen may call a member: masked, and only of one who agreed."""

    subject: Id16
    name: Name


class Names(Message, frozen=True):
    """The masked names of a domain, for gates whose screen shows them."""

    TYPE = "tapgate.names.v1"
    domain: Identifier
    version: Count
    names: Annotated[tuple[MaskedName, ...], Meta(max_length=MAX_NAMES)]
