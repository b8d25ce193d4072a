"""Volunteers: teams, sessions, months, certificates."""
