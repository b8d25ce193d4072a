"""Settings from TOML: every key is known, has a default, and a wrong one is named with the nearest right one."""

import difflib
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

DEFAULT_DATA_DIR = "/var/lib/tapgate-central"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_DATA_DIR = 96
"""Bytes: Linux allows 107 for the path of a socket in it."""


class ConfigError(Exception):
    """The settings cannot be used. The text is for the person who wrote them: the key, and what would do."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the server runs with. Paths are absolute once loaded."""

    data_dir: Path = Path(DEFAULT_DATA_DIR)
    """Database, snapshots, lock and socket."""
    database: str = ""
    """`sqlite:///path` or `postgresql://user@host/name`; empty: `central.db` in the data directory."""
    keys_dir: Path = Path()
    """Central's keys, outside every backup of the database; empty: `keys` in the data directory."""
    host: str = "127.0.0.1"
    port: int = 8443
    url: str = ""
    """How devices reach this server; empty: made of host and port."""
    tls: Literal["self-signed", "files", "none"] = "self-signed"
    """`none` is for loopback only, behind a proxy that ends TLS."""
    certificate: Path | None = None
    private_key: Path | None = None
    """PEM files, for `tls = "files"`."""
    pin: bool | None = None
    """Devices trust the certificates that the key statement names; not given: yes where it is self-signed."""

    @property
    def pinned(self) -> bool:
        return self.tls == "self-signed" if self.pin is None else self.pin

    @property
    def is_sqlite(self) -> bool:
        return self.database.startswith("sqlite")


def load(path: Path | None, **overrides: Any) -> Config:
    """Settings of a file, with what the command line gave (None = not given) in their place.

    Raises ConfigError.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = msgspec.toml.decode(path.read_bytes())
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path}: {error}") from None
    return parse(values | {name: value for name, value in overrides.items() if value is not None}, str(path or ""))


def parse(values: dict[str, Any], where: str = "") -> Config:
    """Settings of a table, made whole and checked. Raises ConfigError; `where` begins its text."""
    prefix = f"{where}: " if where else ""
    for name in values:
        if name not in Config.__struct_fields__:
            near = difflib.get_close_matches(name, Config.__struct_fields__, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(Config.__struct_fields__)}"
            raise ConfigError(f"{prefix}there is no setting {name!r}; {hint}")
    try:
        config = msgspec.convert(values, Config, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{prefix}{error}") from None
    config = _whole(config)
    fault = _fault(config)
    if fault:
        raise ConfigError(prefix + fault)
    return config


def _path(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    raise TypeError(f"{value!r} is no {kind.__name__}")


def _whole(config: Config) -> Config:
    data_dir = config.data_dir.expanduser().absolute()
    scheme = "http" if config.tls == "none" else "https"
    host = f"[{config.host}]" if ":" in config.host else config.host
    return msgspec.structs.replace(
        config,
        data_dir=data_dir,
        database=config.database or f"sqlite:///{data_dir / 'central.db'}",
        keys_dir=(data_dir / "keys") if config.keys_dir == Path() else config.keys_dir.expanduser().absolute(),
        url=config.url.rstrip("/") or f"{scheme}://{host}:{config.port}",
    )


def _fault(config: Config) -> str:
    """Why settings that are well-formed cannot be run; empty when they can."""
    if config.tls == "none" and config.host not in LOOPBACK:
        return f"plain HTTP is served on loopback only: 'host' is {config.host!r} and 'tls' is \"none\""
    if config.tls == "files" and not (config.certificate and config.private_key):
        return "'tls' is \"files\": state 'certificate' and 'private_key'"
    if len(bytes(config.data_dir)) > LONGEST_DATA_DIR:
        return f"'data_dir' has more than {LONGEST_DATA_DIR} bytes: its socket could not be opened"
    if not 0 <= config.port <= 65_535:
        return f"'port' is {config.port}"
    if urlsplit(config.url).scheme not in ("https", "http"):
        return f"'url' is {config.url!r}: it begins with https://"
    if not config.database.startswith(("sqlite:///", "postgresql://")):
        return "'database' begins with sqlite:/// or postgresql://"
    return ""
