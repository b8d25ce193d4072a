"""Actions on alerts, their contacts, and the health of the servers."""
