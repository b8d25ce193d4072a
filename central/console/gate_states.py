"""States of gates and devices as pages show them: a badge with a sign and a word, and why in a sentence."""

from collections.abc import Iterable

from central.console.page import _N
from central.console.words import say
from central.reporting.gate_state import TEXTS, State

BADGES: dict[str, tuple[str, str]] = {
    State.ONLINE.value: ("good", _N("online")),
    State.BEHIND.value: ("warn", _N("behind")),
    State.SILENT.value: ("off", _N("silent")),
    State.ALARM.value: ("bad", _N("alarm")),
    State.WAITING.value: ("busy", _N("to be confirmed")),
    State.OFF.value: ("off", _N("out of service")),
}
"""Kind of badge and word, by state."""


def why(lang: str, reasons: Iterable[str]) -> str:
    """Every reason as people read it; empty for none."""
    return "; ".join(say(lang, TEXTS.get(code, code)) for code in reasons)
