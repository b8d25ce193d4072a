"""Alerts: what is watched, when it becomes an incident, and how a named person hears of it."""
