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
    exports,
    gates,
    health,
    imports,
    incidents,
    joining,
    libraries,
    me,
    members,
    notices,
    overview,
    points,
    policies,
    privacy,
    programmes,
    reports,
    rollouts,
    sign_in,
    staff,
    subscriptions,
    sync_log,
    visits,
    volunteer_files,
    volunteers,
)

__all__ = ["ROUTES"]
