"""Every page, by importing the modules that define them."""

# ruff: noqa: F401 - imported for what they define

from central.console.page import ROUTES
from central.console.pages import (
    accounts,
    alerts,
    audit,
    batches,
    binding,
    cards,
    closures,
    conflicts,
    devices,
    events,
    gates,
    health,
    imports,
    joining,
    me,
    members,
    overview,
    points,
    policies,
    programmes,
    reports,
    rollouts,
    sign_in,
    staff,
    sync_log,
    visits,
    volunteers,
)

__all__ = ["ROUTES"]
