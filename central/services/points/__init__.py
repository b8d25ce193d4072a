"""Points: who is given how many when, a double-entry ledger of what became of them, and what is reserved to gates."""
