"""Takes up what the machine itself is set by: configuration and reader profiles (SPEC §7.6).

What the machine then turns out not to work with is given up for what it worked with before (`proving`).
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import structlog

from edge_agent.gate import Gate
from edge_agent.identity import Identity
from edge_agent.published import parts
from edge_agent.published.names_uptake import NamesUptake
from edge_agent.published.parts import AtRest
from edge_agent.published.proving import Proving
from edge_agent.sync import Opened
from firmware_profiles import Profile, ProfileError, parse_published
from protocol.errors import Failure, Refused
from protocol.messages import GateConfig, PartName, Profiles
from protocol.time_zones import zone_named

log = structlog.get_logger(__name__)

PROVEN_S = 10.0
"""A configuration is known to work once the agent has run with it for so long."""


class SettingsUptake(NamesUptake):
    """The three hooks are set by whoever owns the machine's hardware, before `load`. Each is called in a worker thread
    with `lock` held, between taps rather than in their way: what it does to the door it swaps in at once."""

    def __init__(self, directory: Path, gate: Gate, identity: Identity, proven_s: float = PROVEN_S) -> None:
        super().__init__(directory, gate, identity)
        self.judge_config: Callable[[GateConfig], None] = lambda config: None
        """Raises Refused `not-satisfiable`, naming what this machine cannot do. Changes nothing."""
        self.on_config: Callable[[GateConfig | None], None] = lambda config: None
        """Puts all of it to use, or raises and leaves everything as it was. None: as before the first one."""
        self.on_profiles: Callable[[Mapping[str, Profile], int], None] = lambda profiles, version: None
        """The published profiles to use, and their version; none and 0 where there are none."""
        self.published: tuple[Mapping[str, Profile], int] = ({}, 0)
        """As `on_profiles` was last told."""
        self.trials = {
            PartName.CONFIG: Proving(gate, PartName.CONFIG, proven_s),
            PartName.PROFILES: Proving(gate, PartName.PROFILES, None),
        }
        self._machine_has: GateConfig | None = None

    # --- at start, and as time goes by --------------------------------------------------------------------

    def load(self) -> AtRest:
        """What an earlier run took up, or what it went back to."""
        with self.lock:
            found = super().load()
            for name in self.trials:
                self._load(name, found)
            self.use(msgspec.structs.replace(self.gate.holding, closures=parts.closures_in(found)))
            self.load_names(found)
            for part, error in found.refused.items():
                log.error("stored-part-refused", part=part, error=str(error))
            return found

    def _load(self, name: PartName, found: AtRest) -> None:
        trial = self.trials[name]
        chosen = trial.pick(found)
        if chosen is not None or trial.trouble() is not None:
            try:
                self._use(name, chosen)
            except Exception as error:
                if chosen is not None and trial.is_on_trial:
                    self._go_back(name, chosen.message.version, _said(error))
                else:  # it worked before, so it is the machine that changed
                    self._hold(name, chosen)
                    self.say(name, chosen.message.version if chosen else 0, error)
        self.say_given_up()

    def tick(self, now_s: float) -> None:
        """Now and then, by the monotonic clock, once all parts of the agent run. Waits for no uptake. Raises
        JournalUnwritable, StoreDamaged."""
        for trial in self.trials.values():
            trial.tick(now_s)

    def on_trial(self) -> list[str]:
        """What the agent has not run with for long enough yet, for its status."""
        return [f"{name} {trial.version}" for name, trial in self.trials.items() if trial.is_on_trial]

    def fetch_again(self, name: str) -> None:
        super().fetch_again(PartName.CONFIG if name == parts.NEWEST_CONFIG else name)
        for part, trial in self.trials.items():
            if name == parts.good(part):
                trial.keep_again()

    # --- configuration and reader profiles ----------------------------------------------------------------

    def take_config(self, found: Opened) -> None:
        """Raises Refused, JournalUnwritable."""
        config: GateConfig = found.message
        self.accept(PartName.CONFIG, found)
        if config.gate != self.manifest().gate:
            raise Refused(Failure.OTHER_DEVICE, f"configuration of gate {config.gate}")
        self._take_closures(found)
        zone_named(config.time_zone)
        self.judge_config(config)
        self._try_out(PartName.CONFIG, found)

    def _take_closures(self, found: Opened) -> None:
        """They hold from now on, whether or not the machine can do the rest of it: a closed venue stays closed.
        Raises JournalUnwritable."""
        config: GateConfig = found.message
        self.store.commit(lambda t: parts.put(t, parts.NEWEST_CONFIG, config.version, found.envelope))
        self.use(msgspec.structs.replace(self.gate.holding, closures=config.closures))

    def take_profiles(self, found: Opened) -> None:
        """All of them or none. Raises Refused, JournalUnwritable."""
        self.accept(PartName.PROFILES, found)
        _parsed(found.message)
        self._try_out(PartName.PROFILES, found)

    def give_up_profiles(self, version: int, why: str) -> None:
        """A reader does not work under the published profiles of this version: back to those before. From any thread
        for which `on_profiles` does not wait."""
        with self.lock:
            self._go_back(PartName.PROFILES, version, why)

    def _try_out(self, name: PartName, found: Opened) -> None:
        """On disk first. What fails at once is given up at once."""
        trial = self.trials[name]
        trial.take(found)
        try:
            self._use(name, found)
        except Exception as error:
            self._go_back(name, found.message.version, _said(error))
            raise trial.refusal() from error

    def _go_back(self, name: PartName, version: int, why: str) -> None:
        """To the last one that is known to work; said in the next poll and by an event."""
        trial = self.trials[name]
        if not trial.give_up(version, why):
            return
        good = trial.last_good
        try:
            self._use(name, good)
        except Exception as error:
            self._hold(name, good)
            self.say(name, good.message.version if good else 0, error)
        self.say_given_up()

    def say_given_up(self) -> None:
        """What was given up stays among the troubles until the manifest names another version."""
        for name, trial in self.trials.items():
            trouble = trial.trouble()
            if trouble is not None and trouble.version == self.stated(name):
                self.troubles[name] = trouble

    def _use(self, name: PartName, found: Opened | None) -> None:
        """Raises whatever a machine raises that cannot do it."""
        if name is PartName.CONFIG:
            config = found.message if found else None
            if config != self._machine_has:
                self.on_config(config)
                self._machine_has = config
        else:
            published = (_parsed(found.message), found.message.version) if found else ({}, 0)
            if published[1] != self.published[1]:
                self.on_profiles(*published)
                self.published = published
        self._hold(name, found)

    def _hold(self, name: PartName, found: Opened | None) -> None:
        holding = self.with_taken(name, found)
        if name is PartName.CONFIG:
            holding = msgspec.structs.replace(holding, config=found.message if found else None)
        self.use(holding)
        self.trials[name].runs(found)
        self.follow_names()


def _parsed(published: Profiles) -> dict[str, Profile]:
    try:
        return parse_published(published.profiles)
    except ProfileError as error:
        raise Refused(Failure.MALFORMED, str(error)) from None


def _said(error: Exception) -> str:
    return error.detail if isinstance(error, Refused) else f"{type(error).__name__}: {error}"
