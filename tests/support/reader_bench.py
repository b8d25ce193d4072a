"""Two doubles of readers under a real supervisor, in scaled time; the threads are real."""

from collections.abc import Callable

from edge_agent.readers.case import Patience
from edge_agent.readers.supervisor import Configured, Supervisor
from firmware_profiles import ProfileBook
from tests.support.reader_double import GateDouble, ReaderDouble, until

QUICK = Patience(
    hung_s=2.0,
    starting_s=0.3,
    wedged_s=0.05,
    absent_s=0.1,
    firm_s=5.0,
    again_s=0.2,
    flapping_s=0.001,
    reopen_s=0.05,
    re_establish_s=0.05,
    restart_service_s=0.05,
    power_cycle_s=0.05,
    profile_s=0.3,
)
"""A watchdog of 2 s, so that a busy machine does not look like a reader that hangs."""


class Bench:
    """Readers `a` and `b`, the steps that reached them, and a supervisor to be started."""

    def __init__(self) -> None:
        self.gate = GateDouble()
        self.made: dict[str, list[ReaderDouble]] = {"a": [], "b": []}
        self.steps: list[tuple[str, str]] = []
        self.cured_by: dict[str, str] = {}
        self.refusals: dict[str, Exception] = {}
        self.patience, self.kind = QUICK, "pcsc"
        self.helpable = "the PC/SC service does not answer"

    def start(self, *, power: bool = True, restart: bool = True) -> Supervisor:
        switch = Power(lambda: self.step("a", "power-cycle")) if power else None
        readers = [
            Configured("a", self.kind, lambda book: self.make_with("a", book), switch, off_s=0.5),
            Configured("b", "simulated", lambda book: self.make_with("b", book)),
        ]
        self.supervisor = Supervisor(
            readers,
            self.gate,
            ProfileBook(),
            restart=(lambda: self.step("a", "restart-service")) if restart else None,
            patience=self.patience,
        )
        self.supervisor.start()
        for name in ("a", "b"):
            self.reader(name).say("ready")
            until(lambda name=name: self.gate.states(name)[-1:] == ["ready"])
        return self.supervisor

    def make_with(self, name: str, book: ProfileBook) -> ReaderDouble:
        return self.make(name)

    def make(self, name: str) -> ReaderDouble:
        made = ReaderDouble(name)
        made.on_step = lambda step: self.step(name, step)
        self.made[name].append(made)
        return made

    def reader(self, name: str) -> ReaderDouble:
        return self.made[name][-1]

    def step(self, name: str, step: str) -> None:
        self.steps.append((name, step))
        if step in self.refusals:
            raise self.refusals[step]
        if self.cured_by.get(name) == step:
            self.reader(name).say("ready")

    def until_state(self, name: str, state: str) -> None:
        until(lambda: self.gate.states(name)[-1] == state, lambda: (self.gate.events, self.steps))


class Power:
    """An output that a reader hangs on."""

    def __init__(self, cycled: Callable[[], None]) -> None:
        self.cycled = cycled

    def cycle(self, off_s: float) -> None:
        assert off_s == 0.5
        self.cycled()
