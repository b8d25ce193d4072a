"""The readers of an agent as its settings have them, with local and published profiles, and what is wrong with them."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from edge_agent.config import Config, ReaderSettings, make_reader
from edge_agent.gate import Gate
from edge_agent.readers.recovery import PowerSwitch, ServiceRestart
from edge_agent.readers.supervisor import Alarm, Configured, ProfilesRefused, Supervisor
from edge_agent.release import ReleaseFailed
from firmware_profiles import Profile, ProfileBook, load_folder
from protocol.messages import ConfigDetail, Kind, PartName, encode

log = structlog.get_logger(__name__)


class ReaderSide:
    """Begins with this machine's own profiles beside the shipped ones; central's come by `use_published`.

    `power`: the outputs that readers hang on, by name. Local files that cannot be used are left out and said; so is
    the name of a profile in the settings that there is not.
    """

    def __init__(self, config: Config, gate: Gate, power: Mapping[str, PowerSwitch]) -> None:
        self.on_profiles_refused: Callable[[int, str], None] = lambda version, why: None
        """A reader does not work under the published profiles of this version. Called in the supervisor's thread."""
        self._config, self._gate = config, gate
        self._local, self._refused = load_folder(config.profiles_dir)
        for name, why in self._refused.items():
            log.error("local-profile-refused", file=name, why=why)
        self._book = ProfileBook(self._local)
        self._went_back: dict[str, str] = {}
        restart = ServiceRestart() if config.recovery.restart_service else None
        readers = [_configured(settings, power) for settings in config.readers]
        self._supervisor = Supervisor(readers, gate, self._book, fallback=ProfileBook(), restart=restart)
        self._supervisor.on_profiles_refused = self._profiles_refused
        self.start, self.stop = self._supervisor.start, self._supervisor.stop

    def use_published(self, published: Mapping[str, Profile], version: int) -> None:
        """Profiles that central published; the local ones still go before them. From any thread, at any time."""
        self._went_back = {}
        self._book = ProfileBook(self._local, published, version)
        self._supervisor.use_profiles(self._book, version)

    def _profiles_refused(self, refused: ProfilesRefused) -> None:
        """What was published is given up by whoever took it up, who also writes it down."""
        why = f"reader {refused.reader}: {refused.why}"
        self._went_back[refused.reader] = why
        if refused.version:
            self.on_profiles_refused(refused.version, why)
        else:
            detail = ConfigDetail(PartName.PROFILES.value, "went-back", 0, why[:400])
            self._gate.record(Kind.CONFIG, encode(detail))

    def play_relay(self, name: str) -> None:
        """Frees the way through the relay of a reader. Raises ReleaseFailed."""
        play = getattr(self._supervisor.watched[name].reader, "play_relay", None)
        if play is None:
            raise ReleaseFailed(f"the reader {name!r} is of a kind that has no relay")
        play()

    def alarms(self) -> tuple[Alarm, ...]:
        """Readers that nothing helped. From any thread; waits for nothing."""
        return self._supervisor.alarms()

    def status(self) -> list[dict[str, Any]]:
        """One row a reader, ready for JSON."""
        return self._supervisor.status()

    def troubles(self) -> list[str]:
        """What an operator has to know of, a line each."""
        unknown = (
            f"reader {reader.name}: there is no profile {reader.profile!r}; the one that fits is used"
            for reader in self._config.readers
            if reader.profile is not None and self._book.named(reader.profile) is None
        )
        files = (f"local profile {name}: {why}" for name, why in self._refused.items())
        alarms = (f"reader {alarm.reader}: {alarm.why}" for alarm in self.alarms())
        return [*unknown, *files, *self._went_back.values(), *alarms]


def _configured(settings: ReaderSettings, power: Mapping[str, PowerSwitch]) -> Configured:
    return Configured(
        settings.name,
        settings.kind,
        lambda book: make_reader(settings, book),
        power[settings.power] if settings.power is not None else None,
        settings.power_off_s,
    )
