"""The tables. Those that grow with taps have the device, the venue or the domain first in their key, so they can be
partitioned.

Times are UTC milliseconds (BIGINT). What was signed is kept as the bytes received; columns beside it are
read out of those bytes for searching, never the other way round.
"""

from central.store.schema.custody import RARE, RARE_KINDS, batches, epochs, events, evidence
from central.store.schema.devices import devices, join_tokens
from central.store.schema.facts import facts
from central.store.schema.marks import fates, marks, projected, states, visits
from central.store.schema.metadata import PROJECTION, meta, metadata
from central.store.schema.people import cards, member_classes, members, names, subjects
from central.store.schema.places import domains, gate_configs, gates, policies, profiles, staff, venues
from central.store.schema.published import list_entries, lists, manifests, name_lists

__all__ = [
    "PROJECTION",
    "RARE",
    "RARE_KINDS",
    "batches",
    "cards",
    "devices",
    "domains",
    "epochs",
    "events",
    "evidence",
    "facts",
    "fates",
    "gate_configs",
    "gates",
    "join_tokens",
    "list_entries",
    "lists",
    "manifests",
    "marks",
    "member_classes",
    "members",
    "meta",
    "metadata",
    "name_lists",
    "names",
    "policies",
    "profiles",
    "projected",
    "staff",
    "states",
    "subjects",
    "venues",
    "visits",
]
