"""Why a reader that says that it is not there can be helped all the same: the service is gone, or hides it."""

import os
import socket
from collections.abc import Sequence

from edge_agent.commissioning.hardware import usb_devices
from edge_agent.commissioning.machine import Machine
from edge_agent.readers import ReaderFacts
from firmware_profiles import ProfileBook

SOCKET = "/run/pcscd/pcscd.comm"
CONNECT_S = 2.0


def service_answers() -> bool:
    """Whether pcscd takes a connection; where systemd watches its socket, this also starts it."""
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(CONNECT_S)
            probe.connect(os.environ.get("PCSCLITE_CSOCK_NAME") or SOCKET)
    except OSError:
        return False
    return True


def why_it_can_be_helped(facts: ReaderFacts, others: Sequence[ReaderFacts], book: ProfileBook, machine: Machine) -> str:
    """For a PC/SC reader that is absent; empty when it is simply not plugged in, or when nobody can tell.

    `others`: the PC/SC readers of this agent that are ready, and so are plugged in themselves.
    """
    if machine.runs and not service_answers():
        return "the PC/SC service does not answer"
    known = _usb_of(facts, book)
    taken = [other for other in others if not known or set(known) & set(_usb_of(other, book))]
    # one whose USB identifier nobody knows may be any smart card reader
    listed = [each for each in usb_devices(machine) or () if (each.usb in known if known else each.is_ccid)]
    if len(listed) > len(taken):
        return f"{listed[-1].usb} is plugged in, and the PC/SC service does not show it"
    return ""


def _usb_of(facts: ReaderFacts, book: ProfileBook) -> tuple[str, ...]:
    matched = book.named(facts.profile.partition(" ")[0])
    return () if matched is None else matched.profile.match.usb
