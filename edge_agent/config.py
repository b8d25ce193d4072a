"""Settings of one agent, from a TOML file. A wrong key is named, with the nearest right one."""

import difflib
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge_agent.journal.database import Limits
from edge_agent.journal.pruning import KEEP_MS
from edge_agent.readers import Reader
from edge_agent.release.settings import (
    INPUTS,
    TABLES,
    BoardSettings,
    InputSettings,
    OutputSettings,
    ReaderOutputSettings,
    clash,
)
from firmware_profiles import ProfileBook


class ConfigError(Exception):
    """The settings cannot be used; the text names the file, the key and what is wrong."""


class ReaderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reader. `name` is ours; the rest says where it is."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Literal["pcsc", "nfc", "simulated"]
    match: str | None = None
    """pcsc: a part of the PC/SC name; not given = the first contactless reader."""
    path: str = ""
    """nfc: nfcpy's device path (`usb`, `tty:USB0:pn532`, `tty:/dev/serial/by-id/…:pn532`, …).
    simulated: a script, a FIFO, or `-`."""
    profile: str | None = None
    """A profile by its name; not given = the one that fits."""
    power: str | None = None
    """The name of an output that cuts this reader's power while it is on, so that one at rest supplies it."""
    power_off_s: Annotated[float, Meta(ge=0.5, le=60)] = 3.0


class RecoverySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be done about a reader that does not work, beside opening it again."""

    restart_service: bool = False
    """Whether pcscd may be restarted; other readers behind it are away for a moment."""


class ReleaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The door side."""

    output: str = ""
    """Which of [outputs] frees the way; empty = none does (`kind = "dry"` says so)."""
    kind: Literal["", "dry"] = ""
    path: Path | None = None
    """A file that gets one line for every answer (see `release/dry.py`)."""


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ceilings of the journal."""

    max_mib: Annotated[int, Meta(ge=16)] = 2_048
    prune_above_mib: Annotated[int, Meta(ge=8)] = 1_024
    reserve_mib: Annotated[int, Meta(ge=1)] = 8
    keep_days: Annotated[int, Meta(ge=1)] = KEEP_MS // 86_400_000


class ScreenSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The kiosk page, for a browser on this machine: it is served on loopback, and nowhere else."""

    port: Annotated[int, Meta(ge=1_024, le=65_535)] = 8_460


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is this machine's own; what the gate is comes from central."""

    data_dir: Path
    readers: tuple[ReaderSettings, ...] = ()
    release: ReleaseSettings = ReleaseSettings()
    boards: dict[str, BoardSettings] = {}
    outputs: dict[str, OutputSettings] = {}
    inputs: dict[str, InputSettings] = {}
    journal: JournalSettings = JournalSettings()
    recovery: RecoverySettings = RecoverySettings()
    screen: ScreenSettings | None = None
    """None: there is no screen at this gate."""
    profiles_dir: Path = Path("/etc/tapgate/profiles")
    """Reader profiles of this machine's own, which go before all others."""
    poll_wait_s: Annotated[int, Meta(ge=1, le=300)] = 30
    retry_max_s: Annotated[float, Meta(gt=0, le=3_600)] = 30.0

    def limits(self) -> Limits:
        mib = 1024 * 1024
        return Limits(self.journal.max_mib * mib, self.journal.reserve_mib * mib)


def load(path: Path) -> Config:
    """Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
        data = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from None
    _check_keys(path, data, Config, "")
    try:
        config = msgspec.convert(data, Config, dec_hook=_paths)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {error}") from None
    names = [reader.name for reader in config.readers]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        raise ConfigError(f"{path}: two readers are named {twice!r}")
    if problem := _unfit(config):
        raise ConfigError(f"{path}: {problem}")
    return _beside(config, path.parent)


def _unfit(config: Config) -> str:
    """What does not fit together, beginning with the key."""
    release = config.release
    if release.output and release.kind == "dry":
        return f"release.kind: dry moves nothing, release.output names {release.output!r}"
    if release.output and release.output not in config.outputs:
        return f"release.output: there is no [outputs.{release.output}]"
    for reader in config.readers:
        if reader.power is not None and reader.power not in config.outputs:
            return f"readers.power: there is no [outputs.{reader.power}]"
    readers = {reader.name for reader in config.readers}
    for name, output in config.outputs.items():
        if isinstance(output, ReaderOutputSettings) and output.reader not in readers:
            return f"outputs.{name}.reader: no reader is named {output.reader!r}"
    return clash(config.boards, config.outputs, config.inputs)


def _beside(config: Config, folder: Path) -> Config:
    """Paths are relative to the settings file, wherever the agent is started from."""
    release = config.release
    if release.path is not None:
        release = msgspec.structs.replace(release, path=folder / release.path)
    readers = tuple(
        msgspec.structs.replace(reader, path=str(folder / reader.path))
        if reader.kind == "simulated" and reader.path not in ("", "-")
        else reader
        for reader in config.readers
    )
    return msgspec.structs.replace(
        config,
        data_dir=folder / config.data_dir,
        profiles_dir=folder / config.profiles_dir,
        release=release,
        readers=readers,
    )


def make_reader(settings: ReaderSettings, book: ProfileBook | None = None) -> Reader:
    """The reader of its kind; its library is loaded here and nowhere else."""
    if settings.kind == "pcsc":
        from edge_agent.readers.pcsc import PcscReader

        return PcscReader(settings.name, settings.match, settings.profile, book)
    if settings.kind == "nfc":
        from edge_agent.readers.nfc import NfcReader

        return NfcReader(settings.name, settings.path or "usb", settings.profile, book)
    from edge_agent.readers.simulated import SimulatedReader

    return SimulatedReader(settings.name, settings.path or "-")


_NESTED: dict[str, Any] = {
    "readers": ReaderSettings,
    "release": ReleaseSettings,
    "journal": JournalSettings,
    "recovery": RecoverySettings,
    "screen": ScreenSettings,
}


def _check_keys(path: Path, data: dict[str, Any], kind: Any, where: str) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key, value in data.items():
        if key not in known and key != kind.__struct_config__.tag_field:
            raise ConfigError(f"{path}: there is no setting {where + key!r}{_hint(key, known)}")
        if where == "" and key in _NESTED:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    _check_keys(path, item, _NESTED[key], f"{key}.")
        elif where == "" and key in TABLES and isinstance(value, dict):
            for name, item in value.items():
                _check_table(path, key, name, item)


def _check_table(path: Path, table: str, name: str, item: Any) -> None:
    """One table of a table of tables, by itself: so that what is wrong in it is named in full."""
    if table == "inputs" and name not in INPUTS:
        raise ConfigError(f"{path}: there is no input {name!r}{_hint(name, INPUTS)}")
    kinds = TABLES[table]
    kind = kinds.get(item.get("kind", "") if "" not in kinds else "") if isinstance(item, dict) else None
    if kind is None:
        of = "" if "" in kinds else f", its kind one of {', '.join(kinds)}"
        raise ConfigError(f"{path}: {table}.{name} is a table{of}")
    _check_keys(path, item, kind, f"{table}.{name}.")
    try:
        msgspec.convert(item, kind)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path}: {table}.{name}: {error}") from None


def _hint(key: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(key, known, 1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _paths(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError("a path is text")
