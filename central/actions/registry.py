"""Every action, by importing the modules that define them."""

# ruff: noqa: F401 - imported for what they define

from central.actions.access import accounts, audit, audit_chain, own, tokens
from central.actions.action import ACTIONS
from central.actions.alerts import alerts, contacts, health
from central.actions.attendance import certificates, months, sessions, settling, teams, vols_export, vols_roster
from central.actions.cards import (
    batch_effects,
    batches,
    bind_sessions,
    bindings,
    cards,
    classes,
    day_cards,
    flags,
    importing,
    member_index_again,
    member_put,
    member_shown,
    names,
    uptake,
)
from central.actions.cards import members as card_members
from central.actions.custody import (
    backup,
    batch_shown,
    event_shown,
    events,
    evidence,
    journal_import,
    log,
    proof,
    timeline,
    verify,
)
from central.actions.custody import batches as sent_batches
from central.actions.judging import conflict_inbox, conflicts, correct, explain, rebuild, replay, stated
from central.actions.neighbours import (
    citizen,
    counter_tap,
    entitlement,
    feed,
    libraries,
    library_status,
    loans,
    subscription_work,
    subscriptions,
)
from central.actions.places import (
    bundles,
    calendars,
    closures,
    device_moves,
    device_show,
    devices,
    freezes,
    gate_config_check,
    gate_configs,
    inside,
    places,
    policies,
    policy_versions,
    profiles,
    rollout_views,
    rollouts,
    staff,
    visits,
)
from central.actions.points import members, plans
from central.actions.privacy import (
    consents,
    erasing,
    holds,
    incident,
    incidents,
    purposes,
    retention,
    rights,
    uid_looks,
)
from central.actions.programmes import activities, offers, passes
from central.actions.reporting import denials, overview, recount
from central.actions.reporting import devices as device_reports
from central.actions.reporting import visits as visit_reports
from central.actions.tables import history, lists, statement

__all__ = ["ACTIONS"]
