"""The tables. Those that grow with taps have the device, the venue or the domain first in their key, so they can be
partitioned.

Times are UTC milliseconds (BIGINT). What was signed is kept as the bytes received; columns beside it are
read out of those bytes for searching, never the other way round.
"""

from central.store.schema.attendance import (
    attendance_months,
    attendance_rules,
    attendance_sessions,
    attendance_teams,
)
from central.store.schema.binding import bind_sessions, card_chips
from central.store.schema.bindings import card_batches, card_bindings, member_class_history, member_flags
from central.store.schema.custody import RARE, RARE_KINDS, batches, epochs, events, evidence
from central.store.schema.devices import devices, join_tokens
from central.store.schema.facts import facts
from central.store.schema.judging import conflicts, denials, entry_history
from central.store.schema.marks import REPEATS, fates, marks, projected, states, subject_states, visits
from central.store.schema.metadata import PROJECTION, meta, metadata
from central.store.schema.people import cards, member_classes, members, names, subjects
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
from central.store.schema.programmes import activities, offers, registrations
from central.store.schema.published import list_entries, lists, manifests, name_lists

__all__ = [
    "PROJECTION",
    "RARE",
    "RARE_KINDS",
    "REPEATS",
    "activities",
    "attendance_months",
    "attendance_rules",
    "attendance_sessions",
    "attendance_teams",
    "batches",
    "bind_sessions",
    "card_batches",
    "card_bindings",
    "card_chips",
    "cards",
    "conflicts",
    "denials",
    "devices",
    "domains",
    "entry_history",
    "epochs",
    "events",
    "evidence",
    "facts",
    "fates",
    "gate_configs",
    "gates",
    "join_tokens",
    "ledger",
    "list_entries",
    "lists",
    "manifests",
    "marks",
    "member_class_history",
    "member_classes",
    "member_flags",
    "members",
    "meta",
    "metadata",
    "name_lists",
    "names",
    "offers",
    "point_books",
    "point_closings",
    "point_months",
    "point_plans",
    "point_rounds",
    "policies",
    "profiles",
    "projected",
    "registrations",
    "reservations",
    "staff",
    "states",
    "subject_states",
    "subjects",
    "venues",
    "visits",
]
