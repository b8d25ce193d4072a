"""Every action, by importing the modules that define them."""

from central.actions import (
    backup,
    card_import,
    card_names,
    cards,
    custody_log,
    devices,
    evidence,
    gate_configs,
    inside,
    journal_import,
    places,
    policies,
    profiles,
    staff,
    verify,
)
from central.actions.action import ACTIONS

__all__ = [
    "ACTIONS",
    "backup",
    "card_import",
    "card_names",
    "cards",
    "custody_log",
    "devices",
    "evidence",
    "gate_configs",
    "inside",
    "journal_import",
    "places",
    "policies",
    "profiles",
    "staff",
    "verify",
]
