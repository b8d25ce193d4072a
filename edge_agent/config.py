"""Settings of one agent, from a TOML file. A wrong key is named, with the nearest right one."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge_agent.database import Limits
from edge_agent.pruning import KEEP_MS
from edge_agent.readers import Reader
from edge_agent.release import Release
from edge_agent.release.dry import DryRelease


class ConfigError(Exception):
    """The settings cannot be used; the text names the file, the key and what is wrong."""


class ReaderSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One reader. `name` is ours; the rest says where it is."""

    name: Annotated[str, Meta(min_length=1, max_length=64)]
    kind: Literal["pcsc", "nfc", "simulated"]
    match: str | None = None
    """pcsc: a part of the PC/SC name; not given = the first contactless reader."""
    path: str = ""
    """nfc: nfcpy's device path (`usb`, `tty:USB0:pn532`, …). simulated: a script, a FIFO, or `-`."""


class ReleaseSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The door side."""

    kind: Literal["dry"] = "dry"
    path: Path | None = None


class JournalSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ceilings of the journal."""

    max_mib: Annotated[int, Meta(ge=16)] = 2_048
    prune_above_mib: Annotated[int, Meta(ge=8)] = 1_024
    reserve_mib: Annotated[int, Meta(ge=1)] = 8
    keep_days: Annotated[int, Meta(ge=1)] = KEEP_MS // 86_400_000


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is this machine's own; what the gate is comes from central."""

    data_dir: Path
    readers: tuple[ReaderSettings, ...] = ()
    release: ReleaseSettings = ReleaseSettings()
    journal: JournalSettings = JournalSettings()
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
    return _beside(config, path.parent)


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
    return msgspec.structs.replace(config, data_dir=folder / config.data_dir, release=release, readers=readers)


def make_reader(settings: ReaderSettings) -> Reader:
    """The reader of its kind; its library is loaded here and nowhere else."""
    if settings.kind == "pcsc":
        from edge_agent.readers.pcsc import PcscReader

        return PcscReader(settings.name, settings.match)
    if settings.kind == "nfc":
        from edge_agent.readers.nfc import NfcReader

        return NfcReader(settings.name, settings.path or "usb")
    from edge_agent.readers.simulated import SimulatedReader

    return SimulatedReader(settings.name, settings.path or "-")


def make_release(settings: ReleaseSettings) -> Release:
    """The release of its kind."""
    return DryRelease(settings.path)


_NESTED: dict[str, Any] = {"readers": ReaderSettings, "release": ReleaseSettings, "journal": JournalSettings}


def _check_keys(path: Path, data: dict[str, Any], kind: Any, where: str) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key, value in data.items():
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
            raise ConfigError(f"{path}: there is no setting {where + key!r}{hint}")
        if where == "" and key in _NESTED:
            for item in value if isinstance(value, list) else [value]:
                if isinstance(item, dict):
                    _check_keys(path, item, _NESTED[key], f"{key}.")


def _paths(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise ValueError("a path is text")
