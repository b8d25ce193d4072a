"""How long each purpose keeps what is personal, and what goes when that is over."""
