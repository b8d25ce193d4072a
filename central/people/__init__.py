"""Whose a card is, what its holder is, and since when that is known: the pure part."""
