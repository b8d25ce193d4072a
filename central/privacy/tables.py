"""Every table that says something of a person, and what an erasure does with its rows. A test holds it against the
schema: a new table with a column of members or subjects has to be named here."""

from sqlalchemy import Table

from central.store.schema import (
    attendance_sessions,
    bind_sessions,
    card_bindings,
    cards,
    conflicts,
    consents,
    denials,
    entry_history,
    erasures,
    erasures_pending,
    facts,
    former_subjects,
    ledger,
    legal_holds,
    library_patrons,
    marks,
    member_class_history,
    member_classes,
    member_flags,
    member_name_keys,
    member_numbers,
    members,
    names,
    notices,
    point_books,
    point_months,
    registrations,
    reservations,
    subject_states,
    subjects,
    uid_looks,
    visits,
)

BY_MEMBER: tuple[Table, ...] = (
    consents,
    notices,
    library_patrons,
    registrations,
    bind_sessions,
    member_class_history,
    member_classes,
    member_name_keys,
    member_numbers,
    cards,
    names,
    member_flags,
    legal_holds,
    uid_looks,
    subjects,
    former_subjects,
)
"""Rows whose `member` it is go, in this order; then the member's own."""
BY_SUBJECT: tuple[Table, ...] = (
    facts,
    point_months,
    denials,
    reservations,
    conflicts,
    entry_history,
    attendance_sessions,
    ledger,
    visits,
)
"""Rows whose `subject` it is go."""
OTHERWISE: dict[Table, str] = {
    members: "the row goes last",
    card_bindings: "cards that were this member's alone go; of others the statements lose member and texts",
    marks: "taps go; those let in by hand become nobody's, as their events say",
    point_books: "added up by month and account, as nobody's",
    subject_states: "stays until every gate was told that nothing is known, 30 days at most",
    erasures_pending: "made by the erasure; goes once every gate was told",
    erasures: "made by the erasure: keyed hashes",
}
"""What becomes of the others, and of what the erasure itself writes."""
