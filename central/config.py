"""Settings from TOML: every key is known, has a default, and a wrong one is named with the nearest right one."""

import difflib
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec

from central.alerts.addresses import mail_fault
from central.alerts.limits import Limits
from central.neighbours.settings import Library, library_fault

DEFAULT_DATA_DIR = "/var/lib/tapgate-central"
LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
LONGEST_DATA_DIR = 96
"""Bytes: Linux allows 107 for the path of a socket in it."""


class ConfigError(Exception):
    """The settings cannot be used. The text is for the person who wrote them: the key, and what would do."""


class MailConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How alerts leave by mail: the settings under `[mail]`."""

    host: str
    port: int = 587
    sender: str
    """The address that mail comes from."""
    user: str = ""
    password_file: Path | None = None
    """Where the password stands, alone, for the server to read."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """`none` is for loopback only."""


class EventsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where subscriptions may be called: the settings under `[events]`."""

    networks: tuple[str, ...] = ()
    """Beside public addresses, those in these networks: `["10.20.0.0/16"]`. One of loopback may be called in plain
    HTTP, too."""


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
    console: bool = True
    """Pages at `/console` and the API at `/api/v1`, on the same address as devices call."""
    console_port: int = 0
    """The same address once more in plain HTTP on loopback, for a proxy that ends TLS or a browser here; 0: not."""
    proxied: bool = False
    """A proxy on this machine stands in front: the addresses of people are those that it tells (X-Forwarded-For)."""
    max_upload_bytes: int = 64 * 1024 * 1024
    """Of a file that somebody sends by the console or the API."""
    pin: bool | None = None
    """Devices trust the certificates that the key statement names; not given: yes where it is self-signed."""
    console_url: str = ""
    """Where people find the console, for links in alerts; empty: where devices find the server."""
    vols_layout: Path | None = None
    """The ministry's tables of volunteers, as a copy of `central/neighbours/vols/layout.toml`; not given: that file."""
    mail: MailConfig | None = None
    """Not given: alerts go to webhooks and the inbox alone."""
    alerts: Limits = Limits()
    events: EventsConfig = EventsConfig()
    libraries: tuple[Library, ...] = ()
    """Library systems that are asked about members by SIP2; tables `[[libraries]]`."""

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
        console_url=config.console_url.rstrip("/"),
    )


def _fault(config: Config) -> str:
    """Why settings that are well-formed cannot be run; empty when they can."""
    if config.tls == "none" and config.host not in LOOPBACK:
        return f"plain HTTP is served on loopback only: 'host' is {config.host!r} and 'tls' is \"none\""
    if config.tls == "files" and not (config.certificate and config.private_key):
        return "'tls' is \"files\": state 'certificate' and 'private_key'"
    if len(bytes(config.data_dir)) > LONGEST_DATA_DIR:
        return f"'data_dir' has more than {LONGEST_DATA_DIR} bytes: its socket could not be opened"
    for name in ("port", "console_port"):
        if not 0 <= getattr(config, name) <= 65_535:
            return f"{name!r} is {getattr(config, name)}"
    if urlsplit(config.url).scheme not in ("https", "http"):
        return f"'url' is {config.url!r}: it begins with https://"
    if config.console_url and urlsplit(config.console_url).scheme not in ("https", "http"):
        return f"'console_url' is {config.console_url!r}: it begins with https://"
    if not config.database.startswith(("sqlite:///", "postgresql://")):
        return "'database' begins with sqlite:/// or postgresql://"
    of_mail = _mail_fault(config.mail) if config.mail is not None else ""
    return of_mail or _libraries_fault(config.libraries) or _events_fault(config.events)


def _events_fault(events: EventsConfig) -> str:
    for network in events.networks:
        try:
            ip_network(network)
        except ValueError:
            return f"'events.networks': {network!r} is no network; one is 10.20.0.0/16"
    return ""


def _libraries_fault(libraries: tuple[Library, ...]) -> str:
    named = [library.id for library in libraries]
    twice = sorted({each for each in named if named.count(each) > 1})
    faults = [f"'libraries': {twice[0]!r} stands there twice"] if twice else []
    return next(iter([*faults, *filter(None, map(library_fault, libraries))]), "")


def _mail_fault(mail: MailConfig) -> str:
    if mail_fault(mail.sender):
        return f"'mail.sender': {mail_fault(mail.sender)}"
    if not mail.host or not 0 < mail.port <= 65_535:
        return f"'mail.host' is {mail.host!r}, 'mail.port' {mail.port}: both are needed"
    if mail.security == "none" and mail.host not in LOOPBACK:
        return (
            f"mail leaves in the clear on loopback only: 'mail.host' is {mail.host!r} and 'mail.security' is \"none\""
        )
    if bool(mail.user) != bool(mail.password_file):
        return "'mail.user' and 'mail.password_file' belong together"
    return ""
