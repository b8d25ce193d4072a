"""The tables. Those that grow with taps have the device, the venue or the domain first in their key, so they can be
partitioned.

Times are UTC milliseconds (BIGINT). What was signed is kept as the bytes received; columns beside it are
read out of those bytes for searching, never the other way round.
"""

from central.store.schema.access import accounts, api_tokens, attempts, audit, sign_ins
from central.store.schema.alerts import alert_contacts, alert_messages, alert_watch, alerts, servers
from central.store.schema.attendance import (
    attendance_months,
    attendance_rules,
    attendance_sessions,
    attendance_teams,
)
from central.store.schema.binding import bind_sessions, card_chips
from central.store.schema.bindings import card_batches, card_bindings, member_class_history, member_flags
from central.store.schema.custody import DENIED, ODD, RARE, RARE_KINDS, RESENT, batches, epochs, events, evidence
from central.store.schema.devices import bundles, device_moves, devices, join_tokens
from central.store.schema.facts import facts
from central.store.schema.judging import conflicts, denials, entry_history
from central.store.schema.libraries import libraries, library_patrons
from central.store.schema.marks import REPEATS, fates, marks, projected, states, subject_states, visits
from central.store.schema.metadata import PROJECTION, meta, metadata
from central.store.schema.people import (
    ENDING,
    cards,
    member_classes,
    member_name_keys,
    member_numbers,
    members,
    names,
    subjects,
)
from central.store.schema.places import domains, gate_configs, gates, policies, profiles, staff, venues
from central.store.schema.points import (
    ledger,
    point_books,
    point_closings,
    point_months,
    point_plans,
    point_rounds,
    reservations,
)
from central.store.schema.privacy import (
    consent_notices,
    consent_rules,
    consents,
    erased_subjects,
    erasures,
    erasures_pending,
    incidents,
    kept_hours,
    kept_visits,
    legal_holds,
    retention_rules,
    uid_looks,
)
from central.store.schema.programmes import activities, offers, registrations
from central.store.schema.published import (
    key_rotations,
    list_entries,
    lists,
    manifests,
    name_lists,
    under_own_key,
)
from central.store.schema.reporting import (
    WHOLE_DAY,
    device_states,
    tap_counted,
    tap_counts,
    visit_counts,
    visit_days_due,
)
from central.store.schema.rollouts import freezes, policy_stages, rollout_gates, rollout_steps, rollouts
from central.store.schema.subscriptions import (
    notices,
    subscription_dead,
    subscription_feed,
    subscription_progress,
    subscriptions,
)

__all__ = [
    "DENIED",
    "ENDING",
    "ODD",
    "PROJECTION",
    "RARE",
    "RARE_KINDS",
    "REPEATS",
    "RESENT",
    "WHOLE_DAY",
    "accounts",
    "activities",
    "alert_contacts",
    "alert_messages",
    "alert_watch",
    "alerts",
    "api_tokens",
    "attempts",
    "attendance_months",
    "attendance_rules",
    "attendance_sessions",
    "attendance_teams",
    "audit",
    "batches",
    "bind_sessions",
    "bundles",
    "card_batches",
    "card_bindings",
    "card_chips",
    "cards",
    "conflicts",
    "consent_notices",
    "consent_rules",
    "consents",
    "denials",
    "device_moves",
    "device_states",
    "devices",
    "domains",
    "entry_history",
    "epochs",
    "erased_subjects",
    "erasures",
    "erasures_pending",
    "events",
    "evidence",
    "facts",
    "fates",
    "freezes",
    "gate_configs",
    "gates",
    "incidents",
    "join_tokens",
    "kept_hours",
    "kept_visits",
    "key_rotations",
    "ledger",
    "legal_holds",
    "libraries",
    "library_patrons",
    "list_entries",
    "lists",
    "manifests",
    "marks",
    "member_class_history",
    "member_classes",
    "member_flags",
    "member_name_keys",
    "member_numbers",
    "members",
    "meta",
    "metadata",
    "name_lists",
    "names",
    "notices",
    "offers",
    "point_books",
    "point_closings",
    "point_months",
    "point_plans",
    "point_rounds",
    "policies",
    "policy_stages",
    "profiles",
    "projected",
    "registrations",
    "reservations",
    "retention_rules",
    "rollout_gates",
    "rollout_steps",
    "rollouts",
    "servers",
    "sign_ins",
    "staff",
    "states",
    "subject_states",
    "subjects",
    "subscription_dead",
    "subscription_feed",
    "subscription_progress",
    "subscriptions",
    "tap_counted",
    "tap_counts",
    "uid_looks",
    "under_own_key",
    "venues",
    "visit_counts",
    "visit_days_due",
    "visits",
]
