"""The readers of an agent as its settings have them, with local and published profiles, and what is wrong with them."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog

from edge_agent.config import Config, ReaderSettings, make_reader
from edge_agent.gate import Gate
from edge_agent.readers.recovery import PowerSwitch, ServiceRestart
from edge_agent.readers.supervisor import Configured, ProfilesRefused, Supervisor
from firmware_profiles import Profile, ProfileBook, load_folder
from protocol.messages import ConfigDetail, Kind, PartName, encode

log = structlog.get_logger(__name__)


class ReaderSide:
    """Begins with this machine's own profiles beside the shipped ones; central's come by `use_published`.

    `published`, with its `version`: what an earlier run took up. `power`: the outputs that readers hang on, by name.
    Local files that cannot be used are left out and said; so is a name in the settings that means nothing.
    """

    def __init__(
        self,
        config: Config,
        gate: Gate,
        power: Mapping[str, PowerSwitch] | None = None,
        published: Mapping[str, Profile] | None = None,
        version: int = 0,
    ) -> None:
        self.on_profiles_refused: Callable[[ProfilesRefused], None] = lambda refused: None
        """A reader did not work under published profiles. Called in the supervisor's thread."""
        self._gate = gate
        self._local, self._refused_files = load_folder(config.profiles_dir)
        for name, why in self._refused_files.items():
            log.error("local-profile-refused", file=name, why=why)
        before = ProfileBook(self._local)
        book = ProfileBook(self._local, published, version) if published else before
        self._said = [*self._unknown_names(config, book, power or {})]
        self.supervisor = Supervisor(
            [_configured(settings, power or {}) for settings in config.readers],
            gate,
            book,
            fallback=before if published else ProfileBook(),
            version=version,
            restart=ServiceRestart() if config.recovery.restart_service else None,
        )
        self.supervisor.on_profiles_refused = self._went_back

    def _unknown_names(self, config: Config, book: ProfileBook, power: Mapping[str, PowerSwitch]) -> list[str]:
        said = []
        for reader in config.readers:
            if reader.profile is not None and book.named(reader.profile) is None:
                said.append(f"reader {reader.name}: there is no profile {reader.profile!r}; one is looked for")
            if reader.power is not None and reader.power not in power:
                said.append(f"reader {reader.name}: there is no output {reader.power!r} to cycle its power")
        for line in said:
            log.error("settings", why=line)
        return said

    def use_published(self, published: Mapping[str, Profile], version: int) -> None:
        """Profiles that central published; the local ones still go before them. From any thread."""
        self.supervisor.use_profiles(ProfileBook(self._local, published, version), version)

    def _went_back(self, refused: ProfilesRefused) -> None:
        why = f"reader {refused.reader}: {refused.why}"
        detail = ConfigDetail(PartName.PROFILES.value, "went-back", refused.version, why[:500])
        self._gate.record(Kind.CONFIG, encode(detail))
        self.on_profiles_refused(refused)

    def status(self) -> list[dict[str, Any]]:
        return self.supervisor.status()

    def troubles(self) -> list[str]:
        """What an operator has to know of, a line each."""
        files = [f"local profile {name}: {why}" for name, why in self._refused_files.items()]
        return [*self._said, *files, *(f"reader {alarm.reader}: {alarm.why}" for alarm in self.supervisor.alarms())]


def _configured(settings: ReaderSettings, power: Mapping[str, PowerSwitch]) -> Configured:
    switch = power.get(settings.power) if settings.power is not None else None
    return Configured(
        settings.name, settings.kind, lambda book: make_reader(settings, book), switch, settings.power_off_s
    )
