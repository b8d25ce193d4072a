"""Every action, by importing the modules that define them."""

# ruff: noqa: F401 - imported for what they define

from central.actions.action import ACTIONS
from central.actions.attendance import certificates, months, sessions, settling, teams
from central.actions.cards import (
    batch_effects,
    batches,
    bind_sessions,
    bindings,
    cards,
    classes,
    flags,
    importing,
    names,
)
from central.actions.custody import backup, evidence, journal_import, log, verify
from central.actions.judging import conflicts, correct, explain, rebuild, replay, stated
from central.actions.places import (
    calendars,
    closures,
    devices,
    gate_configs,
    inside,
    places,
    policies,
    profiles,
    staff,
    visits,
)
from central.actions.points import members, plans
from central.actions.programmes import activities, offers

__all__ = ["ACTIONS"]
