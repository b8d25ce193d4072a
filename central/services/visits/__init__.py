"""Visits: an entry and the exit that ended it, and how many are inside a venue."""
