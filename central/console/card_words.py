"""What cards, their states and the ways to name them are called on pages."""

from central.console.page import _N

STATES = {
    "active": ("good", _N("in use")),
    "blocked": ("bad", _N("blocked")),
    "lost": ("bad", _N("lost")),
    "replaced": ("off", _N("replaced")),
}
"""Kind of badge, and text."""

NUMBERS = {"library-barcode": _N("Library barcode"), "volunteer-number": _N("Volunteer number")}

NOTATIONS = {
    "detect": _N("detected"),
    "hex": _N("hexadecimal"),
    "hex-reversed": _N("hexadecimal, last byte first"),
    "decimal": _N("decimal"),
    "decimal-reversed": _N("decimal, last byte first"),
}

KINDS_SOUGHT = {
    "any": _N("Anything"),
    "uid": _N("Card number (UID)"),
    "member": _N("Member reference"),
    "library-barcode": NUMBERS["library-barcode"],
    "volunteer-number": NUMBERS["volunteer-number"],
    "name": _N("Person's name"),
}

BY = {
    "uid": _N("card number"),
    "member": _N("reference"),
    "library-barcode": _N("library barcode"),
    "volunteer-number": _N("volunteer number"),
    "name": _N("person's name"),
}

STANDINGS = {
    "good": ("good", _N("In good standing")),
    "blocked": ("bad", _N("Borrowing suspended")),
    "expired": ("warn", _N("Library card expired")),
    "no-patron": ("off", _N("No patron there")),
    "unknown": ("off", _N("Not known")),
}
"""Of a patron by a library's word: kind of badge, and text."""
