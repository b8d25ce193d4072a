"""Settings of boards, outputs and inputs: which pin or relay does what at this machine."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

INPUTS = ("door", "turned", "exit-button", "tamper", "fire-alarm")
"""`door`: on = open. `turned`: on for a moment with every turn. The others: on = pressed, opened up, alarm."""

Bit = Annotated[int, Meta(ge=0, le=65_535)]


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """One table of the settings file."""


class BoardSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A relay board on Modbus TCP."""

    host: Annotated[str, Meta(min_length=1)]
    port: Annotated[int, Meta(ge=1, le=65_535)] = 502
    unit: Annotated[int, Meta(ge=0, le=255)] = 1
    timing: Literal["flash", "register", "none"] = "none"
    """How the board times a pulse by itself. `flash`: function 05 at `flash_on` + relay, the value is the time (as
    Waveshare's boards have it). `register`: the time is written to holding register `register` + relay, which starts
    the pulse. `none`: it cannot, so this agent ends the pulse."""
    first_coil: Bit = 0
    flash_on: Bit = 0x0200
    flash_off: Bit = 0x0400
    register: Bit = 0
    register_base: Bit = 0
    """Added to the time: boards that have a command in the upper byte (0x0600 = "for so many seconds")."""
    unit_ms: Annotated[int, Meta(ge=1, le=60_000)] = 100
    """What one step of the time means."""
    most_units: Annotated[int, Meta(ge=1, le=65_535)] = 0x7FFF
    """The longest time that the board takes."""
    timeout_ms: Annotated[int, Meta(ge=20, le=300)] = 200
    poll_ms: Annotated[int, Meta(ge=10, le=1_000)] = 50
    """How often its inputs are read."""


class GpioOutputSettings(_Settings, frozen=True, tag="gpio"):
    """A relay on a line of the machine."""

    line: int | str
    """Number on the chip, or name."""
    chip: str = "/dev/gpiochip0"
    active_low: bool = False
    at_rest: Literal["released", "energised"] = "released"
    """`energised`: the relay holds the lock locked, so that without power or agent the way is free."""


class ModbusOutputSettings(_Settings, frozen=True, tag="modbus"):
    """A relay of a board; the first one is 0."""

    board: str
    relay: Annotated[int, Meta(ge=0, le=255)]
    at_rest: Literal["released", "energised"] = "released"
    allow_untimed: bool = False
    """Take it upon yourself that this agent, killed in mid-pulse, leaves the way free until it runs again."""


class ReaderOutputSettings(_Settings, frozen=True, tag="reader"):
    """The relay of a reader, by the relay pattern of its profile."""

    reader: str


class DryOutputSettings(_Settings, frozen=True, tag="dry"):
    """Moves nothing."""


OutputSettings = GpioOutputSettings | ModbusOutputSettings | ReaderOutputSettings | DryOutputSettings

Debounce = Annotated[int, Meta(ge=0, le=5_000)]


class GpioInputSettings(_Settings, frozen=True, tag="gpio"):
    """A contact on a line of the machine."""

    line: int | str
    chip: str = "/dev/gpiochip0"
    active_low: bool = False
    """A closed contact pulls the line down."""
    bias: Literal["as-is", "pull-up", "pull-down", "disabled"] = "as-is"
    normally_closed: bool = False
    """The contact opens when it is on: a broken wire then counts as on."""
    debounce_ms: Debounce = 50


class ModbusInputSettings(_Settings, frozen=True, tag="modbus"):
    """A discrete input of a board; the first one is 0."""

    board: str
    input: Annotated[int, Meta(ge=0, le=1_999)]
    normally_closed: bool = False
    debounce_ms: Debounce = 50


InputSettings = GpioInputSettings | ModbusInputSettings

BOARDS: dict[str, Any] = {"": BoardSettings}
OUTPUTS: dict[str, Any] = {
    "gpio": GpioOutputSettings,
    "modbus": ModbusOutputSettings,
    "reader": ReaderOutputSettings,
    "dry": DryOutputSettings,
}
INPUT_KINDS: dict[str, Any] = {"gpio": GpioInputSettings, "modbus": ModbusInputSettings}
TABLES = {"boards": BOARDS, "outputs": OUTPUTS, "inputs": INPUT_KINDS}
"""Tables of tables in the settings file, and what a table in them is by its `kind`."""


def clash(
    boards: dict[str, BoardSettings], outputs: dict[str, OutputSettings], inputs: dict[str, InputSettings]
) -> str:
    """What does not fit together, beginning with the key; empty = all of it fits."""
    used: dict[tuple[Any, ...], str] = {}
    for table, named in (("outputs", outputs), ("inputs", inputs)):
        for name, settings in named.items():
            key = f"{table}.{name}"
            if isinstance(settings, ModbusOutputSettings | ModbusInputSettings) and settings.board not in boards:
                return f"{key}.board: there is no [boards.{settings.board}]"
            place = _place(settings)
            if place and place in used:
                return f"{key}: {used[place]} is there already"
            used[place] = key
    return ""


def _place(settings: OutputSettings | InputSettings) -> tuple[Any, ...]:
    """Where it is; empty = it shares its place with nothing."""
    match settings:
        case GpioOutputSettings() | GpioInputSettings():
            return settings.chip, settings.line
        case ModbusOutputSettings():
            return settings.board, "relay", settings.relay
        case ModbusInputSettings():
            return settings.board, "input", settings.input
    return ()
