"""The way through: the lock, the contacts, and what became of who was let through."""
