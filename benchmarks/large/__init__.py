"""Figures of a whole city: ten million events, every page, and a thousand agents on one process."""
