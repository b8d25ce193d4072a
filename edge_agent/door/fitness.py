"""Whether this machine can carry out what central configures of its gate (SPEC §7.6). Pure."""

from collections.abc import Container

from edge_agent.release import Output
from protocol.errors import Failure, Refused
from protocol.messages import ReleaseConfig

CONTACT = {"door": "door", "turnstile": "turned"}
"""By the kind of passage, the input that tells it."""


def judge(config: ReleaseConfig, lock: Output | None, inputs: Container[str]) -> None:
    """Raises Refused `not-satisfiable`, naming what this machine lacks."""
    problem = _passage(config, lock, inputs) or (_lock(config, lock) if lock is not None else "")
    if problem:
        raise Refused(Failure.NOT_SATISFIABLE, problem)


def _passage(config: ReleaseConfig, lock: Output | None, inputs: Container[str]) -> str:
    if config.passage == "none":
        return ""
    contact = CONTACT[config.passage]
    if contact not in inputs:
        return f"passage {config.passage!r} needs [inputs.{contact}], which this machine does not have"
    if lock is not None and not lock.can_be_cut and config.passage_ms < config.pulse_ms:
        return "passage_ms is shorter than pulse_ms, and this machine's lock cannot be locked in mid-pulse"
    return ""


def _lock(config: ReleaseConfig, lock: Output) -> str:
    if lock.times_itself and config.pulse_ms > lock.longest_ms:
        return f"pulse_ms {config.pulse_ms} is longer than the {lock.longest_ms} ms that this machine's output can time"
    if config.fail == "safe":
        return ""
    if lock.rests_free:
        return "fail-secure, but this machine's lock is free while its output is at rest (at_rest = 'energised')"
    if not (lock.times_itself or lock.reverts or lock.may_be_untimed):
        return (
            "fail-secure, but this machine's output cannot end a pulse by itself: use a board that can, or write"
            " allow_untimed = true"
        )
    return ""
