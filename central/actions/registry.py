"""Every action, by importing the modules that define them."""

from central.actions import (
    backup,
    card_import,
    cards,
    custody_log,
    devices,
    evidence,
    journal_import,
    places,
    verify,
)
from central.actions.action import ACTIONS

__all__ = [
    "ACTIONS",
    "backup",
    "card_import",
    "cards",
    "custody_log",
    "devices",
    "evidence",
    "journal_import",
    "places",
    "verify",
]
